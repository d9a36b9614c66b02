"""Attributions by changed rules of backpropagation: DeepLift and guided backpropagation.

captum hangs such rules on modules. It refuses networks that use one activation module twice, as
ResNets do, and takes the plain gradient, without a word, where the activation is a function and not
a module, or is a GELU, SiLU or hard swish. Here the rules are hung on the functions, so every
network that calls torch's gets them, and no module is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fairvision.attribution.completeness import note_sums
from fairvision.attribution.explained import (
    Explained,
    gradient,
    plain_images,
    plain_pool,
    target_scores,
)

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
        output = rule(func, *args, **kwargs)
        name = getattr(func, "__name__", "")
        in_place = name == "__imul__" or (name.endswith("_") and not name.endswith("__"))
        if in_place or kwargs.get("inplace"):
            return args[0].copy_(output)
        return output


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
    differences = []
    pairs = max(1, explained.options.batch_size // 2)
    rules: dict[Any, Rule] = dict.fromkeys(_ELEMENTWISE, _rescaled)
    rules |= dict.fromkeys(_PRODUCTS, _product) | _MAXIMA
    for start in range(0, len(images), pairs):
        batch = images[start : start + pairs].detach().requires_grad_()
        plain_batch = plain[start : start + pairs]
        with _Rules(rules):
            logits = explained.logits(torch.cat([batch, plain_batch]))
        batch_targets = targets[start : start + pairs]
        ends, starts = target_scores(logits, batch_targets.repeat(2)).chunk(2)
        values = gradient(ends, batch) * (batch.detach() - plain_batch)
        note_sums(explained.options, values, ends.detach(), starts.detach())
        differences.append(values)
    return torch.cat(differences)


def deep_lift_shap(
    explained: Explained, images: Tensor, targets: Tensor, identities: Tensor
) -> Tensor:
    """Return the mean of DeepLift over plain images (Lundberg & Lee, NeurIPS 2017, section 4.2).

    With one plain image per image, as by default, it is that of `deep_lift`.
    """
    options = explained.options
    pool = plain_pool(images, options.baseline, "deep_lift_shap")
    if pool is None:
        return deep_lift(explained, images, targets, identities)
    total = torch.zeros_like(images)
    for plain in pool:
        of_one = replace(explained, options=replace(options, baseline=plain))
        total = total + deep_lift(of_one, images, targets, identities)
    return total / len(pool)


def _guided(func: Any, values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Return ReLU of values, which passes only the positive part of a gradient back."""
    output = torch.relu(values)
    output.register_hook(torch.relu)  # type: ignore[no-untyped-call]
    return output


