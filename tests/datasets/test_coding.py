"""How people write labels: read where it can mean one thing only, else refused or named."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairvision.captioning.labels import read_labels
from fairvision.datasets import from_table
from fairvision.datasets.label_texts import coded, listed
from fairvision.errors import FairvisionWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore:few pictures of")

SETS = [("cat", "tree"), ("dog",), (), ("tree",)]
WRITERS = {
    "python": lambda labels: str(list(labels)),
    "json": lambda labels: json.dumps(list(labels)),
    "numpy": lambda labels: str(np.array(labels, dtype=object)) if labels else "[]",
    "set": lambda labels: str(set(labels)),
    "tuple": lambda labels: str(labels) if labels else "[]",
    "separated": lambda labels: ";".join(labels) or ";",
}
LABEL = st.text(st.characters(codec="utf-8"), min_size=1)


def save(kind, tmp_path, **columns):
    path = tmp_path / f"t.{kind}"
    rows = pd.DataFrame(columns)
    rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    return path


def objects(cells, kind, tmp_path):
    groups = ["f", "m"] * (len(cells) // 2)
    return save(kind, tmp_path, id=range(len(cells)), gender=groups, objects=cells)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("writer", WRITERS)
def test_lists_written_as_text_are_lists(tmp_path, kind, writer):
    path = objects([WRITERS[writer](labels) for labels in SETS], kind, tmp_path)
    rows = read_labels(path)[0].rows
    assert [set(labels) for labels in rows["objects"]] == [set(labels) for labels in SETS]


@given(st.lists(LABEL, unique=True))
def test_lists_of_python_and_json_are_read_exactly(labels):
    assert listed(str(labels)) == tuple(labels)
    assert listed(json.dumps(labels)) == tuple(labels)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["[cat, tree]", "dog"], "looks like a list"),
        (["['a' 'b', 'c']", "dog"], "looks like a list"),
        (["{'cat': 1}", "dog"], "looks like a list"),
        (["[['cat']]", "dog"], "looks like a list"),
        (["array(['cat'])", "dog"], "looks like a list"),
        (["cat, tree", "dog"], "'cat, tree' is one label, or 2 with ',' between them"),
        (["cat|tree", "dog"], "is one label, or 2"),
        (["cat;tree", "cat, tree"], "is one label, or 2"),
        (["[0, 1, 1]", "[1, 0, 0]"], "lists of 0 and 1"),
        (["[0. 1.]", "[1. 0.]"], "lists of 0 and 1"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path, kind, cells, says):
    with pytest.raises(InputError, match=f"t.{kind}, column 'objects': .*{says[:20]}"):
        read_labels(objects(cells, kind, tmp_path))


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([[0, 1], [1, 1]], "lists of 0 and 1"),
        ([[True, False], [False, False]], "lists of 0 and 1"),
        ([[["cat"]], [["tree"]]], "no lists of labels"),
        ([{"a": 1}, {"a": 2}], "no lists of labels"),
        ([b"cat", b"dog"], "holds binary"),
    ],
)
def test_cells_of_parquet_that_are_no_lists_of_labels(tmp_path, cells, says):
    with pytest.raises(InputError, match=says):
        read_labels(objects(cells, "parquet", tmp_path))


def test_a_comma_may_be_part_of_a_label_where_a_separator_is_used(tmp_path):
    path = objects(["potted plant, large;cat", "cat"], "csv", tmp_path)
    assert read_labels(path)[0].vocabulary == ("cat", "potted plant, large")


@pytest.mark.parametrize(
    ("kind", "cells"), [("csv", ["['f']", "['m']"]), ("parquet", [["f"], ["m"]])]
)
def test_a_list_is_no_group(tmp_path, kind, cells):
    path = save(kind, tmp_path, image=["a.png"] * 2, gender=cells)
    with pytest.raises(InputError, match="list"):
        from_table(path, tmp_path / "out", attributes=["gender"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "values",
    [[0, 1], [-1, 1], [True, False], ["True", "False"], ["0", "1"], [0.0, 1.0], [3, 7]],
)
def test_codes_are_named_once_and_none_is_lost(tmp_path, kind, values):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    path = save(kind, tmp_path, image=["a.png"] * 8, smile=values * 4, sex=values * 4)
    with pytest.warns(FairvisionWarning) as caught:
        made = from_table(path, tmp_path / "out", attributes=["sex"], tasks=["smile"])
    (line,) = [text for w in caught if "hold codes" in (text := str(w.message))]
    assert "'sex'" in line
    assert "'smile'" in line
    names = {str(int(v) if isinstance(v, float) else v) for v in values}
    assert set(made.attributes["sex"]) == names
    assert np.bincount(made.codes("sex")).tolist() == [4, 4]


def test_whole_numbers_beside_missing_ones_are_no_fractions(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for kind in ("csv", "parquet"):
        path = save(kind, tmp_path, image=["a.png"] * 3, sex=[1.0, 2.0, None])
        with pytest.warns(FairvisionWarning, match="codes"):
            made = from_table(path, tmp_path / kind, attributes=["sex"])
        assert made.samples["sex"].tolist() == ["1", "2", None]


def test_spellings_of_one_group_are_named(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    path = save("csv", tmp_path, image=["a.png"] * 3, sex=["Female", "female", "nan"])
    with pytest.warns(FairvisionWarning, match="'Female' and 'female' count as .*'nan' counts as"):
        from_table(path, tmp_path / "out", attributes=["sex"])


def test_names_are_no_codes():
    assert not coded({"gender": ["female", "male"], "sport": ["ski", "1"], "age": ["20-29", "30+"]})
