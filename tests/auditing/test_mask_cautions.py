"""Audits on predicted masks say so, and which gaps are smaller than that of the masks."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairvision import audit, datasets
from fairvision.auditing.mask_cautions import predicted_masks, with_gap_of_masks
from fairvision.auditing.tables import Samples
from fairvision.core.files import read_json
from fairvision.datasets.predicted_masks import Agreement, PredictedMasks
from fairvision.errors import FairvisionWarning

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def made(gap):
    return PredictedMasks(
        ("red",), 0.5, (Agreement("iou_gap", "group", "", gap, gap - 0.01, gap + 0.01, 40),)
    )


def samples_with(masks):
    table = pd.DataFrame({"id": ["p"], "split": ["test"], "group": ["a"]})
    truth = datasets.Dataset(".", "x", {"group": ("a", "b")}, {}, table, predicted_masks=masks)
    return [Samples("A", truth, pd.DataFrame(index=[0]))]


def rows(*figures):
    columns = ["metric", "group", "value"]
    table = pd.DataFrame(figures, columns=columns)
    return table.assign(model="A", attribute="group", task="", label="")


FIGURES = rows(
    ("accuracy", "a", 0.5),
    ("accuracy", "b", 0.6),
    ("hidden_accuracy", "", 0.6),
    ("hidden_accuracy", "a", 0.60),
    ("hidden_accuracy", "b", 0.65),
    ("hidden_accuracy", "unknown", 0.1),
    ("pointing_game", "a", 0.2),
    ("pointing_game", "b", 0.5),
    ("holds", "a", 0.2),
    ("holds", "b", np.nan),
)


@pytest.mark.parametrize(
    ("gap", "named"),
    [(0.1, "hidden_accuracy 0.050"), (0.01, None), (0.4, "hidden_accuracy 0.050, pointing"),
     (np.nan, None)],
)  # fmt: skip
def test_gaps_that_the_masks_do_not_show(gap, named):
    lines = [*predicted_masks(samples_with(made(gap)), FIGURES)]
    assert lines[0].startswith("masks are predicted by red")
    told = [line for line in lines if "are not shown by these masks" in line]
    assert len(told) == (named is not None)
    if named is not None:
        assert told[0].startswith("group, A: gaps between groups that are smaller than that of")
        assert named in told[0]
        assert "holds" not in told[0]


def test_intervals_of_gaps_reach_further_by_the_gap_of_the_masks():
    gaps = rows(
        ("holds_gap", "", 0.08), ("pointing_game_gap", "", 0.04), ("accuracy_gap", "", 0.3)
    ).assign(low=0.03, high=0.13)
    other = gaps.assign(model="B - A")
    task = gaps.assign(task="animal")
    table = pd.concat([gaps, other, task], ignore_index=True)
    wide = with_gap_of_masks(samples_with(made(0.05)), table)
    np.testing.assert_allclose(wide["low"], [-0.02, -0.02, *[0.03] * 7])
    np.testing.assert_allclose(wide["high"], [0.18, 0.18, *[0.13] * 7])
    lines = [*predicted_masks(samples_with(made(0.05)), pd.concat([FIGURES, gaps]))]
    assert any("reach 0.050 further to both sides" in line for line in lines)
    for masks in (None, PredictedMasks(("red",), 0.5)):
        pd.testing.assert_frame_equal(with_gap_of_masks(samples_with(masks), table), table)


def test_the_gap_may_be_stated_by_group():
    of_groups = [
        Agreement("iou", "group", name, iou, np.nan, np.nan, 90)
        for name, iou in (("a", 0.7), ("b", 0.8), ("c", np.nan))
    ]
    stated = PredictedMasks(("red",), 0.5, tuple(of_groups))
    lines = [*predicted_masks(samples_with(stated), FIGURES)]
    assert "own IoU, 0.100, are not shown by these masks: hidden_accuracy 0.050" in lines[-1]
    assert PredictedMasks(("red",), 0.5, tuple(of_groups[1:])).gap("group") is None


def test_nothing_is_said_of_drawn_masks_and_figures_without_masks():
    assert not [*predicted_masks(samples_with(None), FIGURES)]
    alone = FIGURES[FIGURES["metric"] == "accuracy"]
    assert not [*predicted_masks(samples_with(made(0.1)), alone)]


def test_audits_say_that_masks_are_predicted(world, two_runs, tmp_path):
    dataset = datasets.load(world)
    place = tmp_path / "made"
    shutil.copytree(world, place)
    datasets.save(replace(dataset, root=place, predicted_masks=made(0.1)), place)
    options = {"leaning": False, "sanity": False, "replicates": 5}
    with pytest.warns(FairvisionWarning, match="masks are predicted by red"):
        done = audit(two_runs[0], data=place, output=tmp_path / "a", swaps=0, **options)
    assert any("masks are predicted by red" in line for line in done.verdict.warnings)
    page = (tmp_path / "a" / "report.html").read_text()
    assert "Masks of people" in page
    assert read_json(tmp_path / "a" / "audit.json")["settings"]["masks"] == "red"
    again = audit(
        predictions=tmp_path / "a" / "A" / "samples.parquet", output=tmp_path / "b", replicates=5
    )
    assert any("masks are predicted by red" in line for line in again.verdict.warnings)
    plain = pd.read_parquet(tmp_path / "a" / "A" / "samples.parquet")
    plain.attrs = {}
    plain.to_parquet(tmp_path / "plain.parquet")
    other = audit(
        predictions=tmp_path / "plain.parquet", data=place, output=tmp_path / "c", replicates=5
    )
    assert any("masks are predicted by red" in line for line in other.verdict.warnings)
