"""Any torch module as a model: heads, outputs, preprocessing, and what is refused."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

import fairvision
from fairvision import models
from fairvision.datasets.geometry import Geometry
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models.preprocessing import of_transform
from fairvision.schema import Schema, Task

GENDER = {"gender": ["female", "male"]}


def linear(outputs: int, size: int = 8) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, outputs))


class Giving(nn.Module):
    """Gives whatever a function makes of the logits of a linear network."""

    def __init__(self, outputs: int, give: object):
        super().__init__()
        self.body, self.give = linear(outputs), give

    def forward(self, images: Tensor) -> object:
        return self.give(self.body(images))


IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_figures_are_those_by_hand():
    module = linear(3)
    module.train()
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    model = fairvision.Model(module, heads={"age": ["a", "b", "c"]}, size=8, mean=mean, std=std)
    assert isinstance(model, models.Model)
    by_hand = (IMAGES - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert torch.allclose(model.predict(IMAGES)["age"], module(by_hand).softmax(dim=1))
    assert module.training
    assert module[1].training


@pytest.mark.parametrize(
    "give",
    [
        lambda z: {"gender": z[:, :2], "sport": z[:, 2:]},
        lambda z: (z[:, :2], z[:, 2:]),
        lambda z: [z[:, :2], z[:, 2:]],
        lambda z: {"features": z, "sport": z[:, 2:], "gender": z[:, :2]},
    ],
)
def test_several_heads_come_in_tuples_and_dictionaries(give):
    module = Giving(5, give)
    model = fairvision.Model(module, heads={**GENDER, "sport": ["x", "y", "z"]}, size=8)
    logits = module.body(IMAGES)
    scores = model.predict(IMAGES)
    assert torch.allclose(scores["gender"], logits[:, :2].softmax(dim=1))
    assert torch.allclose(scores["sport"], logits[:, 2:].softmax(dim=1))


@pytest.mark.parametrize(
    "give",
    [
        lambda z: z,
        lambda z: {"logits": z},
        lambda z: SimpleNamespace(logits=z, hidden_states=None),
        lambda z: (z, z @ torch.ones(2, 9)),
        lambda z: z.softmax(dim=1),
        lambda z: z[:, 1:] - z[:, :1],
        lambda z: z[:, 1] - z[:, 0],
    ],
)
def test_one_head_comes_in_many_forms(give):
    module = Giving(2, give)
    model = fairvision.Model(module, heads=GENDER, size=8)
    expected = module.body(IMAGES).softmax(dim=1)
    assert torch.allclose(model.predict(IMAGES)["gender"], expected, atol=1e-6)


def test_outputs_are_summed_and_ignored():
    module = linear(6)
    head = fairvision.Head(("cat", "dog"), outputs=((0, 5), (1,)))
    model = fairvision.Model(module, heads={"pet": head}, size=8)
    whole = module(IMAGES).softmax(dim=1)
    cat, dog = whole[:, 0] + whole[:, 5], whole[:, 1]
    expected = torch.stack([cat, dog], dim=1) / (cat + dog)[:, None]
    assert torch.allclose(model.predict(IMAGES)["pet"], expected, atol=1e-6)


def test_many_labels_and_probabilities_of_them():
    module = Giving(3, lambda z: z.sigmoid())
    heads = {"objects": ["cat", "dog", "elk"]}
    with pytest.raises(InputError, match="lie in 0 to 1, whatever it is shown: say whether"):
        fairvision.Model(module, heads=heads, many=["objects"], size=8)
    head = fairvision.Head(("cat", "dog", "elk"), many=True, probabilities=True)
    expected = module.body(IMAGES).sigmoid()
    for model in (
        fairvision.Model(module, heads={"objects": head}, size=8),
        fairvision.Model(module.body, heads=heads, many="objects", size=8),
    ):
        assert torch.allclose(model.predict(IMAGES)["objects"], expected, atol=1e-6)
        assert model.schema.is_many("objects")


def test_a_dataset_says_what_is_an_attribute():
    model = fairvision.Model(linear(2), heads=GENDER, size=8)
    assert list(model.schema.attributes) == ["gender"]
    told = model.in_terms_of(Schema({"age": ("a", "b")}, {"gender": Task(("female", "male"))}))
    assert list(told.schema.tasks) == ["gender"]


PHOTOGRAPH = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8), "RGB"
)


@pytest.mark.parametrize(
    "steps",
    [
        [v2.Resize(40), v2.CenterCrop(32)],
        [v2.Resize((32, 32), v2.InterpolationMode.BICUBIC)],
        [v2.Resize(32), v2.CenterCrop(32)],
        [v2.Pad([0, 15, 0, 15]), v2.Resize((32, 32))],
    ],
)
def test_a_transform_does_to_an_image_what_it_does(steps):
    normalise = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    transform = v2.Compose([*steps, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalise])
    module = linear(2, 32)
    model = fairvision.Model(module, heads=GENDER, transform=transform)
    assert model.size == 32
    pixels = torch.from_numpy(model.geometry.image(PHOTOGRAPH)).permute(2, 0, 1) / 255
    ours = model.predict(pixels.unsqueeze(0))["gender"]
    by_hand = module(transform(PHOTOGRAPH).unsqueeze(0)).softmax(dim=1)
    assert torch.allclose(ours, by_hand, atol=1e-5)


def test_masks_and_windows_follow_the_transform():
    steps = [v2.Resize(40), v2.CenterCrop(32), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    ours = of_transform(v2.Compose(steps)).geometry
    peer = Geometry(32, 40)
    for size in ((120, 90), (90, 120), (400, 300), (64, 64)):
        assert ours.window(size) == pytest.approx(peer.window(size), abs=0.01)
        mask = np.zeros(size[::-1], bool)
        mask[size[1] // 3 :, size[0] // 3 : size[0] // 2] = True
        assert (ours.mask(mask) != peer.mask(mask)).mean() < 0.02


def _evaluating(step):
    """A plain transform, with a step that belongs to training."""
    torch.manual_seed(0)
    steps = [v2.Resize(32), v2.CenterCrop(32), step]
    return v2.Compose([*steps, v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])


@pytest.mark.parametrize(
    ("transform", "problem"),
    [
        (v2.Compose([v2.Resize((32, 32)), v2.ToImage()]), "floats are expected"),
        (lambda image: torch.rand(3, 8, 8), "several colours"),
        (lambda image: torch.zeros(3, 8, 8), "the same of black and white"),
        (lambda image: torch.ones(8, 8), "is expected"),
        (lambda image: 1 / 0, "ZeroDivisionError"),
        (
            lambda image: v2.functional.to_dtype(
                v2.functional.pil_to_tensor(image.resize((8, 8)).transpose(0)), scale=True
            ),
            "turns images over",
        ),
        (
            lambda image: v2.functional.to_dtype(
                v2.functional.pil_to_tensor(image.resize((8, 8)).convert("L").convert("RGB")),
                scale=True,
            ),
            "does more to colours",
        ),
        ("resize", "must be a function"),
        (_evaluating(v2.RandomRotation((90, 90))), "turns images, and masks"),
        (_evaluating(v2.RandomRotation((5, 5))), "turns images, and masks"),
        (_evaluating(v2.Lambda(lambda image: image.transpose(5))), "turns images, and masks"),
        (_evaluating(v2.RandomRotation((180, 180))), "turns images over"),
        (_evaluating(v2.RandomEqualize(1.0)), "by what else is in an image"),
        (_evaluating(v2.RandomAutocontrast(1.0)), "by what else is in an image"),
        (_evaluating(v2.RandomEqualize(0.5)), "something else of an image each time"),
        (_evaluating(v2.RandomHorizontalFlip(0.5)), "something else of an image each time"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_transforms_that_cannot_be_followed_are_refused(transform, problem):
    with pytest.raises(InputError, match=problem):
        fairvision.Model(linear(2), heads=GENDER, transform=transform)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"module": lambda images: images}, "fairvision.BlackBox"),
        ({"heads": {"gender": ["female", "male", "other"]}}, r"has 2 outputs, but .* has 3 labels"),
        ({"heads": {}}, "say what the model predicts"),
        ({"heads": {"gender": "female"}}, "needs a list"),
        ({"heads": {"gender": ["x", "x"]}}, "repeated name"),
        ({"heads": {**GENDER, "age": ["a", "b"]}}, "one array of 2 numbers for the heads"),
        ({"many": ["sport"]}, "many names 'sport'"),
        ({"size": 9}, "fails on images"),
        ({"size": 0}, "must be 1 or more"),
        ({"std": [1, 0, 1]}, "std must be above 0"),
        ({"mean": [1, 2]}, "mean must be a number"),
        ({"layer": "layer4"}, "has no layer 'layer4'; its last are"),
        ({"heads": {"gender": fairvision.Head(("f", "m"), outputs=((0,), (7,)))}}, "output 7"),
        ({"heads": {"gender": fairvision.Head(("f", "m"), outputs=((0,), (0,)))}}, "two labels"),
        ({"heads": {"gender": fairvision.Head(("f", "m"), outputs=((0,),))}}, "outputs for 1"),
        ({"module": Giving(2, lambda z: None)}, "gives no tensor"),
        ({"module": Giving(2, lambda z: {"a": z, "b": z})}, "has the outputs a, b"),
        ({"module": Giving(2, lambda z: z.view(-1, 1, 2))}, r"gives \(1, 2\) for each image"),
    ],
)
def test_what_does_not_fit_is_one_line(changes, problem):
    arguments = {"module": linear(2), "heads": GENDER, "size": 8} | changes
    with pytest.raises(InputError, match=problem) as raised:
        fairvision.Model(arguments.pop("module"), **arguments)
    assert "\n" not in str(raised.value)


def test_heads_in_files(tmp_path):
    path = tmp_path / "heads.toml"
    path.write_text('[pet]\nlabels = ["cat", "dog"]\noutputs = [[0, 5], ["hound"]]\n')
    assert models.read_heads_file(path)["pet"].outputs == ((0, 5), ("hound",))
    path.write_text('[pet]\nlabels = ["cat", "dog"]', encoding="utf-8-sig")
    assert models.read_heads_file(path)["pet"].labels == ("cat", "dog")
    for text, problem in {
        "[pet]": "pet.labels is missing",
        "pet = 3": "pet must be an object",
        "[pet]\nlabels = 3": "pet.labels must be a list",
        '[pet]\nlabels = ["a", "b"]\nmany = 1': "pet.many must be true or false",
        '[pet]\nlabels = ["a", "b"]\ncolour = 1': "'pet.colour' is not among",
        '[pet]\nlabels = ["a", "b"]\noutputs = [[0.5], [1]]': "position or name of an output",
        "[pet": "TOML",
        "": "say what the model predicts",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=problem) as raised:
            models.read_heads_file(path)
        assert str(path) in str(raised.value)


class Noisy(nn.Module):
    """Drops half of its numbers in any mode."""

    def forward(self, images):
        return nn.functional.dropout(images.flatten(1)[:, :64], 0.5).view(-1, 2, 32).sum(2)


class OfBatch(nn.Module):
    """Looks at the mean of its batch, as batch normalisation in training mode does."""

    def forward(self, images):
        return (images - images.mean(dim=0)).flatten(1)[:, :2]


@pytest.mark.parametrize(
    ("module", "doubt"),
    [(Noisy(), "when it is asked again"), (OfBatch(), "among other images")],
)
def test_answers_that_are_not_of_the_image_alone_are_told(module, doubt, recwarn):
    module.eval = lambda: module
    with pytest.warns(FairvisionWarning, match=doubt):
        fairvision.Model(module, heads=GENDER, size=8)


def test_rounding_is_no_doubt(recwarn):
    torch.manual_seed(0)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        module = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 2)).to(dtype)
        fairvision.Model(module, heads=GENDER, size=8)
    fairvision.Model(Giving(2, lambda z: z * float("nan")), heads=GENDER, size=8)
    assert not recwarn.list


class Turning(nn.Module):
    """Does something else once it has been tried."""

    def __init__(self, later):
        super().__init__()
        self.later, self.is_tried = later, False

    def forward(self, images):
        logits = images.flatten(1)[:, :2]
        return self.later(logits) if self.is_tried else logits


def ends(logits):
    sys.exit(0)


def breaks(logits):
    raise ValueError("no\nmore")


@pytest.mark.parametrize(
    ("later", "problem"),
    [
        (ends, r"ends the program, by exit\(0\)"),
        (breaks, "ValueError: no more"),
        (lambda logits: logits[:1], r"gives \(1, 2\) for 5 images"),
        (lambda logits: logits.repeat(1, 2), r"gives \(5, 4\) for 5 images"),
        (lambda logits: logits.mean(), r"gives \(0, 1\) for 5 images"),
    ],
)
def test_a_module_that_fails_later_is_told(later, problem):
    module = Turning(later)
    model = fairvision.Model(module, heads=GENDER, size=8, name="turning")
    module.is_tried = True
    with pytest.raises(InputError, match=f"^model turning.*{problem}"):
        model.predict(IMAGES)


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (Giving(2, ends), r"exit\(0\)"),
        (Giving(2, lambda z: z.mean()), "gives no tensor"),
        (Giving(2, lambda z: torch.cat([z, z])), r"gives \(8, 2\) for 4 images: a row for each"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).to("meta"), "no data"),
    ],
)
def test_what_is_no_row_for_each_image_is_told(module, problem):
    with pytest.raises(InputError, match=problem):
        fairvision.Model(module, heads=GENDER, size=8)


def test_a_lazy_layer_and_a_loss_beside_the_logits():
    module = Giving(5, lambda z: (z.mean(), z))
    module.body = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    model = fairvision.Model(module, heads=GENDER, size=8)
    assert torch.allclose(model.predict(IMAGES)["gender"], module.body(IMAGES).softmax(dim=1))
    assert not next(module.parameters()).is_inference()
