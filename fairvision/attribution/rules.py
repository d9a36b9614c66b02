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

from fairvision.attribution import maxima
from fairvision.attribution.answers import chosen, gradient
from fairvision.attribution.completeness import note
from fairvision.attribution.options import Explained, plain_images

_RELU = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_ONE_BY_ONE = (
    *("relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu"),
    *("celu", "prelu", "rrelu", "threshold", "softplus", "softsign"),
    *("gelu", "silu", "mish", "hardswish", "hardsigmoid", "logsigmoid"),
    *("hardshrink", "softshrink", "tanhshrink", "sigmoid", "expit", "tanh"),
    *("clamp", "clip", "clamp_min", "clamp_max", "abs", "absolute"),
    *("square", "sqrt", "rsqrt", "exp", "exp2", "expm1"),
    *("log", "log2", "log10", "log1p", "sin", "cos"),
    *("tan", "sinh", "cosh", "asin", "acos", "atan"),
    *("arcsin", "arccos", "arctan", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "reciprocal", "pow", "__pow__", "float_power"),
    *("sinc", "logit"),
)
_ELEMENTWISE = {
    getattr(place, name + end)
    for place in (torch, Tensor, torch.special, F)
    for name in _ONE_BY_ONE
    for end in ("", "_")
    if hasattr(place, name + end)
}
_PRODUCTS = (
    *(torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, Tensor.__mul__, Tensor.__rmul__),
    *(Tensor.mul_, Tensor.multiply_, Tensor.__imul__),
)
_CLOSE = 1e-7

Rule = Callable[..., Any]


class _Rules(TorchFunctionMode):
    """While active, some of torch's functions do something else with what comes from images."""

    def __init__(self, rules: Mapping[Any, Rule]) -> None:
        super().__init__()
        self.rules = rules

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        rule = self.rules.get(func)
        given = (*args, *kwargs.values())
        live = any(isinstance(v, Tensor) and v.requires_grad for v in given)
        if rule is None or not live or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        answer = rule(func, *args, **kwargs)
        name = getattr(func, "__name__", "")
        in_place = name == "__imul__" or (name.endswith("_") and not name.endswith("__"))
        if in_place or kwargs.get("inplace"):
            return args[0].copy_(answer)
        return answer


def guided_backprop(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return gradients of which only positive ones pass a ReLU (arXiv 1412.6806, section 3.4)."""
    with _Rules(dict.fromkeys(_RELU, _guided)):
        return explained.gradients(images, targets)


def deep_lift(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return multipliers of the rescale rule times the difference from a plain image.

    Shrikumar et al., ICML 2017, arXiv 1704.02685, section 3.5.1. Maxima are shared out between the
    positions that are largest in the image and in the plain image, products between their
    factors. Whether the values add up to the change of the logit is noted for `adding_up`.
    """
    plain = plain_images(images, explained.options.baseline)
    found = []
    pairs = max(1, explained.options.batch_size // 2)
    rules: dict[Any, Rule] = dict.fromkeys(_ELEMENTWISE, _rescaled)
    rules |= dict.fromkeys(_PRODUCTS, _product) | maxima.RULES
    for start in range(0, len(images), pairs):
        some = images[start : start + pairs].detach().requires_grad_()
        start_from = plain[start : start + pairs]
        with _Rules(rules):
            logits = explained.logits(torch.cat([some, start_from]))
        batch_targets = targets[start : start + pairs]
        ends = chosen(logits, batch_targets.repeat(2)).chunk(2)
        values = gradient(ends[0], some) * (some.detach() - start_from)
        note(explained.options, values, ends[0].detach(), ends[1].detach())
        found.append(values)
    return torch.cat(found)


def _guided(func: Any, values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    answer = torch.relu(values)
    answer.register_hook(torch.relu)
    return answer


def _rescaled(func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer as the function does, with the slope between the two halves for a gradient."""
    others = (*args, *kwargs.values())
    if not maxima.in_halves(values) or any(
        isinstance(other, Tensor) and other.requires_grad and not other.is_leaf for other in others
    ):
        return func(values, *args, **kwargs)
    inputs = values.detach().requires_grad_()
    answer = func(inputs.clone(), *args, **kwargs)
    slope = torch.autograd.grad(answer.sum(), inputs)[0]
    answer = answer.detach()
    rise, run = maxima.difference(answer), maxima.difference(inputs.detach())
    close = run.abs() < _CLOSE
    between = torch.where(close, slope.chunk(2)[0], rise / run.masked_fill(close, 1))
    return answer + (values - values.detach()) * between.repeat(2, *[1] * (values.ndim - 1))


def _product(func: Any, first: Any, second: Any = None, **kwargs: Any) -> Any:
    """Answer as a product does; each factor has the mean of the other one for a gradient."""
    second = kwargs.pop("other", None) if second is None else second
    if not maxima.in_halves(first) or not maxima.in_halves(second) or first.ndim != second.ndim:
        return func(first, second, **kwargs)
    answer = first.detach() * second.detach()
    if len(answer) != len(first) or len(answer) != len(second):
        return func(first, second, **kwargs)
    for live, other in ((first, second), (second, first)):
        if not other.requires_grad and live.shape == answer.shape:  # a gate of unknown origin
            return _rescaled(lambda values, by=other: values * by, live)
    for live, other in ((first, second), (second, first)):
        if live.requires_grad:
            answer = answer + (live - live.detach()) * _mean_of_halves(other.detach())
    return answer


def _mean_of_halves(values: Tensor) -> Tensor:
    mean = (values.chunk(2)[0] + values.chunk(2)[1]) / 2
    return mean.repeat(2, *[1] * (values.ndim - 1))
