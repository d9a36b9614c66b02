from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.captioning.material import named_objects, plural
from fairvision.errors import InputError

COCO = {
    "bench": "benches",
    "bus": "buses",
    "dining table": "dining tables",
    "knife": "knives",
    "mouse": "mice",
    "person": "people",
    "potted plant": "potted plants",
    "sheep": "sheep",
    "toothbrush": "toothbrushes",
    "toy": "toys",
    "wine glass": "wine glasses",
}


def found(text: str, labels: list[str], words=None) -> set[str]:
    row = named_objects([text], labels, words).iloc[0]
    return set(row.index[row == 1])


@pytest.mark.parametrize(("name", "several"), COCO.items())
def test_plurals(name, several):
    assert plural(name) == several
    assert found(f"Two {several}, here.", [name]) == {name}


def test_words_are_whole():
    assert found("a cart and a scar", ["car"]) == set()
    assert found("the CAR.", ["car"]) == {"car"}


@pytest.mark.parametrize("labels", [["dog", "hot dog", "bear", "teddy bear"]])
def test_the_longest_name_counts(labels):
    assert found("a hot dog", labels) == {"hot dog"}
    assert found("a dog with a hot dog", labels) == {"dog", "hot dog"}
    assert found("a hot bear", labels) == {"bear"}


def test_a_label_that_is_the_plural_of_another_keeps_its_name():
    assert found("on skis", ["ski", "skis"]) == {"skis"}
    assert found("on skis", ["skis", "ski"]) == {"skis"}


def test_further_words():
    words = {"tv": ["television", "flat screen"]}
    assert found("a flat screen television", ["tv", "chair"], words) == {"tv"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"x": ["y"]}, "'x' is none of the objects: tv, chair"),
        ({"tv": ["--"]}, "'tv' has a phrase without words"),
        ({"tv": ["chair"]}, "'chair' stands for 'chair' and 'tv'"),
        ({"tv": ["seat"], "chair": ["seat"]}, "'seat' stands for 'tv' and 'chair'"),
    ],
)
def test_words_that_fit_nothing(words, says):
    with pytest.raises(InputError, match=says):
        named_objects(["a"], ["tv", "chair"], words)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=8))
def test_any_text_is_read_row_by_row(texts):
    labels = ["a", "b c", "!"]
    held = named_objects(texts, labels)
    assert held.shape == (len(texts), 3)
    assert not held["!"].any()  # has no word that captions could hold
    alone = [named_objects([text], labels).to_numpy()[0] for text in texts]
    np.testing.assert_array_equal(held.to_numpy(), np.array(alone).reshape(len(texts), 3))


def test_objects_of_other_scripts():
    assert found("一辆自行车", ["车", "自行车"]) == {"自行车"}
    assert found("Кошка на лыжах", ["кошка", "лыжах"]) == {"кошка", "лыжах"}
    assert found("ein Früchtekorb", ["korb"]) == set()
