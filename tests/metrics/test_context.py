from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairvision import metrics


def test_sizes_of_groups_cancel() -> None:
    """3 of 30 women and 2 of 10 men: the label is typical of men."""
    labels = ["tie"] * 3 + ["kite"] * 27 + ["tie"] * 2 + ["kite"] * 8
    groups = ["f"] * 30 + ["m"] * 10
    assert metrics.context_typical_group(labels, groups, ["tie", "kite"]).tolist() == ["m", "f"]


def test_ties_are_exact() -> None:
    """6 of 15 and 10 of 25 are the same share."""
    labels, groups = [1] * 6 + [0] * 9 + [1] * 10 + [0] * 15, [0] * 15 + [1] * 25
    assert metrics.context_typical_group(labels, groups, [0, 1]).tolist() == [-1, -1]


def test_training_may_be_counted() -> None:
    """3 of 30 women and 2 of 10 men, as four cells."""
    found = metrics.context_typical_group(
        ["tie", "kite", "tie", "kite"],
        ["f", "f", "m", "m"],
        ["tie", "kite"],
        train_counts=[3, 27, 2, 8],
    )
    assert found.tolist() == ["m", "f"]


def test_no_one_group() -> None:
    labels, groups = ["a", "b"], ["f", "m"]
    found = metrics.context_typical_group(labels, groups, ["new", None, "a"])
    assert found.tolist() == [None, None, "f"]
    table = [[1, 0], [0, 1], [0, 0]]
    new = [[1, 1], [0, 0], [-1, 0], [1, 0]]
    assert metrics.context_typical_group(table, [3, 7, 7], new).tolist() == [-1, -1, -1, 3]
    assert metrics.context_typical_group(["a"], [None], ["a"]).tolist() == [-1]


def test_groups_are_given_back_as_they_came() -> None:
    codes = metrics.context_typical_group([0, 1], [2, 5], [1, 0])
    assert codes.dtype == np.int64
    assert codes.tolist() == [5, 2]
    names = pd.Categorical(["f", "m"], categories=["m", "f", "x"])
    assert metrics.context_typical_group([0, 1], names, [1, 0]).tolist() == ["m", "f"]


@given(
    arrays(np.int8, (12, 3), elements=st.integers(0, 1)),
    arrays(np.int8, 12, elements=st.integers(-1, 2)),
    arrays(np.int8, (5, 3), elements=st.integers(0, 1)),
)
def test_definition_in_fractions(train: np.ndarray, groups: np.ndarray, new: np.ndarray) -> None:
    known = sorted({*groups.tolist()} - {-1})
    expected = []
    for row in new:
        scores = dict.fromkeys(known, Fraction(0))
        for label in np.flatnonzero(row):
            of = {
                g: Fraction(int(train[groups == g, label].sum()), int((groups == g).sum()))
                for g in known
            }
            if sum(of.values()):
                for group in known:
                    scores[group] += of[group] / sum(of.values())
        best = [g for g in known if scores[g] == max(scores.values())]
        expected.append(best[0] if len(best) == 1 and scores[best[0]] > 0 else -1)
    assert metrics.context_typical_group(train, groups, new).tolist() == expected
