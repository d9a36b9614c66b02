"""Attributions from hiding parts of the image, by captum: no gradient is needed."""

from __future__ import annotations

from typing import Any

import torch
from captum.attr import FeatureAblation, Occlusion
from torch import Tensor

from fairvision.attribution.options import Explained, plain_images
from fairvision.errors import InputError


def occlusion(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return how far the logit falls when a sliding square is hidden, mean over the squares.

    Zeiler & Fergus, ECCV 2014, arXiv 1311.2901, section 4.2. Of an image that is smaller, the
    square hides all of a side.
    """
    options = explained.options
    height, width = images.shape[2:]
    window = options.window or max(1, round(min(height, width) / 7))
    stride = options.stride or max(1, window // 2)
    if stride > window:
        raise InputError(
            f"a window of {window} pixels every {stride} pixels does not cover pictures of "
            f"{height} × {width}: choose a stride of at most the window"
        )
    windows = [min(window, side) for side in (height, width)]
    strides = [min(stride, side) for side in windows]
    down, across = (
        -((side - size) // -step) + 1 for side, size, step in zip((height, width), windows, strides)
    )
    return _hidden(
        Occlusion(explained.scores),
        explained,
        images,
        targets,
        down * across,
        sliding_window_shapes=(images.shape[1], *windows),
        strides=(images.shape[1], *strides),
    )


def feature_ablation(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return how far the logit falls when a segment is hidden: by default squares of a grid."""
    height, width = images.shape[2:]
    segments = explained.options.segments
    if segments is None:
        segments = _grid(height, width, explained.options.window)
    if segments.is_floating_point() or tuple(segments.shape[-2:]) != (height, width):
        raise InputError(
            f"segments must be whole numbers, {height} × {width}, not {segments.dtype} of shape "
            f"{tuple(segments.shape)}"
        )
    numbers, segments = segments.to(images.device).unique(return_inverse=True)
    if segments.ndim == 3:
        raise InputError("segments are one drawing (height, width) for all pictures")
    return _hidden(
        FeatureAblation(explained.scores),
        explained,
        images,
        targets,
        len(numbers),
        feature_mask=segments[None, None],
    )


def _hidden(
    method: Any, explained: Explained, images: Tensor, targets: Tensor, parts: int, **how: Any
) -> Tensor:
    """Run captum with as many images, and parts of each, at one time as the batch size allows."""
    size = explained.options.batch_size
    at_once = max(1, min(len(images), size // parts))
    plain = plain_images(images, explained.options.baseline)
    found = []
    for start in range(0, len(images), at_once):
        rows = slice(start, start + at_once)
        hidden = method.attribute(
            images[rows],
            baselines=plain[rows],
            additional_forward_args=targets[rows],
            perturbations_per_eval=max(1, size // at_once),
            **how,
        )
        found.append(hidden[:, :1])  # all channels are hidden together and share one value
    return torch.cat(found)


def _grid(height: int, width: int, side: int | None) -> Tensor:
    """Number the squares of a grid.

    >>> _grid(2, 4, 2)
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 1]])
    """
    side = side or max(1, round(min(height, width) / 7))
    columns = -(-width // side)
    rows = torch.arange(height) // side
    return rows[:, None] * columns + torch.arange(width)[None] // side
