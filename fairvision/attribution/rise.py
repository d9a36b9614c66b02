"""RISE: what the score makes of randomly hidden images, for any model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fairvision.attribution.explained import Explained, generator, plain_images

_SEEN = 0.5  # probability of a cell to be seen, as published


def rise(explained: Explained, images: Tensor, targets: Tensor, identities: Tensor) -> Tensor:
    """Return by how much the score is higher where a place is seen than on average.

    Petsiuk, Das & Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
    BMVC 2018 (arXiv 1806.07421), equation 4: the mean score under random smooth masks, weighted by
    how much of a place each mask lets through. Here the mean score is taken off it, which moves no
    place before another, and leaves zero where it does not matter whether a place is seen.
    """
    options = explained.options
    count, size = options.masks, options.batch_size
    height, width = images.shape[2:]
    side = options.window or max(1, round(min(height, width) / 7))
    plain = plain_images(images, options.baseline)
    drawn = [_draw(height, width, side, count, options.seed, row) for row in identities.tolist()]
    starts = range(0, len(images), size)
    with torch.no_grad():  # what never changes is exactly zero then
        whole = torch.cat(
            [explained.scores(images[k : k + size], targets[k : k + size]) for k in starts]
        )
    weighted = images.new_zeros(len(images), height, width, dtype=torch.float32)
    seen, total = torch.zeros_like(weighted), weighted.new_zeros(len(images))
    for start in range(0, len(images) * count, size):
        pairs = range(start, min(start + size, len(images) * count))
        rows = torch.tensor([pair // count for pair in pairs], device=images.device)
        masks = torch.cat([drawn[pair // count].mask(pair % count) for pair in pairs]).to(images)
        with torch.no_grad():
            shown = torch.lerp(plain[rows], images[rows], masks[:, None])
            scores = (explained.scores(shown, targets[rows]) - whole[rows]).to(weighted)
        masks = masks.to(weighted)
        weighted.index_add_(0, rows, scores[:, None, None] * masks)
        seen.index_add_(0, rows, masks)
        total.index_add_(0, rows, scores)
    mean = weighted / torch.where(seen > 0, seen, 1)
    rises = mean - (total / count)[:, None, None]
    return torch.where(seen > 0, rises, 0)[:, None]


@dataclass(frozen=True)
class _Drawn:
    """The masks of one image.

    Attributes
    ----------
    grids : (count, rows, columns) float, 1 where a cell is seen
    moves : (count, 2) int64, by how many pixels the grid is moved up and to the left
    side : of a cell, in pixels
    shape : height and width of the image
    """

    grids: Tensor
    moves: Tensor
    side: int
    shape: tuple[int, int]

    def mask(self, number: int) -> Tensor:
        """Return one mask, (1, height, width) in [0, 1]: the grid with smooth edges.

        It is enlarged to one cell more than the image has, and a part is cut out (section 3.2).
        """
        (down, right), (height, width) = self.moves[number].tolist(), self.shape
        grid = self.grids[number][None, None]
        large = tuple((count + 1) * self.side for count in grid.shape[2:])
        smooth = F.interpolate(grid, large, mode="bilinear", align_corners=False)[0]
        return smooth[:, down : down + height, right : right + width]


def _draw(height: int, width: int, side: int, count: int, seed: int, identity: int) -> _Drawn:
    """Draw the masks of one image."""
    chance = generator(seed, identity, 0)
    rows, columns = -(-height // side), -(-width // side)
    grids = (torch.rand(count, rows, columns, generator=chance) < _SEEN).float()
    return _Drawn(
        grids, torch.randint(side + 1, (count, 2), generator=chance), side, (height, width)
    )
