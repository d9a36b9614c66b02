"""Chance in attributions: drawn per image and sample, whatever the batches are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairvision.attribution.options import Options

# From noisy copies, whose they are (positions), and numbers of their own, to values.
Raw = Callable[[Tensor, Tensor, Tensor], Tensor]


def generator(seed: int, identity: int, sample: int) -> torch.Generator:
    """Return the source of chance of one sample of one image.

    >>> torch.rand(1, generator=generator(0, 3, 1)) == torch.rand(1, generator=generator(0, 3, 1))
    tensor([True])
    """
    state = np.random.SeedSequence([seed, identity, sample]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def gaussian(like: Tensor, seed: int, identities: Tensor, samples: Tensor) -> Tensor:
    """Return standard normal noise for some (image, sample) pairs, shaped as `like`."""
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
        some = images[rows]
        drawn = gaussian(some, options.seed, identities[pairs // samples], samples_of)
        # Methods that draw themselves must not draw the same for each of our samples.
        inner = identities[pairs // samples] * samples + samples_of
        found = raw(some + noise * drawn, rows, inner)
        found = found.to(torch.promote_types(found.dtype, torch.float32))
        if total is None or squares is None:
            total = found.new_zeros(len(images), *found.shape[1:])
            squares = torch.zeros_like(total)
        total.index_add_(0, rows, found)
        squares.index_add_(0, rows, found.square())
    assert total is not None
    assert squares is not None
    if options.noise_tunnel == "smoothgrad":
        return total / samples
    if options.noise_tunnel == "smoothgrad_sq":
        return squares / samples
    return (squares / samples - (total / samples).square()).clamp(min=0)
