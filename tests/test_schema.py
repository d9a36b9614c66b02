"""Groups and labels as codes and as names: the same, whichever way they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.schema import Schema, Task, joined

LABELS = ("cat", "dog", "tree")
SCHEMA = Schema({"age": ("young", "old")}, {"kind": Task(LABELS), "objects": Task(LABELS, True)})
GROUPS = st.lists(st.sampled_from(["young", "old", None]), max_size=9)
SETS = st.lists(st.none() | st.lists(st.sampled_from(LABELS), unique=True).map(tuple), max_size=9)


def test_names_come_in_their_order_and_know_their_labels() -> None:
    assert list(SCHEMA) == ["age", "kind", "objects"]
    assert len(SCHEMA) == 3
    assert "age" in SCHEMA
    assert "size" not in SCHEMA
    assert SCHEMA.heads == {"age": ("young", "old"), "kind": LABELS, "objects": LABELS}
    assert [SCHEMA.is_many(name) for name in SCHEMA] == [False, False, True]
    assert list(SCHEMA.subset(["objects", "age", "size"])) == ["age", "objects"]


@given(GROUPS)
def test_groups_are_what_they_were(groups: list) -> None:
    codes = SCHEMA.encode("age", groups)
    assert codes.dtype == np.int64
    assert codes.tolist() == [-1 if g is None else ("young", "old").index(g) for g in groups]
    assert SCHEMA.decode("age", codes).names.tolist() == groups


@given(SETS)
def test_sets_of_labels_are_what_they_were(sets: list) -> None:
    column = SCHEMA.column("objects", sets)
    assert column.names.tolist() == sets
    codes = column.codes
    assert codes.dtype == np.int8
    assert codes.tolist() == [
        [-1] * 3 if s is None else [int(label in s) for label in LABELS] for s in sets
    ]
    in_order = [s if s is None else tuple(sorted(s, key=LABELS.index)) for s in sets]
    decoded = SCHEMA.decode("objects", codes)
    assert decoded.names.tolist() == in_order
    assert decoded.codes.tolist() == codes.tolist()


@given(st.lists(SETS, min_size=1, max_size=3))
def test_columns_are_joined_and_cut(parts: list) -> None:
    whole = joined([SCHEMA.column("objects", part) for part in parts])
    every = [labels for part in parts for labels in part]
    assert whole.names.tolist() == every
    assert whole.codes.tolist() == SCHEMA.encode("objects", every).tolist()
    last_first = np.arange(len(every))[::-1]
    assert whole.rows(last_first).names.tolist() == every[::-1]


def test_more_labels_than_a_word_holds() -> None:
    labels = tuple(map(str, range(130)))
    schema = Schema({}, {"objects": Task(labels, True)})
    sets = [("0", "55", "56", "129"), None, (), ("129",), ("0", "55", "56", "129")]
    decoded = schema.decode("objects", schema.encode("objects", sets))
    assert decoded.names.tolist() == sets
    assert len(decoded.cell_names) == 4


def test_what_has_no_position_is_unknown_but_not_in_a_set() -> None:
    assert SCHEMA.encode("age", ["older", "old"]).tolist() == [-1, 1]
    with pytest.raises(KeyError):
        SCHEMA.encode("objects", [("bird",)])
