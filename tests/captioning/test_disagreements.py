from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairvision.captioning.disagreements import (
    choose,
    find_images,
    items,
    listing,
    parts,
    rows_of,
)
from fairvision.errors import InputError
from fairvision.metrics.caption_words import words_for

WORDS = words_for(["woman", "man"], None)
SAID = ["a man", "a woman", "a dog"]


@pytest.fixture
def many(make_labels, make_said):
    """Return labels of all combinations of a group and what two models say, several times."""
    cells = [(g, a, b) for g in ("woman", "man", None) for a in SAID for b in SAID] * 4
    truth = make_labels([group for group, _, _ in cells])
    return truth, [make_said("A", [a for _, a, _ in cells]), make_said("B", [b for *_, b in cells])]


def test_cells_get_as_many_of_each_group(many):
    truth, models = many
    chosen = list(choose(models, truth, per_cell=3))
    counts = Counter((kind, truth.rows["group"][row]) for kind, row in chosen)
    kinds = ["wrong by A, right by B", "right by A, wrong by B", "left open by one of them"]
    assert counts == {(kind, group): 3 for kind in kinds for group in ("man", "woman")}
    for kind, row in chosen:
        outcomes = [model.outcomes(truth)[row] for model in models]
        assert outcomes[0] != outcomes[1]
        if "open" not in kind:
            assert outcomes == (
                ["incorrect", "correct"] if kind.startswith("wrong") else ["correct", "incorrect"]
            )


def test_all_contradictions_are_listed(many):
    truth, models = many
    number, listed = listing(models, truth, WORDS)
    outcomes = [model.outcomes(truth) for model in models]
    rows = [
        row
        for row, pair in enumerate(zip(*outcomes))
        if sorted(map(str, pair)) == ["correct", "incorrect"]
    ]
    assert number == len(rows) == len(listed) > 0
    assert [item.id for item in listed] == [truth.rows["id"][row] for row in rows]
    for item in listed:
        assert [caption.names for caption in item.captions] == [("A",), ("B",)]
        assert {caption.outcome for caption in item.captions} == {"correct", "incorrect"}
    assert listing(models, truth, WORDS, most=1) == (number, listed[:1])
    assert listing(models[:1], truth, WORDS) == (0, [])


def test_models_that_say_the_same_are_listed_together(make_labels, make_said):
    truth = make_labels(["woman"])
    models = [make_said(name, [f"a {word}"]) for name, word in zip("ABC", ["man", "woman", "man"])]
    _, (item,) = listing(models, truth, WORDS)
    assert [caption.names for caption in item.captions] == [("A", "C"), ("B",)]


def test_the_choice_is_that_of_the_seed(many):
    truth, models = many
    assert list(choose(models, truth)) == list(choose(models, truth))
    assert list(choose(models, truth, seed=1)) != list(choose(models, truth, seed=2))


def test_images_that_are_there_come_first(many, tmp_path):
    truth, models = many
    outcomes = [model.outcomes(truth) for model in models]
    file = tmp_path / "red.png"
    Image.new("RGB", (2, 3), "red").save(file)
    there = {
        truth.rows["id"][row]: file
        for row in range(len(truth) // 4)
        if truth.rows["group"][row] and outcomes[0][row] != outcomes[1][row]
    }
    chosen = [row for _, row in choose(models, truth, files=there, per_cell=1)]
    assert all(truth.rows["id"][row] in there for row in chosen)
    shown = items(models, truth, [("x", chosen[0])], WORDS, there)
    np.testing.assert_array_equal(shown[0].image, np.full((3, 2, 3), (255, 0, 0)))


def test_those_on_which_most_models_differ_come_first(make_labels, make_said):
    truth = make_labels(["man"] * 6)
    first = make_said("A", ["a woman"] * 6)
    one = make_said("B", ["a man"] * 3 + ["a woman", "a man", "a man"])
    two = make_said("C", ["a woman"] * 4 + ["a man"] * 2)
    chosen = [row for _, row in choose([first, one, two], truth, per_cell=2)]
    assert set(chosen) == {4, 5}


def test_one_model_alone_is_held_against_the_truth(make_labels, make_said):
    truth = make_labels(["man"] * 3 + [None])
    chosen = list(choose([make_said("A", ["a man", "a woman", "a dog", "a man"])], truth))
    assert chosen == [("wrong", 1), ("names several groups or none", 2), ("right", 0)]


def test_models_that_agree_have_no_images(make_labels, make_said):
    truth = make_labels(["man"] * 3)
    models = [make_said(name, ["a man", "a woman", "a dog"]) for name in "AB"]
    assert list(choose(models, truth)) == []


@given(st.text(max_size=40))
def test_parts_are_the_caption(text):
    assert "".join(part for part, _ in parts(text, WORDS)) == text


def test_parts_name_groups_by_whole_words_in_any_case():
    found = [part for part in parts("A Woman's hat; HER man, İman", WORDS) if part[1]]
    assert found == [("HER", "woman"), ("man", "man"), ("man", "man")]


def test_images_are_found_by_their_id(tmp_path):
    for name in (
        "COCO_val2014_000000080714.jpg",
        "000000000036.PNG",
        "p_1.jpeg",
        "7.txt",
        "8.jpg",
    ):
        (tmp_path / name).touch()
    found = find_images(tmp_path, ["80714", "36", "p_1", "7", "9"])
    assert {own: path.name for own, path in found.items()} == {
        "80714": "COCO_val2014_000000080714.jpg",
        "36": "000000000036.PNG",
        "p_1": "p_1.jpeg",
    }
    with pytest.raises(InputError, match="is not a folder of pictures"):
        find_images(tmp_path / "absent", ["1"])


def test_images_that_are_asked_for_may_have_no_labels(make_labels):
    truth = make_labels(["man"], [("tv",)])
    found = rows_of(["000", "99"], truth, {"A": {"0": "a", "99": "b"}})
    assert found.rows.to_dict("records") == [
        {"id": "0", "group": "man", "objects": ("tv",)},
        {"id": "99", "group": None, "objects": None},
    ]
    with pytest.raises(InputError, match="--show 5: A has no caption of this picture"):
        rows_of(["5"], truth, {"A": {}})
