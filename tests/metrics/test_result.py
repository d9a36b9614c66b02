from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from fairvision import metrics
from fairvision.errors import InputError


def test_reads_well() -> None:
    result = metrics.accuracy([1, 1, 0, 0], [1, 1, 0, 1])
    assert repr(result) == f"accuracy = 0.75 [{result.low:.4g}, {result.high:.4g}] (n = 4)"
    assert float(result) == 0.75


def test_names_are_escaped_in_html() -> None:
    evil = "<script>alert(1)</script>"
    result = metrics.confusion([evil, "b"], [evil, evil])
    assert "<script>" not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()
    assert "<table" not in metrics.mean([1.0])._repr_html_()


def test_difference_is_second_minus_first() -> None:
    a = metrics.accuracy([1, 1, 1, 1], [1, 0, 0, 0])
    b = metrics.accuracy([1, 1, 1, 1], [1, 1, 1, 0])
    difference = metrics.compare(a, b)
    assert difference.value == 0.5
    assert difference.name == "difference in accuracy"
    np.testing.assert_array_equal(difference.replicates, b.replicates - a.replicates)
    named = metrics.compare(metrics.mean([0.0]), metrics.accuracy([1], [1]))
    assert named.name == "accuracy - mean"


def test_pairs_are_compared_by_their_keys() -> None:
    a = metrics.confusion(["f", "m"], ["f", "f"])
    b = metrics.confusion(["f", "x"], ["f", "f"])
    pairs = metrics.compare(a, b).pairs
    assert pairs is not None
    of = pairs.set_index(["group", "label"])
    assert of.loc[("f", "f"), "value"] == 0
    assert np.isnan(of.loc[("m", "f"), "value"])
    assert np.isnan(of.loc[("x", "f"), "value"])
    assert of.loc[("x", "f"), "n"] == 0
    assert of.loc[("f", "f"), "n"] == 1


@pytest.mark.parametrize(
    "other",
    [
        metrics.mean([1.0, 2.0, 3.0]),
        metrics.mean([1.0, 2.0], seed=1),
        metrics.mean([1.0, 2.0], replicates=10),
        metrics.mean([1.0, 2.0], confidence=0.9),
    ],
    ids=["rows", "seed", "replicates", "confidence"],
)
def test_only_paired_results_are_compared(other: metrics.Result) -> None:
    with pytest.raises(InputError, match="not paired"):
        metrics.compare(metrics.mean([1.0, 2.0]), other)


def test_undefined_pairs_are_dashes_in_html() -> None:
    groups = pd.Categorical(["a", "a"], categories=["a", "b"])
    html = metrics.accuracy([1, 0], [1, 0], groups)._repr_html_()
    assert "<td>–</td>" in html
    assert "n = 2" in html


def test_long_tables_are_cut_in_html() -> None:
    names = [f"group {i}" for i in range(500)]
    assert len(metrics.accuracy(names, names, names, replicates=0)._repr_html_()) < 20_000


def test_plot() -> None:
    groups = pd.Categorical(["a", "$b$"] * 10, categories=["a", "$b$", "none"])
    result = metrics.accuracy([1] * 20, [1, 0] * 10, groups)
    figure, ax = pyplot.subplots()
    assert result.plot(ax) is ax
    points, *_ = ax.get_lines()
    np.testing.assert_array_equal(points.get_xdata(), [result.value, 1, 0, np.nan])
    (intervals,) = ax.collections
    ends = [segment[:, 0] for segment in intervals.get_segments() if len(segment)]
    assert result.pairs is not None
    np.testing.assert_array_equal(ends[0], [result.low, result.high])
    np.testing.assert_array_equal(ends[1], [result.pairs["low"][0], result.pairs["high"][0]])
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["all (n = 20)", "a (n = 10)", r"\$b\$ (n = 10)", "none (n = 0)"]
    figure.canvas.draw()
    pyplot.close(figure)
    assert metrics.mean([1.0, 0.0]).plot(most=0).get_xlabel() == "mean"
    pyplot.close("all")
    with pytest.raises(InputError, match="most must be 0 or more"):
        result.plot(most=-1)
