"""Attributions from gradients at one or many images between a plain one and the image."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairvision.attribution.completeness import score_rises
from fairvision.attribution.explained import Explained, generator, plain_images, plain_pool
from fairvision.errors import FairvisionWarning

MOST_STEPS = 1024

# From pairs (position of the image, number of its point) to images and factors of gradients.
Points = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def saliency(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return the gradient (Simonyan et al., 2014, arXiv 1312.6034)."""
    return explained.gradients(images, targets)


def input_x_gradient(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return the gradient times the image (Shrikumar et al., 2016, arXiv 1605.01713)."""
    return images * explained.gradients(images, targets)


def integrated_gradients(
    explained: Explained, images: Tensor, targets: Tensor, _: Tensor
) -> Tensor:
    """Return gradients along a line, times its length (Sundararajan et al., arXiv 1703.01365).

    With a tolerance, the steps of those images are doubled that do not yet add up.
    """
    options = explained.options
    plain = plain_images(images, options.baseline)
    values = _on_the_line(explained, images, plain, targets, options.steps)
    if options.tolerance is None:
        return values
    rise = score_rises(explained, images, plain, targets)
    steps = options.steps
    while True:
        off = (values.sum(dim=(1, 2, 3)) - rise).abs() > options.tolerance
        rows = off.nonzero()[:, 0]
        if len(rows) == 0:
            return values
        steps *= 2
        if steps > max(MOST_STEPS, options.steps):
            warnings.warn(
                f"integrated gradients of {len(rows)} of {len(images)} pictures do not add up to "
                f"within {options.tolerance:g} with {steps // 2} steps",
                FairvisionWarning,
                stacklevel=2,
            )
            return values
        values[rows] = _on_the_line(explained, images[rows], plain[rows], targets[rows], steps)


def gradient_shap(
    explained: Explained, images: Tensor, targets: Tensor, identities: Tensor
) -> Tensor:
    """Return expected gradients (Erion et al., 2021; in captum "GradientShap").

    Each sample draws a plain image, a point on the line to the (noisy) image, and the noise.
    """
    options = explained.options
    noise = options.noise or 0.0
    shared = plain_pool(images, options.baseline, "gradient_shap")
    pool = plain_images(images, options.baseline) if shared is None else shared

    def points(rows: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        ends, plain, shares = images[rows].clone(), [], []
        for i, (row, sample) in enumerate(zip(rows.tolist(), samples.tolist())):
            chance = generator(options.seed, int(identities[row]), sample)
            pick = (
                int(torch.randint(len(pool), (), generator=chance)) if shared is not None else row
            )
            plain.append(pool[pick])
            shares.append(torch.rand(1, 1, 1, generator=chance))
            if noise:
                ends[i] += noise * torch.randn(ends.shape[1:], generator=chance).to(ends)
        starts = torch.stack(plain)
        return starts + torch.stack(shares).to(ends) * (ends - starts), ends - starts

    return _summed(explained, images, targets, options.samples, points) / options.samples


def _on_the_line(
    explained: Explained, images: Tensor, plain: Tensor, targets: Tensor, steps: int
) -> Tensor:
    """Return integrated gradients (n, channels, h, w) on the line from plain images."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    place = torch.tensor((nodes + 1) / 2).to(images)
    share = torch.tensor(weights / 2).to(_dtype_of_sums(images))

    def points(rows: Tensor, ks: Tensor) -> tuple[Tensor, Tensor]:
        between = torch.lerp(plain[rows], images[rows], place[ks].view(-1, 1, 1, 1))
        return between, share[ks].view(-1, 1, 1, 1)

    return _summed(explained, images, targets, steps, points) * (images - plain)


def _summed(
    explained: Explained, images: Tensor, targets: Tensor, count: int, points: Points
) -> Tensor:
    """Sum gradients times factors over the points of each image.

    All pairs of an image and a point are one long list, cut into pieces of the batch size.
    """
    total = torch.zeros_like(images, dtype=_dtype_of_sums(images))
    size = explained.options.batch_size
    for start in range(0, len(images) * count, size):
        end = min(start + size, len(images) * count)
        pairs = torch.arange(start, end, device=images.device)
        rows = pairs // count
        inputs, factors = points(rows, pairs % count)
        gradients = explained.gradients(inputs, targets[rows])
        total.index_add_(0, rows, gradients.to(total.dtype) * factors.to(total.dtype))
    return total


def _dtype_of_sums(images: Tensor) -> torch.dtype:
    """Return the type in which gradients are summed: the images', or float32 if wider."""
    return torch.promote_types(images.dtype, torch.float32)
