"""Reasons by cause, and cells of evidence: analytic cases."""

from __future__ import annotations

import numpy as np
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS

NAN = float("nan")


def shares(result):
    return result.pairs.set_index("label")["value"].to_dict()


def test_the_four_reasons_add_up_with_the_accuracy():
    random = np.random.default_rng(0)
    right, holds = random.random(300) < 0.7, random.integers(0, 9, 300) / 8
    elsewhere = random.integers(0, 9, 300) / 8
    result = metrics.reasons(right, holds, elsewhere)
    assert shares(result) == pytest.approx(
        {
            "right and holds": (right & (holds >= 0.75)).mean(),
            "right, turns with the surroundings": (right & (holds < 0.75)).mean(),
            "wrong, right elsewhere": (~right & (elsewhere > 0.25)).mean(),
            "wrong everywhere": (~right & (elsewhere <= 0.25)).mean(),
        }
    )
    values = list(shares(result).values())
    assert sum(values) == pytest.approx(1)
    assert sum(values[:2]) == pytest.approx(metrics.mean(right).value)
    assert float(result) == values[0]


def test_a_right_answer_needs_no_swaps_of_wrong_ones_and_the_other_way_round():
    result = metrics.reasons([1, 0, 1, 0, NAN], [1, NAN, NAN, 1, 1], [NAN, 1, 1, NAN, 1])
    assert list(shares(result).values()) == [0.5, 0, 0.5, 0]
    assert result.n == 2
    assert np.isnan(metrics.reasons([1.0], [NAN], [1.0]).value)


def test_the_threshold_is_where_it_is_set():
    assert list(shares(metrics.reasons([1, 0], [0.6, 1], [0, 0.4], threshold=0.6)).values()) == [
        0.5, 0, 0, 0.5,
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"threshold must be above 0\.5"):
        metrics.reasons([1], [1], [1], threshold=0.5)


def test_thirds_are_not_lost_to_rounding():
    nine = 0.1 + 0.2 + 0.6  # 0.8999…
    assert shares(metrics.reasons([1], [nine], [0], threshold=0.9))[REASONS[0]] == 1


def test_a_map_without_evidence_is_a_cell():
    result = metrics.evidence_cells([1, 1, NAN, 0, 1], [1, NAN, 1, 0.5, 0])
    assert list(shares(result).values()) == [0.25, 0.25, 0, 0.25, 0.25]
    assert tuple(shares(result)) == EVIDENCE_CELLS
    assert result.n == 4
    nothing = metrics.evidence_cells([NAN], [1.0])
    assert np.isnan(nothing.pairs["value"]).all()
    assert nothing.n == 0


def test_of_some_images():
    part = metrics.evidence_cells([1, 0], [1, 1], where=np.array([False, True]))
    assert (float(part), part.n) == (0, 1)
