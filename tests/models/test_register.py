"""Networks from outside of fairvision: registered by a call or by an entry point of a package."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import fairvision
from fairvision import models, runs
from fairvision.core import plugins
from fairvision.core.files import write_json
from fairvision.errors import InputError
from fairvision.models import backbones


def build(size):
    features = nn.Sequential(nn.AvgPool2d(size // 2), nn.Flatten())
    return nn.Sequential(features, nn.Linear(12, 5), nn.ReLU(inplace=True))


@pytest.fixture(autouse=True)
def only_for_the_test():
    yield
    backbones._ARCHITECTURES.reset()


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for i in range(24):
        group = ("red", "blue")[i % 2]
        Image.new("RGB", (12, 12), group).save(folder / f"{i}.png")
        split = ("train", "val", "test")[0 if i < 12 else 1 if i < 18 else 2]
        rows.append({"id": str(i), "image": f"{i}.png", "split": split, "colour": group})
    pd.DataFrame(rows).to_csv(folder / "samples.csv", index=False)
    about = {
        "name": "colours",
        "source": "",
        "licence": "",
        "attributes": {"colour": ["red", "blue"]},
    }
    write_json(folder / "dataset.json", about | {"tasks": {}})
    return folder


def test_a_registered_network_is_trained_loaded_and_audited(data, tmp_path):
    models.register("tiny", build, size=16)
    assert "tiny" in models.names()
    assert models.default_size("tiny") == models.default_size("tiny", (12, 12)) == 16
    options = {"method": "baseline", "model": "tiny", "epochs": 2, "device": "cpu"}
    fairvision.train(data, output=tmp_path / "run", **options)
    run = runs.load(tmp_path / "run")
    assert run.size == 16
    assert isinstance(runs.network(run).backbone[1], nn.Linear)
    table = fairvision.predict(run, data / "0.png", device="cpu")
    assert np.isfinite(table["score/colour/red"]).all()
    with pytest.warns(fairvision.errors.FairvisionWarning):
        audit = fairvision.audit(
            [tmp_path / "run"], output=tmp_path / "audit", replicates=2, device="cpu"
        )
    assert (audit.metrics["metric"] == "accuracy").any()


def test_a_classifier_loses_its_last_layer_and_takes_weights_from_a_file(tmp_path):
    models.register("classifier", lambda size: nn.Sequential(build(size), nn.Linear(5, 9)), size=8,
                    has_classifier=True)  # fmt: skip
    base = models.backbone("classifier", 8)
    assert (base.width, base.classifier) == (5, ("1",))
    whole = nn.Sequential(build(8), nn.Linear(5, 9))
    torch.save(whole.state_dict(), tmp_path / "weights.pt")
    network = models.build("classifier", {"a": 2}, size=8, weights=str(tmp_path / "weights.pt"))
    torch.testing.assert_close(network.backbone[0][1].weight, whole[0][1].weight)
    with pytest.raises(InputError, match="neither a file nor a run nor published for classifier"):
        models.build("classifier", {"a": 2}, size=8, weights="DEFAULT")


def test_an_entry_point_is_loaded_when_the_network_is_used(monkeypatch):
    module = ModuleType("outside")
    module.build = build
    module.spec = models.Architecture(build, size=20, keeps_small_images=True)
    monkeypatch.setitem(sys.modules, "outside", module)
    entries = [
        EntryPoint(name, value, "fairvision.networks")
        for name, value in (("plain", "outside:build"), ("sized", "outside:spec"))
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)
    backbones._ARCHITECTURES.reset()
    assert {"plain", "sized"} <= set(models.names())
    assert models.backbone("plain", 16).width == 5
    assert (models.default_size("plain"), models.default_size("sized")) == (224, 20)
    images = (12, 9)
    assert [models.default_size(name, images) for name in ("plain", "sized")] == [224, 12]
    assert models.SMALL == ("lecture_cnn", "small_cnn")


@pytest.mark.parametrize("name", ["small_cnn", "resnet18"])
def test_a_name_belongs_to_one_network(name):
    with pytest.raises(InputError, match=f"there is a network '{name}' already"):
        models.register(name, build)
    models.register("tiny", build, size=16)
    models.register("tiny", build, size=16)
    with pytest.raises(InputError, match="there is a network 'tiny' already"):
        models.register("tiny", build, size=17)
