"""DeepLift through whatever is an activation or a maximum; what it cannot follow is told."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fairvision.attribution import attribute, attribute_stream, convergence_delta
from fairvision.errors import FairvisionWarning
from fairvision.inference.explanations import explain


class Just(nn.Module):
    """A function of the image as the only logit, or as several."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images).reshape(len(images), -1)


def lifted(function, image, plain, **how):
    """Return the attributions of each value of a row, one image (1, 1, 1, n)."""
    rows = [torch.tensor(row, dtype=torch.float32).view(1, 1, 1, -1) for row in (image, plain)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", FairvisionWarning)
        maps = attribute(
            Just(function), rows[0], 0, "deep_lift", baseline=rows[1], signed=True, **how
        )
    return maps.flatten().tolist()


LARGEST = {
    "max_pool1d": lambda x: F.max_pool1d(x[:, 0], 4),
    "max_pool2d": lambda x: F.max_pool2d(x, (1, 4)),
    "max_pool3d": lambda x: F.max_pool3d(x[:, None], (1, 1, 4)),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x[:, 0], 1),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 1),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x[:, None], 1),
    "MaxPool1d": lambda x: nn.MaxPool1d(4)(x[:, 0]),
    "MaxPool2d": lambda x: nn.MaxPool2d((1, 4))(x),
    "torch.max_pool2d": lambda x: torch.max_pool2d(x, (1, 4)),
    "amax": lambda x: x.amax(dim=(2, 3)),
    "amax, all but the picture": lambda x: torch.amax(x, (1, 2, 3), keepdim=True),
    "amin": lambda x: -(-x).amin(dim=-1),
    "max": lambda x: x.max(dim=3).values,
    "max, kept": lambda x: torch.max(x, -1, keepdim=True)[0],
    "min": lambda x: -(-x).min(dim=-1)[0],
    "flattened": lambda x: x.flatten(1).max(1).values,
    "maximum": lambda x: torch.maximum(
        torch.maximum(x[..., 0], x[..., 1]), torch.maximum(x[..., 2], x[..., 3])
    ),
    "max of two": lambda x: torch.max(x[..., :2].amax(-1), other=x[..., 2:].amax(-1)),
    "fmax": lambda x: torch.fmax(x[..., :2].amax(-1), x[..., 2:].amax(-1)),
    "minimum": lambda x: -torch.minimum(-x[..., :2].amax(-1), -x[..., 2:].amax(-1)),
}


@pytest.mark.parametrize("name", LARGEST)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_change_of_a_maximum_goes_to_who_was_and_who_is_largest(name, batch_size):
    function = LARGEST[name]
    how = {"batch_size": batch_size}
    assert lifted(function, [1, 1, 1, 1], [1, 2, 3, 9], **how) == [0, 0, 0, -8]
    assert lifted(function, [5, 0, 0, 0], [1, 2, 0, 0], **how) == [3, 0, 0, 0]
    assert lifted(function, [0, 0, 7, 0], [0, 0, 4, 0], **how) == [0, 0, 3, 0]
    assert lifted(function, [0, 0, 4, 0], [3, 0, 0, 3], **how) == [0, 0, 1, 0]


ONE_BY_ONE = {
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp of tensors": lambda x: torch.clamp(x, min=torch.tensor(-0.5), max=torch.tensor(0.5)),
    "clip": lambda x: torch.clip(x, min=0),
    "clamp_min": lambda x: x.clamp_min(0.1),
    "Threshold": nn.Threshold(0.1, -3),
    "PReLU": nn.PReLU(init=0.3),
    "RReLU": nn.RReLU().eval(),
    "Softshrink": nn.Softshrink(),
    "Hardshrink": nn.Hardshrink(),
    "Tanhshrink": nn.Tanhshrink(),
    "ReLU6": nn.ReLU6(),
    "CELU": nn.CELU(),
    "abs": lambda x: x.abs(),
    "absolute": lambda x: abs(x),
    "square": lambda x: x**2,
    "exp": lambda x: torch.exp(x),
    "erf": lambda x: torch.erf(x),
    "sin": lambda x: x.sin(),
    "expit": lambda x: torch.special.expit(x),
    "larger than a tenth": lambda x: torch.maximum(x, 0.1 * x),
    "largest with a number": lambda x: torch.maximum(x, torch.zeros(())),
    "mask": lambda x: x * (x > 0),
    "swish by hand": lambda x: x * torch.sigmoid(x),
    "times a gate": lambda x: x * x.mean(dim=(1, 2, 3), keepdim=True).sigmoid(),
    "statement in place": lambda x: (y := x + 0, y.clamp_(min=0), y)[-1],
    "relu in place": lambda x: (y := x + 0, F.relu(y, inplace=True), y)[-1],
    "product by name": lambda x: torch.mul(x, other=x.sigmoid()),
    "product in place": lambda x: (y := x + 0, y.mul_(x.sigmoid()), y)[-1],
}


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_activations_add_up_and_do_as_they_did(name):
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 3)

        def forward(self, images):
            return self.second(ONE_BY_ONE[name](self.first(images)).flatten(1))

    torch.manual_seed(0)
    network, images = Around().eval(), 4 * torch.rand(3, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FairvisionWarning)
        maps = attribute(network, images, 2, "deep_lift", signed=True)
    delta = convergence_delta(network, images, 2, maps)
    assert delta.abs().max() < 1e-4


