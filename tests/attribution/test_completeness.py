"""Networks that gradients cannot follow are refused in one way; those that only look so are not."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fairvision.attribution import METHODS, WITHOUT_GRADIENTS, attribute
from fairvision.attribution.explained import NOT_REACHED
from fairvision.attribution.one_pass import logits_and_maps
from fairvision.errors import InputError

WITHOUT = WITHOUT_GRADIENTS
WITH = [method for method in METHODS if method not in WITHOUT]
FEW = {"steps": 4, "samples": 2, "masks": 8}


class Classifier(nn.Module):
    def __init__(self, between=lambda features: features, answer=lambda logits: logits):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(6, 3)
        self.between, self.answer = between, answer

    def forward(self, images):
        features = self.between(self.body(images))
        return self.answer(self.head(features.mean(dim=(2, 3))))


class NoGrad(Classifier):
    def forward(self, images):
        with torch.no_grad():
            return super().forward(images)


class InferenceMode(Classifier):
    @torch.inference_mode()
    def forward(self, images):
        return super().forward(images)


class FrozenBody(Classifier):
    """A body that never learns, as it is usually written."""

    def forward(self, images):
        with torch.no_grad():
            features = self.body(images)
        return self.head(features.mean(dim=(2, 3)))


BROKEN = {
    "no_grad": NoGrad,
    "inference_mode": InferenceMode,
    "body under no_grad": FrozenBody,
    "activation under no_grad": lambda: Classifier(torch.no_grad()(torch.relu)),
    "activation in inference_mode": lambda: Classifier(torch.inference_mode()(torch.relu)),
    "detached": lambda: Classifier(lambda features: features.detach()),
    "detached answer": lambda: Classifier(answer=lambda logits: logits.detach()),
    "data": lambda: Classifier(answer=lambda logits: logits.data),
    "whole numbers": lambda: Classifier(lambda features: (100 * features).long().float()),
    "whole logits": lambda: Classifier(answer=lambda logits: (1000 * logits).int()),
    "argmax": lambda: Classifier(
        answer=lambda logits: nn.functional.one_hot(logits.argmax(dim=1), 3).float()
    ),
    "numpy": lambda: Classifier(answer=lambda logits: torch.from_numpy(logits.numpy())),
    "rounded": lambda: Classifier(lambda features: (100 * features).round()),
    "signs": lambda: Classifier(lambda features: (features - 0.2).sign()),
}


def state(network):
    return (
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in network.parameters()],
        [parameter.grad for parameter in network.parameters()],
        [dict(module._forward_hooks) for module in network.modules()],
        [dict(module._backward_hooks) for module in network.modules()],
    )


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("method", WITH)
def test_all_methods_say_the_same_and_leave_the_network_as_it_was(kind, method):
    network = BROKEN[kind]().train()
    network.body[0].bias.requires_grad_(False)
    network.head.register_forward_hook(lambda module, inputs, output: None)
    before = state(network)
    with pytest.raises(InputError) as refused:
        attribute(network, torch.rand(3, 3, 12, 12), 1, method, **FEW)
    assert str(refused.value) == str(InputError(NOT_REACHED))
    assert state(network) == before


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if kind != "numpy"])
def test_methods_without_gradients_do_not_mind(kind):
    network, images = BROKEN[kind](), torch.rand(2, 3, 12, 12)
    for method in WITHOUT:
        assert attribute(network, images, 1, method, signed=True, masks=8).isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_answers_that_are_no_real_numbers(method):
    network = Classifier(answer=lambda logits: logits.to(torch.complex64))
    with pytest.raises(InputError, match=r"must answer with real numbers, not torch\.complex64"):
        attribute(network, torch.rand(2, 3, 12, 12), 1, method, **FEW)


def test_grad_cam_of_several_heads_says_the_same():
    network = NoGrad(answer=lambda logits: {"a": logits})
    with pytest.raises(InputError, match="gradients do not reach the picture"):
        logits_and_maps(network, torch.rand(2, 3, 12, 12), {"a": torch.tensor([0, 1])})


@pytest.mark.parametrize("method", METHODS)
def test_parts_that_do_not_learn_change_no_map(method):
    network, images = Classifier().eval(), torch.rand(3, 3, 12, 12)
    expected = attribute(network, images, 1, method, signed=True, **FEW)
    for parts in (network.body, network):
        parts.requires_grad_(False)
        before = state(network)
        found = attribute(network, images, 1, method, signed=True, **FEW)
        assert state(network) == before
        torch.testing.assert_close(found, expected)
    assert expected.abs().max() > 0


@pytest.mark.parametrize("method", WITH)
@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_where_the_caller_takes_no_gradients_maps_are_right(method, around):
    network, images = Classifier().eval(), torch.rand(3, 3, 12, 12)
    expected = attribute(network, images, 1, method, signed=True, **FEW)
    with around():
        found = attribute(network, images, 1, method, signed=True, **FEW)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("method", WITH)
def test_zero_is_right_where_the_answer_is_flat_or_weights_are_zero(method):
    network, images = Classifier(), torch.rand(2, 3, 12, 12)
    nn.init.zeros_(network.head.weight)
    assert (attribute(network, images, 1, method, **FEW) == 0).all()
    if "cam" not in method:
        flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.ReLU())
        nn.init.constant_(flat[1].weight, 1.0)
        nn.init.constant_(flat[1].bias, -7.0)
        maps = attribute(flat, torch.full((1, 3, 2, 2), 0.4), 0, method, baseline=0.9, **FEW)
        assert maps.isfinite().all()


Named = namedtuple("Named", "gender age")
ANSWERS = {
    "tuple of one": (lambda logits: (logits,), None),
    "tuple": (lambda logits: (logits, logits[:, :2]), "0"),
    "list": (lambda logits: [logits[:, :2], logits], "1"),
    "named tuple": (lambda logits: Named(logits, logits[:, :2]), "gender"),
    "dictionary": (lambda logits: {"gender": logits, "age": logits[:, :2]}, "gender"),
    "as Hugging Face": (
        lambda logits: OrderedDict(logits=logits, hidden_states=(logits,), loss=None),
        None,
    ),
    "object": (lambda logits: SimpleNamespace(logits=logits), None),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("method", ["gradcam", "saliency", "deep_lift", "occlusion"])
def test_answers_of_every_shape(kind, method):
    answer, head = ANSWERS[kind]
    network, images = Classifier(), torch.rand(2, 3, 12, 12)
    expected = attribute(network, images, 1, method, signed=True)
    network.answer = answer
    found = attribute(network, images, 1, method, head=head, signed=True)
    torch.testing.assert_close(found, expected)
    if head is not None:
        with pytest.raises(InputError, match="say which head is explained: one of"):
            attribute(network, images, 1, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("answer", [lambda _: None, lambda _: (), lambda _: "cat"])
def test_answers_that_are_none_are_one_line(method, answer):
    network = Classifier(answer=answer)
    with pytest.raises(InputError, match=r"must answer with logits|one of none|no layer with"):
        attribute(network, torch.rand(2, 3, 12, 12), 1, method, **FEW)


def test_what_a_forward_changes_is_changed_back():
    class Thaws(Classifier):
        def forward(self, images):
            self.body.requires_grad_(True)
            return super().forward(images)

    network = Thaws()
    network.body.requires_grad_(False)
    attribute(network, torch.rand(1, 3, 12, 12), 1, "saliency")
    assert not any(parameter.requires_grad for parameter in network.body.parameters())
