"""The audited images as a table, and those of them that somebody asks for."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import fairvision
from fairvision import datasets
from fairvision.errors import FairvisionWarning, InputError


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """An audit of two models on drawn people, with swaps and a task."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("audited")
    data = datasets.scenes(folder / "data", count=60, bias=0.8, size=32)
    torch.manual_seed(0)
    heads = {"shirt": data.attributes["shirt"]}
    networks = [
        nn.Sequential(nn.Conv2d(3, 4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2))
        for _ in range(2)
    ]
    models = {name: fairvision.Model(n, heads, size=32) for name, n in zip("AB", networks)}
    quick = {"swaps": 2, "replicates": 20, "sanity": False, "leaning": False}
    quick |= {"attribution": "saliency", "seed": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        return fairvision.audit(models, data=data.root, output=folder / "audit", **quick)


def test_a_row_for_each_image_and_model(audit):
    table = audit.images()
    assert list(table["model"]) == ["A"] * 12 + ["B"] * 12
    assert {"shirt", "context", "answer/shirt", "right/shirt", "reason/shirt"} <= set(table)
    assert "answer/context" not in table  # nobody was asked
    right = table["answer/shirt"] == table["shirt"]
    assert (table["right/shirt"] == right).all()
    assert table["probability/shirt"].between(0.5, 1).all()
    of_a = table[table["model"] == "A"]
    assert (
        audit.figure("accuracy", model="A", attribute="shirt").value == of_a["right/shirt"].mean()
    )


def test_conditions(audit):
    table = audit.images()
    reason = table["reason/shirt"].dropna().iloc[0]
    by_name = audit.images(where={"reason": reason})
    assert set(by_name["reason/shirt"]) == {reason}
    assert len(by_name) == (table["reason/shirt"] == reason).sum()
    one = audit.images(where={"reason/shirt": reason, "model": "B"})
    assert len(one) == (by_name["model"] == "B").sum()
    places = list(table["context"].unique()[:2])
    assert set(audit.images(where={"context": places})["context"]) == set(places)
    unsure = audit.images(where=lambda images: images["probability/shirt"] < 0.6)
    assert (unsure["probability/shirt"] < 0.6).all()
    pd.testing.assert_frame_equal(
        audit.images(where=table["model"] == "A"), audit.images({"model": "A"})
    )
    pd.testing.assert_frame_equal(audit.images(where={}), table)
    assert audit.images(where={"model": "C"}).empty


def test_paths_of_the_files(audit):
    table = audit.images({"model": "A"}, data=audit.folder.parent / "data")
    for path in (*table["image"], *table["mask"]):
        assert datasets.read_image(path).size == (32, 32)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"reasn": "x"}, "no column 'reasn': did you mean reason?"),
        (
            {"reason": "right, turns with surroundings"},
            "no reason is 'right, turns with surroundings': did you mean right, turns with the "
            "surroundings?",
        ),
        (np.ones(3, bool), "where has to be a mask of 24 booleans, one for each row"),
        (lambda images: images["id"], "where has to be a mask of 24 booleans"),
    ],
)
def test_conditions_that_are_none(audit, where, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        audit.images(where=where)


def test_a_changed_audit_is_refused(audit, tmp_path):
    import shutil

    shutil.copytree(audit.folder, tmp_path / "audit")
    path = tmp_path / "audit" / "A" / "samples.parquet"
    pd.read_parquet(path).iloc[:5].to_parquet(path)
    from fairvision.auditing.image_table import image_table

    with pytest.raises(InputError, match="was changed"):
        image_table(tmp_path / "audit")
