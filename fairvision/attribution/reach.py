"""Whether maps of zeros come from a function that is flat everywhere, such as rounding."""

from __future__ import annotations

import torch
from torch import Tensor

from fairvision.attribution.answers import NOT_REACHED
from fairvision.attribution.gradients import rises
from fairvision.attribution.noise import generator
from fairvision.attribution.options import Explained, plain_images
from fairvision.errors import InputError


def check_reach(explained: Explained, images: Tensor, targets: Tensor) -> None:
    """Raise `InputError` where the answer changes with images but no gradient ever shows it.

    Zero is right where the answer does not change, or is flat just there. So gradients are looked
    for at the images, at plain ones and at noise: NaN in their place finds its way also through
    weights that are zero.
    """
    plain = plain_images(images, None)
    noise = torch.rand(images.shape, generator=generator(0, 0, 0)).to(images)
    if not any((rises(explained, images, other, targets) != 0).any() for other in (plain, noise)):
        return
    for points in (images, plain, noise):
        start = points.detach().clone().requires_grad_()
        scores = explained.scores(start.clone(), targets)
        (found,) = torch.autograd.grad(scores, start, torch.full_like(scores, torch.nan))
        if found.isnan().any():
            return
    raise InputError(NOT_REACHED)
