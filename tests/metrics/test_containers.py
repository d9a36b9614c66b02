"""What other libraries hold is read as it is meant: no mask, null or digit is lost."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from fairvision import metrics
from fairvision.errors import InputError


def groups_of(groups: object) -> dict[object, int]:
    pairs = metrics.true_positive_rate([1, 1, 1], [1, 0, 1], groups).pairs
    assert pairs is not None
    return dict(zip(pairs["group"], pairs["n"]))


@pytest.mark.filterwarnings("ignore:figures that rest on fewer")
@pytest.mark.parametrize(
    "groups",
    [
        pa.array(["a", None, "b"]),
        pa.array(["a", None, "b"]).dictionary_encode(),
        pa.chunked_array([pa.array(["a", None]), pa.array(["b"])]),
        pa.chunked_array([pa.array(["a", None]), pa.array(["b"])]).dictionary_encode(),
        np.ma.array(["a", "b", "b"], mask=[0, 1, 0]),
        pd.array(["a", None, "b"], dtype="string"),
    ],
)
def test_nulls_are_unknown(groups):
    assert groups_of(groups) == {"a": 1, "b": 1, "unknown": 1}


@pytest.mark.filterwarnings("ignore:figures that rest on fewer")
@pytest.mark.parametrize(
    "groups",
    [
        pd.array([2**53, 2**53 + 1, None], dtype="Int64"),
        pa.array([2**53, 2**53 + 1, None]),
        [2**53, 2**53 + 1, None],
    ],
)
def test_whole_numbers_stay_whole_beside_nulls(groups):
    assert groups_of(groups) == {2**53: 1, 2**53 + 1: 1, "unknown": 1}


def test_masked_numbers_are_unknown():
    mean = metrics.mean(np.ma.array([1.0, 5.0, 1.0], mask=[0, 1, 0]))
    assert (float(mean), mean.n) == (1, 2)
    mean = metrics.mean(pd.array([True, None, False], dtype="boolean"))
    assert (float(mean), mean.n) == (0.5, 2)
    table = np.ma.array([[1, 0], [1, 1]], mask=[[0, 0], [0, 1]])
    assert metrics.accuracy(table, np.array([[1, 0], [1, 1]])).n == 1


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_nullable_tables(dtype):
    table = pd.DataFrame({"a": [1, None], "b": [0, 1]}).astype(dtype)
    found = metrics.correct(table, table)
    np.testing.assert_array_equal(found, [1, np.nan])


def test_tensors_as_networks_give_them():
    scores = torch.tensor([[0.1, 0.9], [0.75, 0.25]], requires_grad=True)
    assert metrics.decide(scores, False).tolist() == [1, 0]
    assert metrics.decide(scores.bfloat16(), False).tolist() == [1, 0]
    assert float(metrics.mean(torch.tensor([0.5, 1.0], requires_grad=True).bfloat16())) == 0.75


def test_the_order_of_bytes_does_not_matter():
    assert float(metrics.accuracy(np.array([1, 0], ">i4"), np.array([1, 1], ">i2"))) == 0.5


def test_results_travel():
    result = metrics.accuracy([1, 0], [1, 1])
    back = copy.copy(result)  # the way that also takes results to other processes
    assert (float(back), back.n, back.low, back.name) == (0.5, 2, result.low, "accuracy")
    np.testing.assert_array_equal(back.replicates, result.replicates)
    with pytest.raises(InputError, match="no resamples to compare"):
        metrics.compare(back, result)


def test_counted_rows_are_counted():
    counts = metrics.Counts()
    counts.update(truth=[1, 0], predicted=[1, 1], counts=[90, 10])
    counts.update(truth=[1], predicted=[1])
    assert counts.total == 101
    assert float(metrics.accuracy(**counts)) == pytest.approx(91 / 101)


def test_counts_keep_every_digit():
    counts = metrics.Counts()
    counts.update(truth=[2**53 + 1], predicted=[2**53])
    counts.update(truth=[None], predicted=[None])
    assert float(metrics.accuracy(**counts)) == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: metrics.accuracy(None, [1]), "truth must be given"),  # type: ignore[arg-type]
        (lambda: metrics.mean_by_group([1, 2], None), "groups must be given"),
        (lambda: metrics.average_precision([0, 1], None), "scores must be given"),  # type: ignore[arg-type]
        (lambda: metrics.bias_amplification_mals([0, 1], None, [0, 1], [0, 1]), "must be given"),
        (lambda: metrics.accuracy([1], [1], seed=None), "seed must be a whole number"),
        (lambda: metrics.accuracy([1], [1], replicates="10"), "replicates must be a whole number"),
        (lambda: metrics.accuracy([1], [1], replicates=2.5), "replicates must be a whole number"),
        (lambda: metrics.accuracy([1], [1], replicates=True), "replicates must be a whole number"),
        (lambda: metrics.accuracy([1], [1], confidence="x"), "confidence must be a number"),
        (lambda: metrics.accuracy([1, 0], [1, 1], weights=[1e308] * 2), "weights must be at most"),
        (lambda: metrics.accuracy([1, 0], [1, 1], counts=[2**62] * 2), "more than 2\\*\\*53"),
        (lambda: metrics.accuracy([1, 0], [1, 1], strata=[[1], [2]]), "strata must hold one value"),
        (lambda: metrics.compare(1.0, 2.0), "only results can be compared"),  # type: ignore[arg-type]
        (lambda: metrics.Counts().merge({}), "only Counts can be merged"),  # type: ignore[arg-type]
        (lambda: metrics.Counts().update(a=None), "a must be given"),
        (lambda: metrics.probability_gap([[0.5, 1.5]]), "between 0 and 1"),
        (
            lambda: metrics.evidence_cells([2, 0], [0.5, 0.2]),
            "right must hold numbers between 0 and 1",
        ),
        (
            lambda: metrics.mean([1, 2], where=pd.array([True, None], dtype="boolean")),
            "some are unknown",
        ),
    ],
)
def test_what_cannot_be_read_is_told(call, match):
    with pytest.raises(InputError, match=match):
        call()


def test_batches_that_declare_categories_and_others_lose_nothing():
    counts = metrics.Counts()
    counts.update(truth=pd.Categorical(["a"], ["a", "z"]), predicted=["a"])
    counts.update(truth=["b"], predicted=np.array(["c"]))
    counts.update(truth=pa.array(["c"]).dictionary_encode(), predicted=["c"])
    result = metrics.precision(**counts, replicates=0)
    assert dict(zip(result.pairs["label"], result.pairs["n"])) == {"a": 1, "b": 0, "c": 2, "z": 0}
    assert result.n == 3


def test_batches_of_booleans_and_of_numbers_are_the_same_labels():
    counts = metrics.Counts()
    counts.update(truth=[True, False], predicted=np.array([1, 0], np.int8))
    counts.update(truth=[1.0, None], predicted=pd.Series([False, pd.NA], dtype="boolean"))
    assert repr(metrics.accuracy(**counts)) == repr(metrics.accuracy([1, 0, 1], [1, 0, 0]))
    assert metrics.accuracy([True, 0, 1], [1, 0, True]) == 1


def test_unknown_scores_of_a_batch_of_zeros_and_ones_stay_unknown():
    counts = metrics.Counts()
    counts.update(targets=[[1, 0], [0, 1]], scores=[[1, 0], [np.nan, 1]])
    counts.update(targets=[[1, 0], [0, 1]], scores=[[0.5, 0.25], [0.75, 1]])
    assert metrics.average_precision(**counts, replicates=0).n == 3


def test_na_of_pandas_is_unknown_among_plain_values():
    assert metrics.mean([1.0, pd.NA, 0.0], replicates=0).n == 2
    assert metrics.decide([[0.2, 0.8], [pd.NA, 0.5]], many=False).tolist() == [1, -1]


def test_captions_of_pyarrow_and_numpy():
    captions = ["a man", None, "her bike"]
    masked = np.ma.masked_array(np.array(["a man", "?", "her bike"], object), mask=[0, 1, 0])
    for container in (pa.array(captions), pa.chunked_array([captions]), masked):
        assert metrics.caption_genders(container).tolist() == ["man", None, "woman"]


def test_a_gap_of_groups_without_rows_is_undefined():
    empty = metrics.mean_by_group([], pd.Categorical([], ["f", "m"]))
    assert np.isnan(metrics.gap(empty).value)
