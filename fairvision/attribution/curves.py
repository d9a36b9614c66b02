"""Insertion and deletion: how an answer moves as pixels come in and go, most evidence first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from fairvision.attribution.noise import generator
from fairvision.attribution.options import Explained, Options, plain_images, targets_of
from fairvision.attribution.state import undisturbed
from fairvision.errors import InputError

Score = Literal["softmax", "sigmoid", "logit"]
Plain = Tensor | float | Literal["blur"] | None
AnyPlain = TypeVar("AnyPlain", bound=Plain)

_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(dim=1),
    "sigmoid": Tensor.sigmoid,
    "logit": lambda logits: logits,
}


def curves(
    network: nn.Module,
    images: Tensor,
    target: Tensor | int,
    maps: Tensor,
    *,
    head: str | None = None,
    plain: Plain = None,
    steps: int = 20,
    score: Score = "softmax",
    seed: int = 0,
    precision: str = "32",
    batch_size: int = 32,
) -> tuple[Tensor, Tensor]:
    """Return how the target's score moves as pixels come in, and as they go, most evidence first.

    Images × steps are one list that is cut into batches. Pixels of equal evidence come in random
    order.

    Parameters
    ----------
    network, images, target, head, precision, batch_size : as for `attribute`
    maps : (n, height, width) numbers, the evidence; only its order counts
    plain : as for `faithfulness`
    steps : in how many equal shares of the pixels
    score : what is measured: probabilities ("softmax", or "sigmoid" where several classes may
        hold), or the "logit" itself
    seed : of the order among ties

    Returns
    -------
    insertion, deletion : (n, steps + 1) float32, the score with 0, 1/steps, …, 1 of the pixels put
        into the plain image, and taken out of the image. NaN where the target is unknown, or
        the map is not finite or the same everywhere.

    References
    ----------
    V. Petsiuk, A. Das and K. Saenko, "RISE", BMVC 2018, section 4.1. arXiv:1806.07421.

    Examples
    --------
    >>> class Red(nn.Module):
    ...     def forward(self, images):
    ...         return images[:, :1].sum(dim=(2, 3))
    >>> images = torch.zeros(1, 3, 1, 4)
    >>> images[0, 0, 0] = torch.tensor([1.0, 3.0, 0.0, 0.0])
    >>> insertion, _ = curves(Red(), images, 0, images[:, 0], plain=0.0, steps=4, score="logit")
    >>> insertion
    tensor([[0., 3., 4., 4., 4.]])
    """
    if score not in _SCORES:
        raise InputError(f"score {score!r}: choose from {', '.join(_SCORES)}")
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    if maps.shape != (len(images), *images.shape[2:]):
        raise InputError(
            f"maps have shape {tuple(maps.shape)}, but the pictures {tuple(images.shape)}"
        )
    options = Options(head=head, precision=precision, batch_size=batch_size, seed=seed)
    explained = Explained(network, options)
    targets = targets_of(target, images)
    found = images.new_full((2, len(images), steps + 1), torch.nan, dtype=torch.float32)
    with torch.no_grad(), undisturbed(network):
        known = ordered(maps, targets).nonzero()[:, 0]
        for start in range(0, len(known), batch_size):
            rows = known[start : start + batch_size]
            own = images[rows]
            empty = filling(own, of_rows(plain, rows))
            ranks = _ranks(maps[rows], rows, seed)
            said = [
                _SCORES[score](explained.logits(some).float()).gather(1, targets[rows[of], None])
                for of, some in _between(own, empty, ranks, steps, batch_size)
            ]
            values = torch.cat(said).view(len(rows), 2, steps + 1).transpose(0, 1)
            found[:, rows] = values
    return found[0], found[1]


def areas(insertion: Tensor, deletion: Tensor) -> dict[str, Tensor]:
    """Return the areas under curves (n, steps + 1), by trapezoids: in the units of the score.

    >>> areas(torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    {'insertion': tensor([0.7500]), 'deletion': tensor([0.2500])}
    """
    return {
        name: torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1), dim=1)
        for name, curve in (("insertion", insertion), ("deletion", deletion))
    }


def moved(maps: Tensor, *, seed: int = 0) -> Tensor:
    """Move each map to a random place; what leaves the image comes in at the opposite edge.

    A map without any relation to its image, yet as smooth as it was. As every place is equally
    likely, it scores the chance level in each measure of localisation whose chance level is the
    mask's area.

    Parameters
    ----------
    maps : (n, height, width)
    seed : of the places; draws depend on the map's position in `maps` and on nothing else

    Examples
    --------
    >>> maps = torch.arange(6.0).view(1, 2, 3)
    >>> sorted(moved(maps).flatten().tolist()) == maps.flatten().tolist()
    True
    """
    height, width = maps.shape[1:]
    places = [
        int(torch.randint(height * width, (1,), generator=generator(seed, row, 0)))
        for row in range(len(maps))
    ]
    rolled = [one.roll(divmod(place, width), dims=(0, 1)) for one, place in zip(maps, places)]
    return torch.stack(rolled) if rolled else maps.clone()


def ordered(maps: Tensor, targets: Tensor) -> Tensor:
    """Return (n,) bool, whether the target is known and the map puts pixels in some order."""
    flat = maps.flatten(1)
    return flat.isfinite().all(dim=1) & (flat != flat[:, :1]).any(dim=1) & (targets >= 0)


def _ranks(maps: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Return each pixel's place in the order of evidence, (n, height × width), 0 the most."""
    flat = maps.flatten(1)
    ranks = torch.empty(flat.shape, dtype=torch.int64, device=flat.device)
    places = torch.arange(flat.shape[1], device=flat.device)
    for own, values, row in zip(ranks, flat, rows.tolist()):
        mixed = torch.randperm(len(values), generator=generator(seed, row, 1)).to(flat.device)
        own[mixed[values[mixed].argsort(descending=True, stable=True)]] = places
    return ranks.view(maps.shape)


def _between(
    images: Tensor, empty: Tensor, ranks: Tensor, steps: int, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (whose they are, images) with some pixels shown: each one's insertion, deletion."""
    each = 2 * (steps + 1)
    pixels = ranks.shape[1] * ranks.shape[2]
    for start in range(0, len(images) * each, size):
        numbers = torch.arange(start, min(start + size, len(images) * each), device=ranks.device)
        of, which = numbers // each, numbers % each
        count = (which % (steps + 1) * pixels / steps).round()[:, None, None]
        first = ranks[of] < count
        shown = first ^ (which > steps)[:, None, None]
        yield of, torch.where(shown[:, None], images[of], empty[of])


def filling(images: Tensor, plain: Plain) -> Tensor:
    """Return what takes the place of hidden pixels, one image per image."""
    if isinstance(plain, str):
        if plain != "blur":
            raise InputError(f"plain {plain!r}: give None, 'blur', a number or pictures")
        side = max(1, min(images.shape[2:]) // 4) | 1
        return gaussian_blur(images, [side, side], [side / 4, side / 4])
    return plain_images(images, plain)


def of_rows(plain: AnyPlain, rows: Tensor) -> AnyPlain:
    """Return the plain images of some rows, where each has its own."""
    if isinstance(plain, Tensor) and plain.ndim == 4 and len(plain) > 1:
        return plain[rows]  # type: ignore[return-value]
    return plain