def _rescaled(func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what the function does, with the slope between the two halves for a gradient."""
    others = (*args, *kwargs.values())
    if not _in_halves(values) or any(
        isinstance(other, Tensor) and other.requires_grad and not other.is_leaf for other in others
    ):
        return func(values, *args, **kwargs)
    inputs = values.detach().requires_grad_()
    output = func(inputs.clone(), *args, **kwargs)
    slope = torch.autograd.grad(output.sum(), inputs)[0]
    output = output.detach()
    rise, run = _difference(output), _difference(inputs.detach())
    close = run.abs() < _CLOSE
    between = torch.where(close, slope.chunk(2)[0], rise / run.masked_fill(close, 1))
    return output + (values - values.detach()) * between.repeat(2, *[1] * (values.ndim - 1))


def _product(func: Any, first: Any, second: Any = None, **kwargs: Any) -> Any:
    """Return a product; each factor has the mean of the other one for a gradient."""
    second = kwargs.pop("other", None) if second is None else second
    if not _in_halves(first) or not _in_halves(second) or first.ndim != second.ndim:
        return func(first, second, **kwargs)
    output = first.detach() * second.detach()
    if len(output) != len(first) or len(output) != len(second):
        return func(first, second, **kwargs)
    for live, other in ((first, second), (second, first)):
        if not other.requires_grad and live.shape == output.shape:  # a gate of unknown origin
            return _rescaled(lambda values, by=other: values * by, live)
    for live, other in ((first, second), (second, first)):
        if live.requires_grad:
            output = output + (live - live.detach()) * _mean_of_halves(other.detach())
    return output


def _mean_of_halves(values: Tensor) -> Tensor:
    """Return the mean of both halves of the batch, twice: the shape of values (2n, …)."""
    mean = (values.chunk(2)[0] + values.chunk(2)[1]) / 2
    return mean.repeat(2, *[1] * (values.ndim - 1))


# DeepLift's rule for maxima: a batch holds images in its first half and their plain images in its
# second. The change of a maximum is shared out in two steps, through the larger of both maxima: one
# is due to the position that is largest in the image, the other to that in the plain image. Their
# sum is the change.


def _in_halves(values: Any) -> TypeGuard[Tensor]:
    """Say whether something is a tensor of images and their plain images."""
    return isinstance(values, Tensor) and values.ndim > 0 and len(values) % 2 == 0


def _difference(values: Tensor) -> Tensor:
    """Return the first half minus the second."""
    first, second = values.chunk(2)
    return first - second


def _pooled(dimensions: int, func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what max pooling does."""
    locate, adaptive = _LOCATING[dimensions], "adaptive" in getattr(func, "__name__", "")
    if not _in_halves(values) or values.ndim != dimensions + 2 or kwargs.get("return_indices"):
        return func(values, *args, **kwargs)
    output, places = locate[adaptive](values.detach(), *args, **kwargs | {"return_indices": True})
    shared = _shared(values.flatten(2), output.flatten(2), places.flatten(2))
    return shared.view_as(output)


def _reduced(sign: int, func: Any, values: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """Return what `amax` does, or for a sign of -1 `amin`."""
    if not _in_halves(values):
        return func(values, dim, keepdim)
    dims = [d % values.ndim for d in ([dim] if isinstance(dim, int) else dim)]
    if not dims or 0 in dims:
        return func(values, dim, keepdim)
    kept = [d for d in range(values.ndim) if d not in dims]
    rows = (sign * values).permute(*kept, *dims).flatten(len(kept))
    shape = [1 if d in dims else values.shape[d] for d in range(values.ndim)]
    output = sign * _largest(rows)[0].reshape(shape)
    return output if keepdim else output.squeeze(dims)


def _one_dimension(sign: int, func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what `max` or `min` does: along a dimension, with places, or of two tensors."""
    other = args[0] if args else kwargs.get("other")
    if isinstance(other, Tensor):
        return _larger(sign, func, values, other)
    dim, keepdim, *_ = (*args, *[kwargs.get("dim"), kwargs.get("keepdim", False)][len(args) :])
    if not _in_halves(values) or not isinstance(dim, int) or dim % values.ndim == 0:
        return func(values, *args, **kwargs)
    output, places = _largest((sign * values).movedim(dim, -1))
    pair = [part.unsqueeze(dim) if keepdim else part for part in (sign * output, places)]
    kind = torch.return_types.max if sign > 0 else torch.return_types.min
    return kind(pair)  # type: ignore[arg-type]


def _larger(sign: int, func: Any, first: Any, second: Any = None, **kwargs: Any) -> Any:
    """Return what `maximum` or `minimum` of two tensors does."""
    second = kwargs.get("other") if second is None else second
    shape = np.broadcast_shapes(first.shape, second.shape)
    both = torch.stack([first.expand(shape), second.expand(shape)], dim=-1)
    if both.ndim < 2 or not _in_halves(both):
        return func(first, second)
    return sign * _largest(sign * both)[0]


def _largest(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of the last dimension, with the rule for a gradient, and its place."""
    output, places = rows.detach().max(dim=-1, keepdim=True)
    flat = [part.reshape(len(rows), -1, part.shape[-1]) for part in (rows, output, places)]
    return _shared(*flat).view_as(output)[..., 0], places[..., 0]


def _shared(values: Tensor, output: Tensor, places: Tensor) -> Tensor:
    """Return maxima (2n, channels, m), shared out between values (2n, channels, positions)."""
    top, plain_top = output.chunk(2)
    here, there = places.chunk(2)
    image = values.chunk(2)[0]
    run = _difference(values.detach())
    run_here, run_there = run.gather(2, here), run.gather(2, there)
    larger = torch.maximum(top, plain_top)
    same, also_same = run_here.abs() < _CLOSE, run_there.abs() < _CLOSE
    at_here = (larger - plain_top) / run_here.masked_fill(same, 1)
    at_here = torch.where(same, (here == there).to(at_here), at_here)
    at_there = (top - larger) / run_there.masked_fill(also_same, 1)
    at_there = at_there.masked_fill(also_same, 0)
    moves = image - image.detach()
    live = moves.gather(2, here) * at_here + moves.gather(2, there) * at_there
    return torch.cat([top + live, plain_top])


_LOCATING = {
    1: (F.max_pool1d, F.adaptive_max_pool1d),
    2: (F.max_pool2d, F.adaptive_max_pool2d),
    3: (F.max_pool3d, F.adaptive_max_pool3d),
}

_MAXIMA: dict[Any, Rule] = {
    **{F.max_pool1d: partial(_pooled, 1), torch.max_pool1d: partial(_pooled, 1)},
    **{F.max_pool2d: partial(_pooled, 2), torch.max_pool2d: partial(_pooled, 2)},
    **{F.max_pool3d: partial(_pooled, 3), torch.max_pool3d: partial(_pooled, 3)},
    **{pool[1]: partial(_pooled, d) for d, pool in _LOCATING.items()},
    **dict.fromkeys((torch.amax, Tensor.amax), partial(_reduced, 1)),
    **dict.fromkeys((torch.amin, Tensor.amin), partial(_reduced, -1)),
    **dict.fromkeys((torch.max, Tensor.max), partial(_one_dimension, 1)),
    **dict.fromkeys((torch.min, Tensor.min), partial(_one_dimension, -1)),
    **dict.fromkeys((torch.maximum, Tensor.maximum), partial(_larger, 1)),
    **dict.fromkeys((torch.fmax, Tensor.fmax), partial(_larger, 1)),
    **dict.fromkeys((torch.minimum, Tensor.minimum), partial(_larger, -1)),
    **dict.fromkeys((torch.fmin, Tensor.fmin), partial(_larger, -1)),
}
