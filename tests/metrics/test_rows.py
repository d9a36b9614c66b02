"""Alike rows are taken together: tables of labels too, and counts give what their rows give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine.inputs import is_table
from fairvision.metrics._engine.rows import condense


def drawn(rows, labels=3, seed=0):
    generator = np.random.default_rng(seed)
    groups = generator.integers(2, size=rows)
    truth = (generator.random((rows, labels)) < 0.3 + 0.3 * groups[:, None]).astype(np.int8)
    predicted = np.where(generator.random((rows, labels)) < 0.8, truth, 1 - truth).astype(np.int8)
    truth[::17] = -1
    return {"labels": truth, "groups": groups, "pred_labels": predicted}


def test_a_table_of_few_different_rows_is_taken_together():
    table = np.array([[1, 0], [0, 1], [1, 0], [-1, -1], [1, 0], [0, 1], [1, 0], [-1, -1]])
    _, counts, units = condense({"labels": table})
    assert dict(zip(map(tuple, units["labels"].tolist()), counts.tolist())) == {
        (1, 0): 4,
        (0, 1): 2,
        (-1, -1): 2,
    }


@pytest.mark.parametrize("unknown", [-1, np.nan])
def test_an_unknown_label_is_not_taken_for_one_that_does_not_hold(unknown):
    table = np.array([[1, 0], [1, unknown]] * 4, dtype=float)
    _, counts, _ = condense({"labels": table})
    assert counts.tolist() == [4, 4]


@pytest.mark.parametrize("labels", [1, 7, 56, 57, 130])
def test_labels_beyond_one_word_are_told_apart(labels):
    table = np.repeat(np.eye(labels, dtype=np.int8), 3, axis=0)
    units, counts, found = condense({"labels": table})
    assert counts.tolist() == [3] * labels
    cell, unit = units
    np.testing.assert_array_equal(found["labels"][unit[cell]], table)


@pytest.mark.parametrize(
    "table",
    [
        np.random.default_rng(0).random((8, 2)),
        np.array([[1, 0], [0, 1], [1, 1], [0, 0]]),
        np.array([["a", "b"]] * 4),
        [[1, 0], [1, "x"], [1, 0], [1, 0]],
    ],
    ids=["scores", "mostly different", "names", "not numbers"],
)
def test_other_tables_are_left_as_they_are(table):
    units, counts, _ = condense({"table": np.asarray(table, dtype=object)})
    assert units is None
    assert counts.tolist() == [1] * len(table)


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, np.ndarray.tolist])
def test_counted_rows_give_the_same_interval_as_the_rows(container):
    columns = drawn(600)
    counts = metrics.Counts()
    for part in np.array_split(np.random.default_rng(1).permutation(600), 5):
        counts.update(**{name: values[part] for name, values in columns.items()})
    columns["labels"] = container(columns["labels"])
    columns["pred_labels"] = container(columns["pred_labels"])
    held = metrics.directional_bias_amplification(**columns, replicates=50)
    counted = metrics.directional_bias_amplification(**counts, replicates=50)
    assert (held.value, held.low, held.high, held.n) == (
        counted.value,
        counted.low,
        counted.high,
        counted.n,
    )


def test_two_models_counted_together_stay_paired():
    columns = drawn(600)
    other = columns["pred_labels"].copy()
    other[:5] = 1 - other[:5]
    cells = metrics.Counts()
    cells.update(truth=columns["labels"], a=columns["pred_labels"], b=other)
    held = [
        metrics.accuracy(columns["labels"], said, replicates=50)
        for said in (columns["pred_labels"], other)
    ]
    counted = [
        metrics.accuracy(cells["truth"], cells[said], counts=cells["counts"], replicates=50)
        for said in ("a", "b")
    ]
    differences = [metrics.compare(*two) for two in (held, counted)]
    assert differences[0].high - differences[0].low < held[0].high - held[0].low
    assert [(d.value, d.low, d.high) for d in differences[:1]] == [
        (d.value, d.low, d.high) for d in differences[1:]
    ]


def test_whole_numbers_and_names_of_different_batches_add_up():
    counts = metrics.Counts()
    counts.update(truth=np.array([0, 1, 1]), predicted=pd.Categorical(["a", "b", "a"]))
    counts.update(truth=[1, None], predicted=pd.Categorical(["c", "b"], categories=["c", "b"]))
    assert counts.total == 5
    assert list(counts["predicted"].categories) == ["a", "b", "c"]
    assert sorted(counts["counts"]) == [1] * 5


@pytest.mark.parametrize(
    "names", [["f", "m"], ["male", "female"], ["a" * 9, "a" * 8, "\U0001f600"]]
)
@pytest.mark.parametrize("rows", [200, 20_000])
def test_names_of_any_container_make_the_same_units(names, rows):
    code = np.random.default_rng(0).integers(len(names), size=rows)
    code[:5000] = 0  # the other names come late
    code[-len(names) :] = np.arange(len(names))
    same = np.array(names, dtype=object)[code]
    containers = {
        "objects": same,
        "other objects of the same names": np.array([str(n.encode(), "utf8") for n in same], "O"),
        "every second of an array": np.repeat(same, 2)[::2],
        "fixed width": same.astype(str),
        "wide": same.astype("U15"),
        "too wide": same.astype("U40"),
        "Series": pd.Series(same),
        "Categorical": pd.Categorical(same),
    }
    for container, values in containers.items():
        units, counts, found = condense({"groups": values})
        assert list(found["groups"]) == sorted(names), container
        assert counts.tolist() == np.bincount(code)[np.argsort(names)].tolist(), container
        cell, unit = units
        assert (np.sort(names)[unit[cell]] == same).all(), container


@pytest.mark.parametrize("numbers", [[10**9, -5, 0], np.arange(9) * 10**6])
def test_whole_numbers_far_apart_are_codes(numbers):
    place = np.random.default_rng(0).integers(len(numbers) - 1, size=9000)
    place[-1] = len(numbers) - 1  # met late
    for values in (np.array(numbers)[place], np.array(numbers)[place[:-1]]):
        (cell, unit), counts, found = condense({"ids": values})
        expected, times = np.unique(values, return_counts=True)
        np.testing.assert_array_equal(found["ids"], expected)
        np.testing.assert_array_equal(counts, times)
        np.testing.assert_array_equal(expected[unit[cell]], values)


def test_rare_objects_among_many_names_stay_apart():
    values = np.array(["f", None] * 5000 + ["m", np.nan, 1, "f"], dtype=object)
    _, counts, found = condense({"groups": values})
    assert dict(zip(found["groups"], counts)) == {None: 5001, 1: 1, "f": 5001, "m": 1}
    with pytest.raises(InputError, match="groups must hold names or whole numbers"):
        metrics.selection_rate(None, np.ones(len(values)), values)


def test_lists_of_names_and_of_rows_are_told_apart():
    assert not is_table("groups", ["f", None, 1.5, np.str_("m"), True])
    assert is_table("labels", [[1, 0], [0, 1]])
    with pytest.raises(InputError, match="rows of different lengths"):
        is_table("labels", [[1, 0], 1])


def test_rows_that_count_0_times_decide_nothing():
    for rate in (metrics.false_positive_rate, metrics.selection_rate):
        counted = rate(["a", "b"], ["a", "a"], counts=[1, 0], replicates=5)
        assert repr(counted) == repr(rate(["a"], ["a"], replicates=5))
    captions, groups = ["a man", "her", 3, "his"], ["man", "woman", "robot", "woman"]
    with pytest.raises(InputError, match="row 2 holds 3"):
        metrics.caption_report(captions, groups)
    captions[2] = "beep"
    report = metrics.caption_report(captions, groups, counts=[2, 1, 0, 1], strata=list("aabb"))
    expected = metrics.caption_report(
        ["a man", "a man", "her", "his"], ["man", "man", "woman", "woman"], strata=list("aaab")
    )
    assert repr(report) == repr(expected)
    typical = metrics.context_typical_group(
        ["kite", "kite"], ["f", "m"], ["kite"], train_counts=[3, 0]
    )
    assert typical.tolist() == ["f"]
    assert len(metrics.mean_by_group([1, 0], ["f", "m"], counts=[2, 0], replicates=0)) == 1


def test_counts_of_zero_only_leave_the_columns():
    counts = metrics.Counts()
    counts.update(truth=["a", "b"], predicted=["a", "a"], counts=[0, 0])
    assert (counts.total, counts.different, set(counts)) == (0, 0, {"truth", "predicted", "counts"})
    counts.update(truth=["c"], predicted=["c"], counts=[2])
    other = metrics.Counts()
    other.update(truth=["d"], predicted=["c"], counts=[0])
    counts.merge(other)
    result = metrics.precision(**counts, replicates=0)
    assert result.pairs["label"].tolist() == ["c"]
