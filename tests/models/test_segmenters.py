"""Networks that say where people are: torchvision's with random weights, and TensorFlow Lite."""

from __future__ import annotations

import sys
import zipfile
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fairvision.errors import InputError
from fairvision.models import segmenters
from fairvision.models.lite import load_lite
from fairvision.models.segmenters import load_segmenter, segmenter_names

SMALL = "lraspp_mobilenet_v3_large"


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_names():
    assert {SMALL, "deeplabv3_mobilenet_v3_large", "maskrcnn_resnet50_fpn"} <= {*segmenter_names()}
    assert "fasterrcnn_resnet50_fpn" not in segmenter_names()


def test_a_semantic_network_with_weights_of_a_file(tmp_path, image):
    torch.manual_seed(0)
    network = segmenters._network(SMALL, ["x"] * 21)
    state = network.state_dict()
    assert len(state) > 100
    save_file({**state, "aux_classifier.0.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    segmenter = load_segmenter(f"{SMALL}={tmp_path}/w.safetensors", device="cpu")
    share = segmenter.predict(image)
    assert share.shape == (20, 30)
    assert share.dtype == np.float32
    assert ((share > 0) & (share < 1)).all()
    assert segmenter.name == f"torchvision {SMALL} (w.safetensors)"
    np.testing.assert_array_equal(load_segmenter(f"torchvision:{SMALL}={tmp_path}/w.safetensors",
                                                 device="cpu").predict(image), share)  # fmt: skip


def test_the_person_is_the_class_of_that_name(image):
    def network(batch):
        scores = torch.full((1, 21, 5, 5), -9.0)
        scores[:, 15, :, :3] = 9
        return {"out": scores}

    module = Wrapped(network)
    share = segmenters._semantic(module, lambda pixels: pixels.float(), 15, image)
    assert share.shape == (20, 30)
    assert (share[:, :12] > 0.9).all()
    assert (share[:, -8:] < 0.1).all()


class Wrapped(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.device = function, torch.nn.Parameter(torch.zeros(1))

    def forward(self, batch):
        return self.function(batch)


@pytest.mark.parametrize("people", [0, 1, 2])
def test_instances_of_people_are_taken_together(image, people):
    def network(batch):
        masks = torch.zeros(3, 1, 20, 30)
        masks[0, 0, :4], masks[1, 0, 10:, :5], masks[2] = 0.9, 0.7, 1
        labels = torch.tensor([1 if people > 0 else 2, 1 if people > 1 else 2, 18])
        return [{"masks": masks, "labels": labels, "scores": torch.ones(3)}]

    share = segmenters._instances(Wrapped(network), lambda pixels: pixels.float(), 1, image)
    expected = np.zeros((20, 30), np.float32)
    expected[:4], expected[10:, :5] = 0.9 * (people > 0), 0.7 * (people > 1)
    np.testing.assert_allclose(share, expected)


def test_networks_of_instances_see_large_images_smaller():
    sizes = []

    def network(batch):
        sizes.append(tuple(batch[0].shape))
        return [{"masks": torch.zeros(0, 1, *batch[0].shape[1:]), "labels": torch.zeros(0)}]

    large = np.zeros((1000, 2666, 3), np.uint8)
    share = segmenters._instances(Wrapped(network), lambda pixels: pixels.float(), 1, large)
    assert sizes == [(3, 500, 1333)]
    assert share.shape == (1000, 2666)
    assert not share.any()


def test_weights_that_cannot_be_had(monkeypatch, tmp_path):
    from torchvision.models._api import WeightsEnum

    def refuse(self, *args, **kwargs):
        assert kwargs["weights_only"]
        raise OSError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(InputError, match=f"cannot download weights .* of {SMALL} from https"):
        load_segmenter(SMALL)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="do not fit the network"):
        load_segmenter(f"{SMALL}={tmp_path}/other.safetensors")
    with pytest.raises(InputError, match="there is no segmenter 'resnet50': give a"):
        load_segmenter("resnet50")


def test_published_weights(monkeypatch, image):
    torch.manual_seed(0)
    state = segmenters._network(SMALL, ["x"] * 21).state_dict()
    monkeypatch.setattr(segmenters, "_published", lambda name, published: state)
    segmenter = load_segmenter(SMALL, device="cpu")
    assert segmenter.name == f"torchvision {SMALL} (COCO_WITH_VOC_LABELS_V1)"
    assert segmenter.predict(image).shape == (20, 30)


def test_real_people_are_found_by_tensorflow_lite(shared, tmp_path):
    from fairvision.datasets import load, read_image, read_mask

    pytest.importorskip("ai_edge_litert")
    file = shared / "weights" / "selfie_segmentation.tflite"
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as archive:
        archive.write(file, "modules/selfie/selfie_segmentation.tflite")
        archive.writestr("x/__init__.py", "raise SystemExit('executed')")
    segmenters = [
        load_segmenter(str(file)),
        load_segmenter(f"{tmp_path}/some.whl!modules/selfie/selfie_segmentation.tflite"),
    ]
    assert segmenters[0].name == segmenters[1].name
    assert segmenters[0].name.startswith("selfie_segmentation.tflite (sha256 9ee168ec")
    dataset = load(shared / "data" / "coco-gender").split("test")
    ious = []
    for image, mask in zip(dataset.samples["image"][:20], dataset.samples["mask"]):
        pixels = np.asarray(read_image(dataset.root / image))
        share, again = (segmenter.predict(pixels) for segmenter in segmenters)
        np.testing.assert_array_equal(share, again)
        person = read_mask(dataset.root / mask, pixels.shape[1::-1])
        ious.append((person & (share > 0.5)).sum() / (person | (share > 0.5)).sum())
    assert np.mean(ious) > 0.6
    with pytest.raises(InputError, match=r"holds no .b\.tflite.: it has .modules/selfie/"):
        load_segmenter(f"{tmp_path}/some.whl!b.tflite")


def test_files_that_are_no_networks(tmp_path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "a.tflite").write_bytes(b"\x00" * 4 + b"TFL3" + bytes(100))
    with pytest.raises(InputError, match=r"a\.tflite is not valid TensorFlow Lite"):
        load_segmenter(f"{tmp_path}/a.tflite")
    with pytest.raises(InputError, match=r"b\.tflite does not exist"):
        load_segmenter(f"{tmp_path}/b.tflite")
    with pytest.raises(InputError, match="is not valid zip"):
        load_segmenter(f"{tmp_path}/a.tflite!x.tflite")
    with zipfile.ZipFile(tmp_path / "bare.whl", "w") as archive:
        archive.writestr("x.py", "")
    with pytest.raises(InputError, match=r"holds no file that ends in \.tflite"):
        load_segmenter(f"{tmp_path}/bare.whl!x.tflite")


def test_without_the_extra(monkeypatch, tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"ai_edge_litert is not installed: .*fairvision\[masks\]"):
        load_segmenter(f"{tmp_path}/a.tflite")


class Interpreter:
    """A network that says the red of each pixel."""

    takes, gives, kind = (1, 8, 6, 3), (1, 8, 6, 1), np.float32

    def __init__(self, model_content, num_threads):
        assert model_content == b"content"

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0, "shape": np.array(self.takes), "dtype": self.kind}]

    def get_output_details(self):
        return [{"index": 1, "shape": np.array(self.gives), "dtype": np.float32}]

    def set_tensor(self, index, values):
        assert (index, values.shape, values.dtype) == (0, self.takes, np.float32)
        self.held = values

    def invoke(self):
        pass

    def get_tensor(self, index):
        return self.held[..., :1].reshape(self.gives)


@pytest.fixture
def lite(monkeypatch, tmp_path):
    package, module = ModuleType("ai_edge_litert"), ModuleType("ai_edge_litert.interpreter")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", package)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    (tmp_path / "a.tflite").write_bytes(b"content")

    def load(**changes):
        module.Interpreter = type("Changed", (Interpreter,), changes)
        return load_lite(f"{tmp_path}/a.tflite")[1]

    return load


@pytest.mark.parametrize("gives", [(1, 8, 6, 1), (1, 8, 6)])
def test_images_are_scaled_and_probabilities_come_back_at_their_size(lite, gives):
    image = np.zeros((16, 30, 3), np.uint8)
    image[:, 15:, 0] = 255
    share = lite(gives=gives)(image)
    assert share.shape == (16, 30)
    assert (share[:, :6] == 0).all()
    assert (share[:, 24:] == 1).all()


@pytest.mark.parametrize(
    "changes", [{"gives": (1, 8, 6, 2)}, {"takes": (1, 3, 8, 6)}, {"kind": np.uint8}]
)
def test_other_networks_are_refused(lite, changes):
    with pytest.raises(InputError, match="a probability of a person for each pixel"):
        lite(**changes)
