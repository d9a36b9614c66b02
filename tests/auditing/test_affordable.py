"""Evidence by hiding parts, where nobody asked for it: of some images, and its cost is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fairvision
from fairvision import datasets
from fairvision.auditing import affordable
from fairvision.errors import FairvisionWarning

GROUPS = ["striped", "dotted"]
HOW = {"replicates": 20, "swaps": 0}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    place = tmp_path_factory.mktemp("affordable") / "drawn"
    return datasets.scenes(place, count=60, bias=0.5, size=28)


def by_redness(images):
    return [float(np.asarray(image)[..., 0].mean() / 255) for image in images]


def evidence(done):
    table = pd.read_parquet(done.folder / "api" / "samples.parquet")
    return table["evidence/occlusion/relevance_mass"].notna()


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_a_sample_unless_all_are_asked_for(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(affordable, "PICTURES", 5)
    model = fairvision.BlackBox(by_redness, heads={"shirt": GROUPS}, size=28)
    asked = {"data": drawn.root, **HOW}
    with pytest.warns(FairvisionWarning, match=r"169 times for each of 5 of 12 pictures; --attr"):
        done = fairvision.audit({"api": model}, output=tmp_path / "some", **asked)
    assert evidence(done).sum() == 5
    again = fairvision.audit({"api": model}, output=tmp_path / "again", **asked)
    assert (evidence(again) == evidence(done)).all()
    done = fairvision.audit(
        {"api": model}, output=tmp_path / "all", attribution="occlusion", **asked
    )
    assert evidence(done).sum() == 12


def test_images_without_masks_are_not_looked_at(drawn):
    truth = drawn.split("test")
    truth.samples.loc[truth.samples.index[:4], "mask"] = None
    rows = affordable.looked_at(truth)
    assert rows.tolist() == [False] * 4 + [True] * 8


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_what_a_function_does_is_told(drawn, tmp_path):
    """Answers by chance, and heads of which the data know nothing."""
    random = np.random.default_rng(0)

    def by_chance(images):
        return {"shirt": random.random(len(images)), "mood": random.random(len(images))}

    heads = {"shirt": GROUPS, "mood": ["calm", "wild"]}
    model = fairvision.BlackBox(by_chance, heads=heads, size=28)
    with pytest.warns(FairvisionWarning) as warned:
        fairvision.audit(
            {"api": model}, data=drawn.root, output=tmp_path / "a", attribution="none", **HOW
        )
    messages = [str(warning.message) for warning in warned]
    assert any(
        "api predicts mood, which the data do not have: nothing is measured of that" in message
        for message in messages
    )
    assert any("api does not answer the same when it is asked again" in text for text in messages)
