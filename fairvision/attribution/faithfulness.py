"""Whether maps say what moves a network's score: insertion, deletion, infidelity, sensitivity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.explained import (
    Explained,
    Options,
    generator,
    plain_images,
    targets_of,
    undisturbed,
)
from fairvision.attribution.maps import numbered
from fairvision.attribution.names import FROM_SEVERAL
from fairvision.errors import InputError

_SQUARES = 7  # the image's shorter side in squares that infidelity hides
Score = Literal["softmax", "sigmoid", "logit"]
Plain = Tensor | float | Literal["blur"] | None
AnyPlain = TypeVar("AnyPlain", bound=Plain)

_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(dim=1),
    "sigmoid": Tensor.sigmoid,
    "logit": lambda logits: logits,
}


def faithfulness(
    network: nn.Module,
    images: Tensor,
    target: Tensor | int,
    method: str = "gradcam",
    *,
    plain: Plain = None,
    curve_steps: int = 20,
    score: Score = "softmax",
    perturbations: int = 10,
    radius: float = 0.02,
    **options: Any,
) -> dict[str, Tensor]:
    """Return how faithful a method's maps are to the network, per image.

    Signed maps are judged, where the method has a sign. Every figure can be misled, each in its own
    way: see docs/attribution.md. For a mean with its interval, `fairvision.metrics.mean`.

    Parameters
    ----------
    network, images, target, method : as for `attribute`
    plain : what takes the place of hidden pixels: None for each image's mean colour, "blur" for
        the image without its detail, or anything that broadcasts to `images`
    curve_steps, score : as for `curves`
    perturbations : random hidings of infidelity, and noisy copies of sensitivity; 0 leaves both out
    radius : noise of sensitivity, uniform in ± so many units of the images
    **options : further options of `attribute`, such as `head`, `batch_size` and `seed`

    Returns
    -------
    (n,) float32 each, NaN where a map is undefined or the same everywhere:

    insertion, deletion : areas under the `curves`; insertion is better high, deletion low
    insertion_chance, deletion_chance : the same for the map moved to a random place of the image
    infidelity : mean squared difference between what the map, times the best factor, gives to
        hidden parts and how far the logit falls without them, in squared logits (Yeh et al.,
        NeurIPS 2019, section 2.2); each square of a grid of about 7 × 7 is hidden with probability
        1/2. The factor makes maps of any unit comparable
    sensitivity : largest change of the map under small noise, over its size (section 3)

    Raises
    ------
    InputError
        As `attribute` does.

    Examples
    --------
    For a linear network, the gradient times the image is all that there is to say:

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2)).eval()
    >>> values = faithfulness(network, torch.rand(4, 3, 8, 8), 1, "input_x_gradient", plain=0.0)
    >>> bool((values["infidelity"] < 1e-6).all())
    True
    """
    chosen = Options(**options)
    targets = targets_of(target, images)
    signed = method not in ("saliency", "guided_backprop", "guided_gradcam")
    maps = numbered(network, images, targets, method, chosen, signed=signed)
    curves_of = partial(
        curves,
        network,
        images,
        targets,
        head=chosen.head,
        plain=plain,
        steps=curve_steps,
        score=score,
        seed=chosen.seed,
        precision=chosen.precision,
        batch_size=chosen.batch_size,
    )
    values = areas(*curves_of(maps))
    elsewhere = areas(*curves_of(move_maps(maps, seed=chosen.seed)))
    values |= {f"{name}_chance": area for name, area in elsewhere.items()}
    if perturbations:
        blank = ~has_order(maps, targets)
        values["infidelity"] = _infidelity(
            network, images, targets, maps, plain, chosen, perturbations
        )
        with adding_up(Sums()):  # a warning was given for the images as they are
            values["sensitivity"] = _sensitivity(
                network, images, targets, method, chosen, signed, perturbations, radius
            )
        for name in ("infidelity", "sensitivity"):
            values[name] = values[name].masked_fill(blank, torch.nan)
    return values


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
    scores = images.new_full((2, len(images), steps + 1), torch.nan, dtype=torch.float32)
    with torch.no_grad(), undisturbed(network):
        valid = has_order(maps, targets).nonzero()[:, 0]
        for start in range(0, len(valid), batch_size):
            rows = valid[start : start + batch_size]
            whole = images[rows]
            empty = filling(whole, plain_of_rows(plain, rows))
            ranks = _ranks(maps[rows], rows, seed)
            parts = [
                _SCORES[score](explained.logits(batch).float()).gather(1, targets[rows[of], None])
                for of, batch in _between(whole, empty, ranks, steps, batch_size)
            ]
            scores[:, rows] = torch.cat(parts).view(len(rows), 2, steps + 1).transpose(0, 1)
    return scores[0], scores[1]


def areas(insertion: Tensor, deletion: Tensor) -> dict[str, Tensor]:
    """Return the areas under curves (n, steps + 1), by trapezoids: in the units of the score.

    >>> areas(torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    {'insertion': tensor([0.7500]), 'deletion': tensor([0.2500])}
    """
    return {
        name: torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1), dim=1)
        for name, curve in (("insertion", insertion), ("deletion", deletion))
    }


def move_maps(maps: Tensor, *, seed: int = 0) -> Tensor:
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
    >>> sorted(move_maps(maps).flatten().tolist()) == maps.flatten().tolist()
    True
    """
    height, width = maps.shape[1:]
    places = [
        int(torch.randint(height * width, (1,), generator=generator(seed, row, 0)))
        for row in range(len(maps))
    ]
    rolled = [one.roll(divmod(place, width), dims=(0, 1)) for one, place in zip(maps, places)]
    return torch.stack(rolled) if rolled else maps.clone()


def has_order(maps: Tensor, targets: Tensor) -> Tensor:
    """Return (n,) bool, whether the target is given and the map puts pixels in an order."""
    flat = maps.flatten(1)
    return flat.isfinite().all(dim=1) & (flat != flat[:, :1]).any(dim=1) & (targets >= 0)


def _ranks(maps: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Return each pixel's place in the order of evidence, (n, height × width), 0 the most."""
    flat = maps.flatten(1)
    ranks = torch.empty(flat.shape, dtype=torch.int64, device=flat.device)
    places = torch.arange(flat.shape[1], device=flat.device)
    for ranking, values, row in zip(ranks, flat, rows.tolist()):
        mixed = torch.randperm(len(values), generator=generator(seed, row, 1)).to(flat.device)
        ranking[mixed[values[mixed].argsort(descending=True, stable=True)]] = places
    return ranks.view(maps.shape)


def _between(
    images: Tensor, empty: Tensor, ranks: Tensor, steps: int, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (rows, images of them with a part of the pixels shown): insertion, then deletion."""
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
        blurred: Tensor = gaussian_blur(images, [side, side], [side / 4, side / 4])
        return blurred
    return plain_images(images, plain)


def plain_of_rows(plain: AnyPlain, rows: Tensor) -> AnyPlain:
    """Return the plain images of some rows, where each has its own."""
    if isinstance(plain, Tensor) and plain.ndim == 4 and len(plain) > 1:
        return plain[rows]  # type: ignore[return-value]
    return plain


def _infidelity(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    plain: Plain,
    options: Options,
    count: int,
) -> Tensor:
    """Judge maps by captum, with a gate per pixel for an input: 1 shows it, 0 hides it.

    Image by image, so that what is drawn depends on its position alone.
    """
    explained = Explained(network, options)

    def gated_scores(gates: Tensor, image: Tensor, empty: Tensor, target: Tensor) -> Tensor:
        return explained.scores(torch.lerp(empty, image, gates), target)

    values = []
    with torch.no_grad(), undisturbed(network):
        for row, target in enumerate(targets.clamp(min=0)):
            image = images[row : row + 1]
            its_plain = plain_of_rows(plain, torch.tensor([row]))
            value = infidelity(
                gated_scores,
                _squares(image, generator(options.seed, row, 2)),
                torch.ones_like(image[:, :1]),
                maps[row : row + 1, None].to(image),
                additional_forward_args=(image, filling(image, its_plain), target[None]),
                n_perturb_samples=count,
                max_examples_per_batch=min(count, options.batch_size),
                normalize=True,
            )
            values.append(value.float())
    return torch.cat(values) if values else images.new_empty(0)


def _squares(image: Tensor, source: torch.Generator) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what closes the gates of random squares: how far, and the gates then."""
    height, width = image.shape[2:]
    side = max(1, min(height, width) // _SQUARES)
    grid = (-(-height // side), -(-width // side))

    def hide(gates: Tensor) -> tuple[Tensor, Tensor]:
        squares = torch.rand((len(gates), 1, *grid), generator=source) < 0.5
        large = squares.repeat_interleave(side, 2).repeat_interleave(side, 3)
        hidden = large[:, :, :height, :width].to(gates)
        return hidden, gates - hidden

    return hide


def _sensitivity(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    method: str,
    options: Options,
    signed: bool,
    count: int,
    radius: float,
) -> Tensor:
    """Judge by captum how maps change under noise, image by image."""
    values = []
    for row, target in enumerate(targets):
        of_row = options
        if isinstance(options.baseline, Tensor) and method not in FROM_SEVERAL:
            of_row = replace(options, baseline=plain_of_rows(options.baseline, torch.tensor([row])))
        value = sensitivity_max(
            partial(_explain, network, target, method, of_row, signed, row),
            images[row : row + 1].detach(),
            _noise(radius, generator(options.seed, row, 3)),
            n_perturb_samples=count,
            max_examples_per_batch=min(count, options.batch_size),
        )
        values.append(value.float())
    return torch.cat(values) if values else images.new_empty(0)


def _explain(
    network: nn.Module,
    target: Tensor,
    method: str,
    options: Options,
    signed: bool,
    row: int,
    images: Tensor | tuple[Tensor],
) -> tuple[Tensor]:
    """Return the maps of one image or of noisy copies of it, as captum asks for them."""
    images = images[0] if isinstance(images, tuple) else images  # captum gives either
    return (numbered(network, images, target, method, options, signed=signed, first=row),)


def _noise(radius: float, source: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Return what adds uniform noise to images."""

    def noisy(images: Tensor) -> Tensor:
        drawn = torch.rand(images.shape, generator=source).to(images)
        return images + radius * (2 * drawn - 1)

    return noisy
