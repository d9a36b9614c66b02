"""Audits of captions that resample scenes instead of pictures."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from fairvision import captions
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
QUICK = {"labels": "labels.csv", "rounds": 0, "replicates": 400}


@pytest.fixture
def scenes(folder):
    """The labels table with a column of scenes: ten pictures of each of four, all alike."""
    table = pd.read_csv(folder / "labels.csv")
    table.assign(scene=[f"s{row % 4}" for row in range(len(table))]).to_csv(
        "labels.csv", index=False
    )
    return folder


def test_scenes_are_resampled(scenes):
    files = ["A.json", "B.json"]
    plain = captions(files, output="plain", attribute="gender", **QUICK)
    done = captions(files, output="done", cluster="scene", **QUICK)
    plain_error, error = (of.figure("error", attribute="gender") for of in (plain, done))
    assert error.value == plain_error.value
    assert error.high - error.low > 2 * (plain_error.high - plain_error.low)
    about = json.loads((scenes / "done" / "captions.json").read_text())
    assert about["settings"]["clusters"]["clusters"] == 4
    assert any("only 4 clusters, of 'scene'" in line for line in done.verdict.warnings)
    assert "the 4 clusters of pictures with the same" in done.report.read_text()
    written = pd.read_parquet(scenes / "done" / "captions.parquet")
    assert list(written["cluster/scene"][:5]) == ["s0", "s1", "s2", "s3", "s0"]


def test_it_needs_a_column(scenes, run_cli):
    with pytest.raises(InputError, match="scenes"):
        captions("A.json", output="done", cluster="scenes", **QUICK)
    arguments = ["captions", "A.json", "--labels", "labels.csv", "--rounds", 0, "--quiet"]
    result = run_cli(*arguments, "--cluster", "scene", "-o", "shell")
    assert result.code == 0, result.err
    assert "over 4 clusters" in result.err
