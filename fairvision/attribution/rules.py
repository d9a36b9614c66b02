"""Attributions by changed rules of backpropagation: DeepLift and guided backpropagation.

captum hangs such rules on modules. It refuses networks that use one activation module twice, as
ResNets do, and takes the plain gradient, without a word, where the activation is a function and not
a module, or is a GELU, SiLU or hard swish. Here the rules are hung on the functions, so every
network that calls torch's gets them, and no module is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fairvision.attribution.options import Explained, chosen, gradient, plain_pictures

_RELU = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_ELEMENTWISE = (
    *_RELU,
    *(F.relu6, F.hardtanh, F.leaky_relu, F.elu, F.selu, F.celu, F.softplus, F.softsign),
    *(F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.logsigmoid),
    *(torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_, F.sigmoid),
    *(torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_, F.tanh),
)
_MAXIMA = (F.max_pool2d, torch.max_pool2d, F.adaptive_max_pool2d)
_CLOSE = 1e-7

Rule = Callable[..., Tensor]


class _Rules(TorchFunctionMode):
    """While active, some of torch's functions of activations do something else."""

    def __init__(self, rules: Mapping[Any, Rule]) -> None:
        super().__init__()
        self.rules = rules

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        rule = self.rules.get(func)
        values = args[0] if args else kwargs.get("input")
        if rule is None or not isinstance(values, Tensor) or not values.requires_grad:
            return func(*args, **kwargs)
        kwargs.pop("input", None)
        return rule(func, values, *args[1:], **kwargs)


def guided_backprop(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return gradients of which only positive ones pass a ReLU (arXiv 1412.6806, section 3.4)."""
    with _Rules(dict.fromkeys(_RELU, _guided)):
        return explained.gradients(images, targets)


def deep_lift(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return multipliers of the rescale rule times the difference from a plain picture.

    Shrikumar et al., ICML 2017, arXiv 1704.02685, section 3.5.1. Maxima are shared out between the
    positions that are largest in the picture and in the plain picture.
    """
    plain = plain_pictures(images, explained.options.baseline)
    found = []
    pairs = max(1, explained.options.batch_size // 2)
    for start in range(0, len(images), pairs):
        some = images[start : start + pairs].detach().requires_grad_()
        start_from = plain[start : start + pairs]
        rules: dict[Any, Rule] = dict.fromkeys(_ELEMENTWISE, _rescaled)
        rules |= dict.fromkeys(_MAXIMA, _rescaled_maxima)
        with _Rules(rules):
            logits = explained.logits(torch.cat([some, start_from]))
        own = logits[: len(some)]
        multipliers = gradient(chosen(own, targets[start : start + pairs]), some)
        found.append(multipliers * (some.detach() - start_from))
    return torch.cat(found)


def _guided(func: Any, values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    answer = torch.relu(values)
    answer.register_hook(torch.relu)
    return answer


def _rescaled(func: Any, values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Answer as the function does, with the slope between the two halves for a gradient."""
    if len(values) % 2:
        return func(values, *args, **kwargs)
    inputs = values.detach().requires_grad_()
    answer = func(inputs.clone(), *args, **kwargs)
    slope = torch.autograd.grad(answer.sum(), inputs)[0]
    answer = answer.detach()
    rise, run = _difference(answer), _difference(inputs.detach())
    close = run.abs() < _CLOSE
    between = torch.where(close, slope.chunk(2)[0], rise / run.masked_fill(close, 1))
    return answer + (values - values.detach()) * between.repeat(2, *[1] * (values.ndim - 1))


def _rescaled_maxima(func: Any, values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Share the difference of two maxima between the position of each."""
    if len(values) % 2 or values.ndim != 4 or kwargs.get("return_indices"):
        return func(values, *args, **kwargs)
    located = F.max_pool2d if func is torch.max_pool2d else func
    answer, places = located(values.detach(), *args, **kwargs | {"return_indices": True})
    top, plain_top = answer.flatten(2).chunk(2)
    here, there = places.flatten(2).chunk(2)
    picture = values.chunk(2)[0].flatten(2)
    run = _difference(values.detach()).flatten(2)
    run_here, run_there = run.gather(2, here), run.gather(2, there)
    larger = torch.maximum(top, plain_top)
    same, also_same = run_here.abs() < _CLOSE, run_there.abs() < _CLOSE
    at_here = (larger - plain_top) / run_here.masked_fill(same, 1)
    at_here = torch.where(same, (here == there).to(at_here), at_here)
    at_there = (top - larger) / run_there.masked_fill(also_same, 1)
    at_there = at_there.masked_fill(also_same, 0)
    moves = picture - picture.detach()
    live = moves.gather(2, here) * at_here + moves.gather(2, there) * at_there
    first, second = answer.chunk(2)
    return torch.cat([first + live.view_as(first), second])


def _difference(values: Tensor) -> Tensor:
    first, second = values.chunk(2)
    return first - second
