"""Hiding a part of an image: one way for training and audit alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WIDEN = 0.03
"""How far the edges of a person's mask are widened, as a share of the longer side."""
_ENOUGH, _TOO_LITTLE = 0.9, 0.5


def hide(images: Tensor, hidden: Tensor) -> Tensor:
    """Fill a part of each image with the mean colour of what stays visible.

    The mean of the *whole* image would carry the hidden part's own colours into the fill, so only
    the visible pixels are averaged.

    Parameters
    ----------
    images : (n, channels, height, width) float
    hidden : (n, 1, height, width) bool, or float where 1 is hidden; images of which nothing is
        hidden are returned as they are

    Returns
    -------
    (n, channels, height, width), a new tensor; mid-grey where nothing stays visible

    Examples
    --------
    >>> import torch
    >>> image = torch.tensor([0.2, 0.2, 0.9, 0.4]).reshape(1, 1, 1, 4)
    >>> hide(image, image > 0.8)
    tensor([[[[0.2000, 0.2000, 0.2667, 0.4000]]]])
    """
    hidden = hidden.to(images.dtype)
    shown = 1 - hidden
    count = shown.sum(dim=(2, 3), keepdim=True)
    total = (images * shown).sum(dim=(2, 3), keepdim=True)
    colour = torch.where(count > 0, total / count.clamp(min=1), 0.5)
    return torch.where(hidden > 0, colour, images)


def hide_person(images: Tensor, masks: Tensor, *, widen: float = WIDEN) -> Tensor:
    """Fill the person with the mean colour of what stays visible.

    After Hendricks et al., ECCV 2018, section 3, average over all visible pixels; see `hide`.

    Parameters
    ----------
    images : (n, channels, height, width) float
    masks : (n, 1, height, width) float, 1 on the person; images whose mask is all zero are
        returned as they are
    widen : how far the mask's edges are widened, as a share of the longer side

    Returns
    -------
    (n, channels, height, width), a new tensor

    Examples
    --------
    >>> import torch
    >>> image = torch.tensor([0.2, 0.2, 0.9, 0.4]).reshape(1, 1, 1, 4)
    >>> hide_person(image, (image > 0.8).float(), widen=0)
    tensor([[[[0.2000, 0.2000, 0.2667, 0.4000]]]])
    """
    return hide(images, widened(masks, widen))


def only_person(images: Tensor, masks: Tensor, *, widen: float = WIDEN) -> Tensor:
    """Fill everything but the person with the person's mean colour; see `hide_person`.

    Images whose mask is all zero become mid-grey.
    """
    return hide(images, 1 - widened(masks, widen))


def widened(masks: Tensor, share: float = WIDEN) -> Tensor:
    """Return masks (n, 1, height, width) with their edges moved outwards."""
    radius = round(share * max(masks.shape[-2:]))
    if radius == 0:
        return masks
    return _highest(_highest(masks, radius, 2), radius, 3)


def elsewhere(hidden: Tensor, free: Tensor, draws: Tensor) -> Tensor:
    """Move each mask to a random other place: a control for what hiding any such area does.

    The place is drawn from all shifts that put at least 90% of the mask on free pixels without
    passing the image's edge; where there are none, from those that go on at the opposite edge;
    where there are none of these either, it is the shift that puts most on free pixels.

    Parameters
    ----------
    hidden : (n, height, width) bool
    free : (n, height, width) bool, pixels that may be hidden instead; none of `hidden`
    draws : (n,) numbers in [0, 1) that choose the place

    Returns
    -------
    (n, height, width) bool, the moved mask on free pixels; empty where no shift puts at least half
    of the mask there

    Examples
    --------
    >>> import torch
    >>> hidden = torch.tensor([[[1, 1, 0, 0, 0]]]).bool()
    >>> elsewhere(hidden, ~hidden, torch.tensor([0.0])).int().tolist()
    [[[0, 0, 1, 1, 0]]]
    """
    height, width = hidden.shape[1:]
    area = hidden.sum(dim=(1, 2)).view(-1, 1, 1)
    # shared[dy, dx]: pixels of the mask, moved by (dy, dx), that are free; a circular correlation
    spectrum = torch.fft.rfft2(hidden.float()).conj() * torch.fft.rfft2(free.float())
    shared = torch.fft.irfft2(spectrum, s=(height, width)).round()
    inside = _unwrapped(hidden.any(dim=2))[:, :, None] & _unwrapped(hidden.any(dim=1))[:, None, :]
    allowed = shared == shared.amax(dim=(1, 2), keepdim=True)
    enough = shared >= _ENOUGH * area
    for better in (enough, enough & inside):
        allowed = torch.where(better.any(dim=(1, 2), keepdim=True), better, allowed)
    ranks = allowed.flatten(1).cumsum(dim=1)
    chosen = (draws.to(ranks.device) * ranks[:, -1]).long().clamp(max=ranks[:, -1] - 1)
    shifts = (ranks <= chosen.view(-1, 1)).sum(dim=1).tolist()
    moved = [mask.roll(divmod(shift, width), dims=(0, 1)) for mask, shift in zip(hidden, shifts)]
    control = torch.stack(moved) & free if moved else torch.zeros_like(hidden)
    return control & (control.sum(dim=(1, 2), keepdim=True) >= _TOO_LITTLE * area)


def _highest(masks: Tensor, radius: int, dim: int) -> Tensor:
    """Return the maximum over each position's neighbours along a side, from few comparisons."""
    zeros = [0] * (2 * (3 - dim))
    masks, reach, length = F.pad(masks, [*zeros, radius, radius]), 1, 2 * radius + 1
    while reach < length:  # each value is already the maximum of so many
        step = min(reach, length - reach)
        rest = masks.shape[dim] - step
        masks = torch.maximum(masks.narrow(dim, 0, rest), masks.narrow(dim, step, rest))
        reach += step
    return masks


def _unwrapped(there: Tensor) -> Tensor:
    """Return which shifts of lines (n, length) pass no edge, (n, length)."""
    length = there.shape[1]
    before = there.int().argmax(dim=1, keepdim=True)
    after = there.flip(1).int().argmax(dim=1, keepdim=True)
    shifts = torch.arange(length, device=there.device)
    return (shifts <= after) | (length - shifts <= before)