@pytest.mark.parametrize(("image", "plain"), [(2.0, -1.0), (-1.0, 2.0), (0.3, 0.1)])
def test_one_input_takes_all_of_the_change(image, plain):
    for function in (*ONE_BY_ONE.values(), torch.relu, F.gelu):
        ends = function(torch.tensor([image, plain]).view(2, 1, 1, 1)).flatten().tolist()
        found = lifted(function, [image], [plain])
        assert found == pytest.approx([ends[0] - ends[1]], abs=1e-5)


def pooled_by_definition(images, plains, size, stride, padding):
    """Share out by the text of the rule, window by window, in plain loops."""
    found = torch.zeros_like(images)
    pads = [padding] * 4
    image, plain = (F.pad(x, pads, value=-torch.inf) for x in (images, plains))
    where = F.pad(torch.arange(images[0, 0].numel()).view(1, 1, *images.shape[2:]), pads, value=-1)
    for n in range(len(images)):
        for top in range(0, image.shape[2] - size + 1, stride):
            for left in range(0, image.shape[3] - size + 1, stride):
                cut = (slice(top, top + size), slice(left, left + size))
                now, before = image[n, 0][cut].flatten(), plain[n, 0][cut].flatten()
                places = where[0, 0][cut].flatten()
                larger = torch.maximum(now.max(), before.max())
                for place, share in (
                    (now.argmax(), larger - before.max()),
                    (before.argmax(), now.max() - larger),
                ):
                    found[n, 0].view(-1)[places[place]] += share
    return found


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([(2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 1, 0)]))
def test_pooling_follows_its_definition(seed, how):
    size, stride, padding = how
    torch.manual_seed(seed)
    images, plains = torch.rand(2, 1, 6, 6), torch.rand(2, 1, 6, 6)

    def pool(x):
        return F.max_pool2d(x, size, stride, padding).sum(dim=(1, 2, 3))

    maps = attribute(Just(pool), images, 0, "deep_lift", baseline=plains, signed=True)
    expected = pooled_by_definition(images, plains, size, stride, padding)[:, 0]
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-4)


NOT_FOLLOWED = {
    "a choice": lambda x: torch.where(x > 0.5, x, 0.1 * x),
    "softmax": lambda x: (5 * x.flatten(1)).softmax(dim=1)[:, :1],
    "norm": lambda x: x.flatten(1).norm(dim=1),
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:])[:, :, 0],
    "logsumexp": lambda x: (9 * x).logsumexp(dim=(1, 2, 3)),
    "attention": lambda x: F.scaled_dot_product_attention(9 * x, 9 * x, 9 * x),
    "sorted": lambda x: x.flatten(1).sort(dim=1).values[:, -1],
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_the_rule_does_not_follow_is_told_in_one_line(name):
    torch.manual_seed(0)
    network, images = Just(NOT_FOLLOWED[name]), torch.rand(8, 1, 4, 4)
    plain = torch.rand(8, 1, 4, 4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maps = attribute(network, images, 0, "deep_lift", baseline=plain, batch_size=2, signed=True)
    told = [str(w.message) for w in caught if w.category is FairvisionWarning]
    delta = convergence_delta(network, images, 0, maps, baseline=plain)
    rise = network(images)[:, 0] - network(plain)[:, 0]
    worst = (delta / rise).abs().argmax()
    assert len(told) == 1
    assert "of 8 pictures do not add up" in told[0]
    amount = float(told[0].split("off by ")[1].split()[0])
    assert amount == pytest.approx(float(delta[worst]), rel=0.01)
    assert "use integrated_gradients" in told[0]


def test_a_stream_tells_it_once():
    images = torch.rand(8, 1, 4, 4)
    batches = [(some, 0) for some in images.split(2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(attribute_stream(Just(NOT_FOLLOWED["norm"]), batches, "deep_lift", batch_size=2))
    assert ["of 8 pictures" in str(warning.message) for warning in caught] == [True]


def test_explain_and_audit_tell_it_once(make_run, tmp_path, run_cli):
    from PIL import Image

    from fairvision import datasets

    run = make_run(model="timm:vit_tiny_patch16_224", size=32)
    for colour in ("red", "teal"):
        image = Image.new("RGB", (32, 32), colour)
        image.paste("white", (4, 8, 16, 20))
        image.save(tmp_path / f"{colour}.png")
    images = [tmp_path / "red.png", tmp_path / "teal.png"]
    with pytest.warns(FairvisionWarning, match="4 pictures do not add up") as caught:
        explain(run, images, output=tmp_path / "maps", method="deep_lift")
    assert len(caught) == 1
    datasets.scenes(tmp_path / "data", count=40, bias=0.9, size=32, groups=2, seed=0)
    audited = make_run(
        "other",
        model="timm:vit_tiny_patch16_224",
        size=32,
        attributes={"shirt": ["striped", "dotted"]},
    )
    told = run_cli(
        *("audit", audited, "--data", tmp_path / "data", "-o", tmp_path / "audit"),
        *("--attribution", "deep_lift", "--replicates", 10, "--swaps", 0, "--quiet"),
    )
    assert told.code == 0
    assert told.err.count("do not add up to the change of the logit") == 1
