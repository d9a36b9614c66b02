"""Figures by cause of tables made elsewhere, which may have some of the columns only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairvision.auditing.cautions import left_out
from fairvision.auditing.measures import measure
from fairvision.auditing.tables import read_predictions
from fairvision.metrics.causes import REASONS

N = 60


@pytest.fixture
def audited(tmp_path):
    """Return a function from columns of swaps to the figures by cause, and what is left out."""

    def of(groups: int, **columns):
        random = np.random.default_rng(groups)
        truth = np.arange(N) % groups
        answer = np.where(random.random(N) < 0.7, truth, (truth + 1) % groups)
        names = list("abc")[:groups]
        table = pd.DataFrame({"id": [f"p{i}" for i in range(N)], "hat": np.take(names, truth)})
        for code, name in enumerate(names):
            table[f"score/hat/{name}"] = (answer == code).astype(float)
        for kind, values in columns.items():
            table[f"{kind}/hat"] = values
        table.to_parquet(tmp_path / "mine.parquet")
        models, *_ = read_predictions([tmp_path / "mine.parquet"], ["mine"], split="test")
        figures = measure(models, None, replicates=5)
        whole = figures[figures["group"] == ""].set_index(["metric", "label"])[["value", "n"]]
        return whole, answer == truth, left_out(models, None)

    return of


def eighths(seed: int, undefined: slice = slice(0, 0)):
    values = np.random.default_rng(seed).integers(0, 9, N) / 8
    values[undefined] = np.nan
    return values


def test_of_two_groups_holds_says_what_is_right_elsewhere(audited):
    holds = eighths(1, slice(0, 20))
    figures, right, lines = audited(2, holds=holds)
    by_hand = np.where(right, holds, 1 - holds)
    assert figures.loc[("swapped_accuracy", "")].tolist() == [
        pytest.approx(np.nanmean(by_hand)),
        40,
    ]
    assert figures.loc[("holds", "")].tolist() == [
        pytest.approx(np.nanmean(holds[right])),
        right[20:].sum(),
    ]
    assert not any("right reasons" in line for line in lines)


def test_of_three_groups_holds_alone_gives_no_reasons_and_that_is_told(audited):
    holds = eighths(1)
    figures, right, lines = audited(3, holds=holds)
    assert figures.loc[("holds", ""), "value"] == pytest.approx(holds[right].mean())
    assert "reasons" not in figures.index.get_level_values("metric")
    (line,) = [line for line in lines if "right reasons" in line]
    assert line.endswith("(of more than two groups this needs swapped_right/hat beside holds/hat)")


@pytest.mark.parametrize("other", ["swapped_right", "same_swapped_right"])
@pytest.mark.parametrize("lacking", ["holds", "other"])
def test_reasons_add_up_with_the_accuracy_where_some_swaps_are_undefined(audited, other, lacking):
    undefined = {"holds": slice(0, 0), "other": slice(0, 0), lacking: slice(0, 20)}
    columns = {"holds": eighths(1, undefined["holds"]), other: eighths(2, undefined["other"])}
    figures, right, _ = audited(3, **columns)
    shares = figures.loc["reasons"].loc[list(REASONS)]
    assert (shares["n"] == 40).all()
    assert shares["value"].sum() == pytest.approx(1)
    assert shares["value"].iloc[:2].sum() == pytest.approx(right[20:].mean())
