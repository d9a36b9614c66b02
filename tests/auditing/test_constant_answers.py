"""A model that answers nearly the same for all images is asked about its preprocessing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import fairvision
from fairvision import datasets
from fairvision.auditing.constant_answers import nearly_constant
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning
from fairvision.schema import Task


def lines(scores, truth, many=False):
    tasks = {"sport": Task(("golf", "judo"), many)}
    values = [[("golf", "judo")[t]] if many else ("golf", "judo")[t] for t in truth]
    rows = pd.DataFrame({"id": [f"p{i}" for i in range(len(truth))], "sport": values})
    table = pd.DataFrame(np.array(scores), columns=["score/sport/golf", "score/sport/judo"])
    return list(nearly_constant(Samples("A", Dataset("", "d", {}, tasks, rows), table), "as given"))


def both(first):
    return np.stack([first, 1 - np.asarray(first)], axis=1)


def test_probabilities_that_hardly_move_and_one_answer_for_nearly_all():
    truth, random = [0, 1] * 30, np.random.default_rng(0)
    steady = "A answers sport nearly the same for every picture: is its preprocessing right"
    assert lines(both(0.9 + random.normal(0, 0.01, 60)), truth) == [f"{steady} (as given)?"]
    assert lines(both(0.5 + random.uniform(-0.4, 0.4, 60)), truth) == []
    one = both(np.where(np.arange(60) < 57, random.uniform(0.6, 1, 60), 0.1))
    assert lines(one, truth) == [
        "A answers sport by golf in 95% of the pictures, where it is true of 50%: is its "
        "preprocessing right (as given)?"
    ]
    assert lines(one, [0] * 50 + [1] * 10) == []  # as most are annotated
    assert lines(both(np.full(19, 0.5)), [0] * 19) == []  # too few to tell
    assert lines(both(np.full(60, np.nan)), truth) == []


def test_many_labels():
    still = np.full((40, 2), 0.2)
    assert len(lines(still, [0, 1] * 20, many=True)) == 1
    assert lines(np.column_stack([still[:, 0], np.arange(40) / 40]), [0, 1] * 20, many=True) == []


def test_an_audit_asks_about_the_preprocessing(tmp_path):
    data = datasets.scenes(tmp_path / "scenes", count=120, bias=0.8, size=24, seed=1)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2)
    )
    dim = fairvision.Model(network, heads={"shirt": ["striped", "dotted"]}, size=24, std=255.0)
    with pytest.warns(FairvisionWarning, match="answers shirt nearly the same") as caught:
        done = fairvision.audit(
            {"dim": dim},
            data=data.root,
            output=tmp_path / "audit",
            replicates=5,
            swaps=0,
            attribution="none",
        )
    line = next(str(w.message) for w in caught if "nearly the same" in str(w.message))
    assert "deviation 255, 255, 255" in line
    assert line in done.verdict.warnings
    assert line in done.report.read_text()
