"""Attributions from hiding parts of the image, by captum, and any attribution under noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from captum.attr import FeatureAblation, Occlusion
from torch import Tensor

from fairvision.attribution.explained import Explained, Options, generator, plain_images
from fairvision.errors import InputError

# From noisy copies, whose they are (positions), and numbers of their own, to values.
Raw = Callable[[Tensor, Tensor, Tensor], Tensor]


def occlusion(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return how far the logit falls when a sliding square is hidden, mean over the squares.

    Zeiler & Fergus, ECCV 2014, arXiv 1311.2901, section 4.2. Of an image that is smaller, the
    square hides all of a side.
    """
    height, width = images.shape[2:]
    squares = occlusion_windows(height, width, explained.options.window, explained.options.stride)
    return _hidden(
        Occlusion(explained.scores),
        explained,
        images,
        targets,
        squares.number,
        sliding_window_shapes=(images.shape[1], *squares.sides),
        strides=(images.shape[1], *squares.strides),
    )


class Squares(NamedTuple):
    """The squares that occlusion hides, one after the other.

    Attributes
    ----------
    sides : height and width in pixels
    strides : by how many pixels they move, down and across
    number : how many there are
    """

    sides: tuple[int, int]
    strides: tuple[int, int]
    number: int


def occlusion_windows(
    height: int, width: int, window: int | None = None, stride: int | None = None
) -> Squares:
    """Return the squares that occlusion hides of an image.

    Parameters
    ----------
    height, width : of the image
    window, stride : as for `attribute`

    Raises
    ------
    InputError
        If they would leave places between them.

    Examples
    --------
    >>> occlusion_windows(224, 224)
    Squares(sides=(32, 32), strides=(16, 16), number=169)
    """
    window = window or max(1, round(min(height, width) / 7))
    stride = stride or max(1, window // 2)
    if stride > window:
        raise InputError(
            f"a window of {window} pixels every {stride} pixels does not cover pictures of "
            f"{height} × {width}: choose a stride of at most the window"
        )
    sides = min(window, height), min(window, width)
    strides = min(stride, sides[0]), min(stride, sides[1])
    down, across = (
        -((side - size) // -step) + 1 for side, size, step in zip((height, width), sides, strides)
    )
    return Squares(sides, strides, down * across)


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
    numbers, segments = torch.unique(segments.to(images.device), return_inverse=True)
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
    falls = []
    for start in range(0, len(images), at_once):
        rows = slice(start, start + at_once)
        hidden = method.attribute(
            images[rows],
            baselines=plain[rows],
            additional_forward_args=targets[rows],
            perturbations_per_eval=max(1, size // at_once),
            **how,
        )
        falls.append(hidden[:, :1])  # all channels are hidden together and share one value
    return torch.cat(falls)


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


def gaussian(like: Tensor, seed: int, identities: Tensor, samples: Tensor) -> Tensor:
    """Return standard normal noise for pairs of an image and a sample, shaped as `like`."""
    drawn = [
        torch.randn(like.shape[1:], generator=generator(seed, *pair))
        for pair in zip(identities.tolist(), samples.tolist())
    ]
    return torch.stack(drawn).to(like)


def through_noise(raw: Raw, images: Tensor, identities: Tensor, options: Options) -> Tensor:
    """Return the mean, mean square or variance of attributions of an image under noise.

    "SmoothGrad" (Smilkov et al., 2017, arXiv 1706.03825), its squares (Hooker et al., NeurIPS
    2019) and "VarGrad" (Adebayo et al., 2018): captum's `NoiseTunnel` with batches of its own.
    """
    samples, size = options.samples, options.batch_size
    noise = 0.15 if options.noise is None else options.noise
    total = squares = None
    for start in range(0, len(images) * samples, size):
        pairs = torch.arange(start, min(start + size, len(images) * samples))
        samples_of = pairs % samples
        rows = (pairs // samples).to(images.device)
        originals = images[rows]
        drawn = gaussian(originals, options.seed, identities[pairs // samples], samples_of)
        # Methods that draw themselves must not draw the same for each of our samples.
        inner = identities[pairs // samples] * samples + samples_of
        values = raw(originals + noise * drawn, rows, inner)
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        if total is None or squares is None:
            total = values.new_zeros(len(images), *values.shape[1:])
            squares = torch.zeros_like(total)
        total.index_add_(0, rows, values)
        squares.index_add_(0, rows, values.square())
    assert total is not None
    assert squares is not None
    if options.noise_tunnel == "smoothgrad":
        return total / samples
    if options.noise_tunnel == "smoothgrad_sq":
        return squares / samples
    return (squares / samples - (total / samples).square()).clamp(min=0)
