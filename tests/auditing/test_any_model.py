"""Audits of models that no run made: a function without gradients, and a torch module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import fairvision
from fairvision import datasets
from fairvision.attribution import WITHOUT_GRADIENTS, attribute
from fairvision.attribution.maps import module_of
from fairvision.auditing import gallery
from fairvision.auditing.collect import check_agrees, collect
from fairvision.auditing.leaning import lean
from fairvision.auditing.material import of_models
from fairvision.auditing.measures import measure
from fairvision.auditing.sanity import examine
from fairvision.core.files import read_json
from fairvision.datasets import FILLS
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models import Model, probabilities
from fairvision.schema import Schema, Task

SIZE, CPU = 32, torch.device("cpu")


@dataclass
class FunctionModel:
    """What a function of images is audited as."""

    schema: Schema
    name: str = "function"
    size: int = SIZE
    device: torch.device = CPU
    module: None = None

    def __str__(self):
        return f"function {self.name!r}"

    def predict(self, images):
        """Tell shirts by the mean of each colour, and nothing of contexts."""
        contexts = torch.ones(len(images), len(self.schema.labels("context")))
        return {
            "shirt": (8 * images.mean(dim=(2, 3))).softmax(dim=1),
            "context": contexts / contexts.shape[1],
        }


class Named(nn.Module):
    def __init__(self, module, head):
        super().__init__()
        self.module, self.head = module, head

    def forward(self, images):
        return {self.head: self.module(images)}


@dataclass
class ModuleModel:
    """What any module that returns logits of one head is audited as."""

    schema: Schema
    module: nn.Module
    name: str = "module"
    size: int = SIZE
    device: torch.device = CPU

    @torch.inference_mode()
    def predict(self, images):
        return probabilities(self.module(images), self.schema)


@pytest.fixture(scope="module")
def tested(world):
    return datasets.load(world).split("test")


@pytest.fixture(scope="module")
def regions(world):
    return datasets.read_regions(datasets.load(world))


@pytest.fixture(scope="module")
def function(tested):
    return FunctionModel(tested.schema)


@pytest.fixture(scope="module")
def bare(tested):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )
    return ModuleModel(tested.schema.subset(["shirt"]), Named(layers.eval(), "shirt"))


def test_they_are_models(function, bare, tested):
    for model in (function, bare):
        assert isinstance(model, Model)
        check_agrees(model, tested)
    with pytest.raises(InputError, match="function 'function' knows shirt as x, y, z, but dataset"):
        check_agrees(FunctionModel(Schema({"shirt": ("x", "y", "z")})), tested)


@pytest.mark.parametrize("method", WITHOUT_GRADIENTS)
def test_a_function_is_collected_with_evidence_from_hiding_parts(function, tested, method):
    samples = collect(function, tested, attribution=method, batch_size=16)
    assert samples.model == "function"
    assert np.ptp(samples.probabilities("score", "context")) == 0
    scores = samples.probabilities("hidden", "shirt")
    assert scores.sum(axis=1) == pytest.approx(1)
    assert np.isfinite(samples.evidence("pointing_game", "shirt")).any()
    chosen = list(gallery.choose([samples], "shirt"))
    images = gallery.draw([samples], [function], "shirt", chosen, methods=[method])
    assert len(images) == len(chosen) > 0


def test_maps_of_a_function_that_only_decides_are_finite(tested):
    class Decides(FunctionModel):
        def predict(self, images):
            left, right = images[:, 0].mean(dim=1).chunk(2, dim=1)
            decided = left.sum(dim=1) > right.sum(dim=1)
            return {"shirt": torch.stack([decided, ~decided], dim=1).float()}

    images = torch.zeros(1, 3, 14, 14)
    images[..., :2] = 1
    module = module_of(Decides(tested.schema), "occlusion")
    maps = attribute(
        module, images, 0, "occlusion", head="shirt", baseline=0.0, window=14, stride=1
    )
    assert maps.isfinite().all()
    assert (maps > 0).any()


def test_what_needs_gradients_says_so_in_a_line(function, tested):
    with pytest.raises(InputError) as error:
        collect(function, tested, attribution="gradcam")
    assert str(error.value) == (
        "function 'function' has no gradients, which gradcam needs: choose occlusion, "
        "feature_ablation or rise"
    )
    with pytest.raises(InputError, match="has no weights to shuffle, as sanity checks do"):
        examine(function, tested)


def test_a_function_is_asked_with_things_hidden(function, tested, regions):
    table = lean(function, tested, regions)
    assert {"", "person", "context"} <= set(table["label"])
    whole = table[table["label"] == ""].filter(like="hidden/shirt/").to_numpy()
    assert whole.sum(axis=1) == pytest.approx(1)


def test_a_module_is_collected_judged_and_drawn(bare, tested, regions):
    samples = collect(bare, tested, batch_size=16)
    pixels = datasets.open_pixels(tested, SIZE)
    (batch,) = datasets.batches(tested, pixels, len(tested))
    with torch.inference_mode():
        expected = bare.module(batch.images)["shirt"].softmax(dim=1)
    np.testing.assert_allclose(samples.probabilities("score", "shirt"), expected, atol=1e-6)
    assert samples.probabilities("score", "context") is None
    maps = attribute(bare.module, batch.images, batch.attributes["shirt"], head="shirt")
    inside = fairvision.metrics.pointing_game(maps.numpy(), batch.masks[:, 0].numpy() > 0)
    np.testing.assert_array_equal(samples.evidence("pointing_game", "shirt"), inside)
    rows = examine(bare, tested, images=6, replicates=10)
    assert set(rows["model"]) == {"module"}
    table = lean(bare, tested, regions)
    assert len(table) >= 3 * len(tested)


def test_an_audit_asks_them_all(function, bare, world):
    material = of_models(
        *([function, bare], datasets.load(world), "test"),
        attribution="occlusion",
        leaning=None,
        sanity=False,
        sanity_pictures=1,
        swaps=2,
        fill=FILLS[0],
        replicates=5,
        seed=0,
    )
    assert material.names == list(material.leaning) == ["function", "module"]
    table = measure(material.models, material.reference, replicates=5)
    rows = table[(table["metric"] == "accuracy") & (table["attribute"] == "shirt")]
    assert set(rows["model"]) == {"function", "module", "module - function"}


def test_they_predict_and_are_explained(function, bare, tested, tmp_path):
    files = [tested.root / image for image in tested.samples["image"][:3]]
    for model in (function, bare):
        table = fairvision.predict(model, files)
        assert len(table) == 3
        assert set(table["answer/shirt"]) <= set(tested.attributes["shirt"])
        folder = fairvision.explain(model, files[:1], output=tmp_path / model.name)
        about = read_json(folder / "explain.json")
        assert about["run"] == model.name
        assert about["method"] == ("occlusion" if model is function else "hirescam")
        assert ("activations" in about["pictures"][0]) == (model is bare)
    with pytest.raises(InputError, match="has no gradients, which saliency needs"):
        fairvision.explain(function, files, output=tmp_path / "no", method="saliency")


def test_one_label_or_many(tested):
    schema = Schema({}, {"one": Task(("a", "b")), "many": Task(("a", "b"), many=True)})
    scores = probabilities({"one": torch.zeros(1, 2), "many": torch.zeros(1, 2)}, schema)
    assert scores["one"].sum() == scores["many"].sum() == 1
    logits = torch.tensor([[2.0, -1.0]])
    assert probabilities({"many": logits}, schema)["many"].sum() != 1


def test_models_that_no_run_made_are_audited(function, bare, world, tmp_path):
    options = {"attribution": "occlusion", "replicates": 5, "device": "cpu", "cache": "never"}
    with pytest.warns(FairvisionWarning):
        done = fairvision.audit([function, bare], output=tmp_path / "a", data=world, **options)
    assert {"function", "module"} <= set(done.metrics["model"])
    assert (tmp_path / "a" / "report.html").read_text().count("function") > 1
    for runs, more, problem in [
        ([function], {}, "need data"),
        ({"a": function}, {"data": world, "names": ["x"]}, "models have names already"),
        ([function, "run"], {"data": world}, "run is not a run folder|no such|missing|not there"),
        ([function, function], {"data": world}, "names of the models must differ"),
    ]:
        with pytest.raises(InputError, match=problem):
            fairvision.audit(runs, output=tmp_path / "b", **more, **options)


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        ({}, "predicts nothing for 'context'"),
        ({"context": torch.ones(1, 7)}, r"shape \(1, 7\) for 'context': \(.*\) is expected"),
        ({"context": 22.0}, "'context' by numbers outside of 0 to 1"),
        ({"context": 0.01}, "the probabilities of 'context' do not sum to 1"),
        ({"context": "one label"}, "'context' by NaN for some labels of an image only"),
    ],
)
def test_predictions_that_are_no_probabilities_are_refused(tested, scores, problem):
    class Strange(FunctionModel):
        def predict(self, images):
            predicted = super().predict(images)
            context = predicted.pop("context")
            for head, values in scores.items():
                is_number = isinstance(values, float)
                predicted[head] = torch.full_like(context, values) if is_number else values
                if values == "one label":
                    predicted[head] = context.clone()
                    predicted[head][0, 0] = float("nan")
            return predicted

    with pytest.raises(InputError, match=problem):
        collect(Strange(tested.schema), tested, attribution="occlusion")
