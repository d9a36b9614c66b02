"""What a page shows of captions: which images, their sentences, and small copies of files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairvision.captioning.album import album, gallery_images, opposed, parts, rows_shown
from fairvision.captioning.material import Material
from fairvision.metrics.caption_words import words_for
from fairvision.results.gallery import named_by

WORDS = words_for(["woman", "man"], None)


@pytest.fixture
def material(make_labels, make_said):
    """Return eight labelled images with captions of two models, and one that was asked for."""
    truth = make_labels(["woman", "man"] * 4, [("tv",), ()] * 4)
    one = make_said("A", ["a man by a tv", "A Man", "a person", "a woman and a man"] * 2)
    other = make_said("B", ["a woman", "a man", "a dog", "a man"] * 2)
    asked = truth.of(["3", "77"])
    said = [make_said(model.model, ["a man", "a woman"]) for model in (one, other)]
    return Material(
        models=[one, other],
        truth=truth,
        words=WORDS,
        hidden=None,
        reference=None,
        human=None,
        asked=(said, asked),
        images={},
        counts={},
        notes=[],
    )


def test_every_image_is_shown_once_those_asked_for_first(material):
    items = album(material)
    assert [item.id for item in items[:2]] == ["3", "77"]
    assert [item.kind for item in items[:2]] == ["asked for"] * 2
    assert sorted(item.id for item in items) == sorted([*material.truth.ids, "77"])
    assert items[1].truth == ""
    assert items[1].labels == ()


def test_sentences_say_which_words_name_a_group(material):
    item = next(item for item in album(material) if item.id == "0")
    answer, other = item.models
    assert (item.truth, item.labels, item.image) == ("woman", ("tv",), None)
    assert answer.sentences.whole == (("a ", ""), ("man", "man"), (" by a tv", ""))
    assert (answer.name, answer.answer, other.answer) == ("A", "man", "woman")
    for answer in (answer for item in album(material) for answer in item.models):
        assert named_by(answer.sentences.whole) == answer.answer


def test_of_many_images_a_sample_is_shown_of_those_first_that_have_a_file(make_labels, tmp_path):
    truth = make_labels(["man"] * 50)
    assert rows_shown(truth, {}, most=50, seed=0).tolist() == list(range(50))
    files = dict.fromkeys(truth.ids[20:25], tmp_path)
    shown = rows_shown(truth, files, most=10, seed=0)
    assert len(shown) == 10
    assert {*range(20, 25)} <= {*shown.tolist()}
    assert rows_shown(truth, files, most=10, seed=1).tolist() != shown.tolist()
    among = rows_shown(truth, dict.fromkeys(truth.ids, tmp_path), most=10, seed=0)
    assert among.tolist() == rows_shown(truth, {}, most=10, seed=0).tolist()


def test_a_sample_is_shown_in_the_order_of_the_whole(material):
    whole, sample = album(material), album(material, most=4)
    assert 5 <= len(sample) <= 6  # two that were asked for, one of which may be in the sample
    places = [[item.id for item in whole].index(item.id) for item in sample]
    assert places == sorted(places)


def test_copies_of_files_are_small(material, tmp_path):
    Image.new("RGB", (600, 300), "red").save(tmp_path / "3.png")
    items = album(replace(material, images={"3": tmp_path / "3.png"}))
    np.testing.assert_array_equal(items[0].image, np.full((96, 192, 3), (255, 0, 0)))
    assert [item.id for item in items if item.image is not None] == ["3"]


def test_contradictions_are_counted_and_the_first_listed(material):
    number, listed = opposed(material, most=1)
    assert (number, [item.id for item in listed]) == (2, ["0"])
    assert opposed(material)[0] == len(opposed(material)[1])


def test_captions_without_labels_are_shown(make_labels, make_said):
    (item,) = gallery_images([make_said("A", [""])], make_labels([None]), [("", 0)], WORDS)
    assert item.models[0].sentences.whole == ()
    assert item.models[0].answer is None


@given(st.text(max_size=40))
def test_parts_are_the_caption(text):
    assert "".join(part for part, _ in parts(text, WORDS)) == text


def test_parts_name_groups_by_whole_words_in_any_case():
    named = [part for part in parts("A Woman's hat; HER man, İman", WORDS) if part[1]]
    assert named == [("HER", "woman"), ("man", "man")]


def test_words_of_other_scripts_are_marked_where_they_stand():
    words = {"woman": frozenset(["女人"]), "man": frozenset(["人", "mann"])}
    assert list(parts("一个女人, ein MANN früher", words)) == [
        ("一个", ""),
        ("女人", "woman"),
        (", ein ", ""),
        ("MANN", "man"),
        (" früher", ""),
    ]
