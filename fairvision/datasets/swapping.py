"""Swapped surroundings: a person kept, and everything else taken from another image.

After Xiao, Engstrom, Ilyas & Madry, "Noise or Signal: The Role of Image Backgrounds in Object
Recognition", ICLR 2021, arXiv 2006.09994, section 2: mixed-same and mixed-rand.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.datasets.fills import FILLS
from fairvision.datasets.hiding import WIDEN, hide, widened
from fairvision.errors import InputError

DONOR_SIDE = 16
"""Side of the masks by which donors are chosen: the same for models of every size."""
POOL = 8
"""Of how many times as many images the donors are taken that a person covers best."""
_AT_ONCE = 1 << 22  # pairs of images whose masks are compared at once
_MIX = -7046029254386353131  # the golden ratio in 64 bits: spreads bits (Fibonacci hashing)


def fill(images: Tensor, masks: Tensor, method: str = "rows", *, widen: float = WIDEN) -> Tensor:
    """Return the surroundings of people: each image with its person filled from what is around.

    Parameters
    ----------
    images : (n, channels, height, width) float
    masks : (n, 1, height, width) float, 1 on the person
    method : one of `FILLS`. "mean" takes the mean colour of what stays visible; "smooth" the
        visible colours around, from fine to coarse (the pyramid of Gortler, Grzeszczuk, Szeliski &
        Cohen, "The Lumigraph", SIGGRAPH 1996, section 3.4); "rows" goes on with the visible
        colours to the left and right of each row, and is "smooth" in rows that show none
    widen : how far the mask's edges are widened, as a share of the longer side, so that nothing of
        the person stays

    Returns
    -------
    (n, channels, height, width), a new tensor; mid-grey where nothing stays visible

    Raises
    ------
    InputError
        If there is no such method.

    Examples
    --------
    >>> import torch
    >>> image = torch.tensor([0.2, 0.9, 0.9, 0.4]).reshape(1, 1, 1, 4)
    >>> fill(image, (image > 0.8).float(), "mean", widen=0)
    tensor([[[[0.2000, 0.3000, 0.3000, 0.4000]]]])
    >>> fill(image, (image > 0.8).float(), "rows", widen=0)
    tensor([[[[0.2000, 0.2667, 0.3333, 0.4000]]]])
    """
    if method not in FILLS:
        raise InputError(f"unknown fill {method!r}: one of {', '.join(FILLS)}")
    return _WAYS[method](images, widened(masks, widen))


def paste(people: Tensor, masks: Tensor, surroundings: Tensor) -> Tensor:
    """Return each person in other surroundings.

    Parameters
    ----------
    people : (n, channels, height, width), images with the people
    masks : (n, 1, height, width), 1 on the person, of which exactly these pixels are kept
    surroundings : (n, channels, height, width), as `fill` returns them

    Examples
    --------
    >>> import torch
    >>> image = torch.tensor([0.2, 0.9, 0.9, 0.4]).reshape(1, 1, 1, 4)
    >>> paste(image, image > 0.8, torch.zeros(1, 1, 1, 4))
    tensor([[[[0.0000, 0.9000, 0.9000, 0.0000]]]])
    """
    return torch.where(masks > 0, people, surroundings)


def choose_donors(
    masks: Tensor,
    groups: Tensor,
    draws: Tensor,
    count: int,
    *,
    same: bool = False,
    pool: int = POOL,
    may_give: Tensor | None = None,
) -> Tensor:
    """Choose whose surroundings each person is shown in.

    The donors are images of other groups (or other images of the same group). Of `pool` times as
    many as are needed, which are drawn, those whose person the pasted one covers best are taken:
    the least of what was filled stays visible. They depend on nothing but the arguments, so they
    are the same for all models, and in any order of the images.

    Parameters
    ----------
    masks : (n, 1, height, width), small masks, all zero where there is none; who fills the image
        has no surroundings to take or to give
    groups : (n,) codes, -1 unknown
    draws : (n,) numbers in [0, 1) that belong to the images
    count : donors per image
    same : whether donors are of the same group, instead of the others
    pool : 1 draws them at random
    may_give : (n,) bool, which images may be donors; by default all

    Returns
    -------
    (n, count) int64 rows of donors, the best first; -1 where an image has no mask, no surroundings
    or no known group, and where there are fewer donors

    Examples
    --------
    >>> import torch
    >>> masks = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 1]]).reshape(3, 1, 1, 3)
    >>> choose_donors(masks, torch.tensor([0, 1, 1]), torch.tensor([0.5, 0.2, 0.9]), 2)
    tensor([[ 1,  2],
            [ 0, -1],
            [ 0, -1]])
    """
    people = (masks > 0).flatten(1).float()
    able = people.any(dim=1) & ~people.all(dim=1) & (groups >= 0)
    gives = able if may_give is None else able & may_give
    every = torch.arange(len(people), device=people.device)
    keys = (draws.double() * 2**53).long()
    chosen = torch.full((len(people), count), -1, device=people.device)
    for rows in torch.split(every, max(1, _AT_ONCE // max(1, len(people)))):
        alike = groups[rows, None] == groups
        allowed = able[rows, None] & gives & (alike if same else ~alike)
        allowed &= rows[:, None] != every
        pairs = ((keys[rows, None] ^ keys) * _MIX >> 11 & (2**52 - 1)) / 2**52
        size = min(len(people), pool * count)
        drawn = torch.where(allowed, pairs, torch.inf).topk(size, dim=1, largest=False)
        visible = ((1 - people[rows]) @ people.T).gather(1, drawn.indices)
        best = (visible + drawn.values).topk(min(count, size), dim=1, largest=False)
        donors = drawn.indices.gather(1, best.indices)
        chosen[rows, : donors.shape[1]] = torch.where(best.values.isinf(), -1, donors)
    return chosen


def _mean(images: Tensor, hidden: Tensor) -> Tensor:
    """Fill with the mean colour of what stays visible."""
    return hide(images, hidden)


def _smooth(images: Tensor, hidden: Tensor) -> Tensor:
    """Fill from ever coarser copies of what stays visible."""
    shown = 1 - hidden.to(images.dtype)
    return torch.where(hidden > 0, _pulled(images * shown, shown), images)


def _pulled(colours: Tensor, weight: Tensor) -> Tensor:
    """Return colours everywhere: those of weight, and where there is none coarser ones."""
    height, width = colours.shape[-2:]
    here = colours / weight.clamp(min=1e-6)
    if height == width == 1:
        return torch.where(weight > 0, here, 0.5)
    padded = (0, width % 2 if width > 1 else 1, 0, height % 2 if height > 1 else 1)
    halves = [F.avg_pool2d(F.pad(values, padded), 2) for values in (colours, weight)]
    coarse = _pulled(*halves)
    coarse = F.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    share = weight.clamp(max=1)
    return share * here + (1 - share) * coarse


def _rows(images: Tensor, hidden: Tensor) -> Tensor:
    """Fill each row from its nearest visible pixels to the left and right, blended between."""
    shown, width = hidden[:, 0] == 0, images.shape[-1]
    place = torch.arange(width, device=images.device).expand_as(shown)
    left = torch.where(shown, place, -1).cummax(dim=2).values
    right = torch.where(shown, place, width).flip(2).cummin(dim=2).values.flip(2)
    to_left = torch.where(left >= 0, (place - left).float(), torch.inf)
    to_right = torch.where(right < width, (right - place).float(), torch.inf)
    share = torch.where(to_right.isinf(), 0.0, to_left / (to_left + to_right).clamp(min=1))
    share = torch.where(to_left.isinf(), 1.0, share).unsqueeze(1)
    ends = (side.clamp(0, width - 1).unsqueeze(1).expand_as(images) for side in (left, right))
    first, second = (images.gather(3, end) for end in ends)
    blended = first + share.to(images.dtype) * (second - first)
    empty = ~shown.any(dim=2, keepdim=True).unsqueeze(1)
    filled = torch.where(hidden > 0, blended, images)
    return _smooth(filled, (empty & (hidden > 0)).to(images.dtype)) if bool(empty.any()) else filled


_WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rows": _rows,
    "smooth": _smooth,
    "mean": _mean,
}
