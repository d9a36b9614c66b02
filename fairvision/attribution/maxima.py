"""DeepLift's rule for maxima: who is largest in the image, and who in the plain image.

A batch holds images in its first half and their plain images in its second. The change of a
maximum is shared out in two steps, through the larger of both maxima: one is due to the position
that is largest in the image, the other to that in the plain image. Their sum is the change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.nn import functional as F

_CLOSE = 1e-7


def in_halves(values: Any) -> TypeGuard[Tensor]:
    """Say whether something is a tensor of images and their plain images."""
    return isinstance(values, Tensor) and values.ndim > 0 and len(values) % 2 == 0


def difference(values: Tensor) -> Tensor:
    """Return the first half minus the second."""
    first, second = values.chunk(2)
    return first - second


def _pooled(dimensions: int, func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer as pooling does."""
    locate, adaptive = _LOCATING[dimensions], "adaptive" in getattr(func, "__name__", "")
    if not in_halves(values) or values.ndim != dimensions + 2 or kwargs.get("return_indices"):
        return func(values, *args, **kwargs)
    answer, places = locate[adaptive](values.detach(), *args, **kwargs | {"return_indices": True})
    shared = _shared(values.flatten(2), answer.flatten(2), places.flatten(2))
    return shared.view_as(answer)


def _reduced(sign: int, func: Any, values: Any, dim: Any = (), keepdim: bool = False) -> Any:
    """Answer as `amax` does, or for a sign of -1 as `amin`."""
    if not in_halves(values):
        return func(values, dim, keepdim)
    dims = [d % values.ndim for d in ([dim] if isinstance(dim, int) else dim)]
    if not dims or 0 in dims:
        return func(values, dim, keepdim)
    kept = [d for d in range(values.ndim) if d not in dims]
    rows = (sign * values).permute(*kept, *dims).flatten(len(kept))
    shape = [1 if d in dims else values.shape[d] for d in range(values.ndim)]
    answer = sign * _largest(rows)[0].reshape(shape)
    return answer if keepdim else answer.squeeze(dims)


def _one_dimension(sign: int, func: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer as `max` or `min` does: along a dimension, with places, or of two tensors."""
    other = args[0] if args else kwargs.get("other")
    if isinstance(other, Tensor):
        return _larger(sign, func, values, other)
    dim, keepdim, *_ = (*args, *[kwargs.get("dim"), kwargs.get("keepdim", False)][len(args) :])
    if not in_halves(values) or not isinstance(dim, int) or dim % values.ndim == 0:
        return func(values, *args, **kwargs)
    answer, places = _largest((sign * values).movedim(dim, -1))
    pair = [part.unsqueeze(dim) if keepdim else part for part in (sign * answer, places)]
    kind = torch.return_types.max if sign > 0 else torch.return_types.min
    return kind(pair)  # type: ignore[arg-type]


def _larger(sign: int, func: Any, first: Any, second: Any = None, **kwargs: Any) -> Any:
    """Answer as `maximum` or `minimum` of two tensors does."""
    second = kwargs.get("other") if second is None else second
    both = torch.stack(torch.broadcast_tensors(first, second), dim=-1)
    if both.ndim < 2 or not in_halves(both):
        return func(first, second)
    return sign * _largest(sign * both)[0]


def _largest(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of the last dimension, with the rule for a gradient, and its place."""
    answer, places = rows.detach().max(dim=-1, keepdim=True)
    flat = [part.reshape(len(rows), -1, part.shape[-1]) for part in (rows, answer, places)]
    return _shared(*flat).view_as(answer)[..., 0], places[..., 0]


def _shared(values: Tensor, answer: Tensor, places: Tensor) -> Tensor:
    """Return maxima (2n, channels, m), shared out between values (2n, channels, positions)."""
    top, plain_top = answer.chunk(2)
    here, there = places.chunk(2)
    image = values.chunk(2)[0]
    run = difference(values.detach())
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

RULES: dict[Any, Callable[..., Any]] = {
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
