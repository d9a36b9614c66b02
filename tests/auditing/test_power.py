"""What gaps a dataset can show."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.auditing.power import detectable_gaps
from fairvision.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A dataset of 100, 50 and 50 people of three ages, four pictures of each."""
    data = tmp_path / "data"
    data.mkdir()
    person = np.arange(800) // 4
    rows = pd.DataFrame(
        {
            "id": np.arange(800),
            "image": [f"{i}.png" for i in range(800)],
            "mask": None,
            "split": np.where(person % 2 == 0, "test", "train"),
            "who": person,
            "age": np.array(["young", "grown", "old", "unknown"])[np.minimum(person // 50, 3)],
        }
    )
    rows.to_csv(data / "samples.csv", index=False)
    described = {"name": "few", "attributes": {"age": ["young", "grown", "old"]}, "tasks": {}}
    (data / "dataset.json").write_text(json.dumps(described))
    return data


def test_it_is_of_each_two_groups(folder):
    gaps = detectable_gaps(folder)
    assert len(gaps) == 9
    assert list(gaps["n"].unique()) == [100]
    assert gaps["gap"][0] == float(metrics.detectable_gap(100, 100, accuracy=0.7))
    assert (gaps["effective"] == gaps["n"]).all()
    several = detectable_gaps(folder, split="train", accuracies=[0.5], power=0.9)
    assert several["gap"].iloc[0] == float(
        metrics.detectable_gap(100, 100, accuracy=0.5, power=0.9)
    )


def test_people_say_less(folder):
    gaps = detectable_gaps(folder, cluster="who", correlation=1)
    assert gaps["effective"].tolist() == [25] * 9
    assert gaps["gap"][1] == float(metrics.detectable_gap(25, 25))
    assert (gaps["gap"] > detectable_gaps(folder, cluster="who")["gap"]).all()


def test_what_is_not_there_is_one_line(folder):
    with pytest.raises(InputError, match="no pictures of split 'val'"):
        detectable_gaps(folder, split="val")
    with pytest.raises(InputError, match="no column 'whom'"):
        detectable_gaps(folder, cluster="whom")


def test_in_the_shell(folder, run_cli):
    alone = detectable_gaps(folder, cluster="id")  # every image is a cluster
    assert alone["gap"].equals(detectable_gaps(folder)["gap"])
    assert "add it" in run_cli("data", "show", folder, "--cluster", "who").err
    result = run_cli("data", "show", folder, "--power", "--cluster", "who")
    assert result.code == 0, result.err
    assert "age: smallest gap in accuracy that split test can show, in points" in result.out
    assert "young, grown" in result.out
    assert "100, 100" in result.out
    assert "40, 40" in result.out
    result = run_cli("data", "show", folder, "--power", "--json")
    told = json.loads(result.out)
    assert len(told["gaps"]) == 9
    assert told["gaps"][0]["gap"] == pytest.approx(detectable_gaps(folder)["gap"][0])


def test_without_attributes_there_are_no_groups(folder, run_cli):
    described = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**described, "attributes": {}}))
    assert not len(detectable_gaps(folder))
    assert "there are no groups" in run_cli("data", "show", folder, "--power").out
