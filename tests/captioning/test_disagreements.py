from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from fairvision.captioning.disagreements import in_order, opposed_rows

SAID = ["a man", "a woman", "a dog"]
KINDS = ["wrong by A, right by B", "right by A, wrong by B", "left open by one of them"]


@pytest.fixture
def many(make_labels, make_said):
    """Return labels of all combinations of a group and what two models say, several times."""
    cells = [(g, a, b) for g in ("woman", "man", None) for a in SAID for b in SAID] * 4
    truth = make_labels([group for group, _, _ in cells])
    return truth, [make_said("A", [a for _, a, _ in cells]), make_said("B", [b for *_, b in cells])]


def test_all_rows_are_there_once_and_those_that_tell_nothing_last(many):
    truth, models = many
    ordered = list(in_order(models, truth))
    assert sorted(row for _, row in ordered) == list(range(len(truth)))
    telling = [bool(kind) for kind, _ in ordered]
    assert telling == sorted(telling, reverse=True)
    first, other = (model.outcomes(truth) for model in models)
    for kind, row in ordered:
        if kind == KINDS[0]:
            assert (first[row], other[row]) == ("incorrect", "correct")
        elif kind == KINDS[1]:
            assert (first[row], other[row]) == ("correct", "incorrect")
        else:
            assert (kind == KINDS[2]) == (first[row] != other[row])


def test_kinds_and_groups_take_turns(many):
    truth, models = many
    group = truth.rows["group"]
    six = [(kind, group[row]) for kind, row in list(in_order(models, truth))[:6]]
    assert six == [(kind, name) for kind in KINDS for name in ("man", "woman")]


def test_contradictions_are_all_rows_on_which_one_is_right_and_one_wrong(many):
    truth, models = many
    pairs = zip(*(model.outcomes(truth) for model in models))
    expected = [
        row for row, pair in enumerate(pairs) if sorted(map(str, pair)) == ["correct", "incorrect"]
    ]
    assert opposed_rows(models, truth) == expected != []
    assert opposed_rows(models[:1], truth) == []


def test_the_order_is_that_of_the_seed(many):
    truth, models = many
    assert list(in_order(models, truth)) == list(in_order(models, truth))
    assert list(in_order(models, truth, seed=1)) != list(in_order(models, truth, seed=2))


def test_images_that_are_there_come_first(many, tmp_path):
    truth, models = many
    there = dict.fromkeys(truth.ids[: len(truth) // 3], tmp_path)
    telling = [(kind, row) for kind, row in in_order(models, truth, files=there) if kind]
    by_cell = sorted((kind, truth.rows["group"][row]) for kind, row in telling)
    for cell, _ in groupby(by_cell):
        rows = [row for kind, row in telling if (kind, truth.rows["group"][row]) == cell]
        imaged = [truth.ids[row] in there for row in rows]
        assert imaged == sorted(imaged, reverse=True)
        assert any(imaged)


def test_those_on_which_most_models_differ_come_first(make_labels, make_said):
    truth = make_labels(["man"] * 6)
    first = make_said("A", ["a woman"] * 6)
    one = make_said("B", ["a man"] * 3 + ["a woman", "a man", "a man"])
    two = make_said("C", ["a woman"] * 4 + ["a man"] * 2)
    rows = [row for _, row in in_order([first, one, two], truth)]
    assert set(rows[:2]) == {4, 5}
    assert rows[-1] == 3


def test_one_model_alone_is_held_against_the_truth(make_labels, make_said):
    truth = make_labels(["man"] * 3 + [None])
    ordered = list(in_order([make_said("A", ["a man", "a woman", "a dog", "a man"])], truth))
    assert ordered == [("wrong", 1), ("names several groups or none", 2), ("right", 0), ("", 3)]


def test_models_that_agree_tell_nothing(make_labels, make_said):
    truth = make_labels(["man"] * 3)
    models = [make_said(name, ["a man", "a woman", "a dog"]) for name in "AB"]
    ordered = list(in_order(models, truth))
    assert {kind for kind, _ in ordered} == {""}
    np.testing.assert_array_equal(sorted(row for _, row in ordered), range(3))
