"""Whether maps say what moves a network's answer: insertion, deletion, infidelity, sensitivity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor, nn

from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.curves import (
    Plain,
    Score,
    areas,
    curves,
    filling,
    moved,
    of_rows,
    ordered,
)
from fairvision.attribution.maps import numbered
from fairvision.attribution.noise import generator
from fairvision.attribution.options import Explained, Options, targets_of
from fairvision.attribution.state import undisturbed

_SQUARES = 7  # the image's shorter side in squares that infidelity hides


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
    >>> found = faithfulness(network, torch.rand(4, 3, 8, 8), 1, "input_x_gradient", plain=0.0)
    >>> bool((found["infidelity"] < 1e-6).all())
    True
    """
    chosen = Options(**options)
    targets = targets_of(target, images)
    signed = method not in ("saliency", "guided_backprop", "guided_gradcam")
    maps = numbered(network, images, targets, method, chosen, signed=signed)
    how: dict[str, Any] = {
        "head": chosen.head,
        "plain": plain,
        "steps": curve_steps,
        "score": score,
        "seed": chosen.seed,
        "precision": chosen.precision,
        "batch_size": chosen.batch_size,
    }
    found = areas(*curves(network, images, targets, maps, **how))
    elsewhere = areas(*curves(network, images, targets, moved(maps, seed=chosen.seed), **how))
    found |= {f"{name}_chance": values for name, values in elsewhere.items()}
    if perturbations:
        blank = ~ordered(maps, targets)
        found["infidelity"] = _infidelity(
            network, images, targets, maps, plain, chosen, perturbations
        )
        with adding_up(Sums()):  # whether they do was told for the images as they are
            found["sensitivity"] = _sensitivity(
                network, images, targets, method, chosen, signed, perturbations, radius
            )
        for name in ("infidelity", "sensitivity"):
            found[name] = found[name].masked_fill(blank, torch.nan)
    return found


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

    def answer(gates: Tensor, some: Tensor, empty: Tensor, target: Tensor) -> Tensor:
        return explained.scores(torch.lerp(empty, some, gates), target)

    found = []
    with torch.no_grad(), undisturbed(network):
        for row, target in enumerate(targets.clamp(min=0)):
            some = images[row : row + 1]
            own = of_rows(plain, torch.tensor([row]))
            value = infidelity(
                answer,
                _squares(some, generator(options.seed, row, 2)),
                torch.ones_like(some[:, :1]),
                maps[row : row + 1, None].to(some),
                additional_forward_args=(some, filling(some, own), target[None]),
                n_perturb_samples=count,
                max_examples_per_batch=min(count, options.batch_size),
                normalize=True,
            )
            found.append(value.float())
    return torch.cat(found) if found else images.new_empty(0)


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
    found = []
    for row, target in enumerate(targets):
        own = options
        if isinstance(options.baseline, Tensor) and method != "gradient_shap":
            own = replace(options, baseline=of_rows(options.baseline, torch.tensor([row])))
        value = sensitivity_max(
            partial(_explain, network, target, method, own, signed, row),
            images[row : row + 1].detach(),
            _noise(radius, generator(options.seed, row, 3)),
            n_perturb_samples=count,
            max_examples_per_batch=min(count, options.batch_size),
        )
        found.append(value.float())
    return torch.cat(found) if found else images.new_empty(0)


def _explain(
    network: nn.Module,
    target: Tensor,
    method: str,
    options: Options,
    signed: bool,
    row: int,
    images: Tensor | tuple[Tensor],
) -> tuple[Tensor]:
    images = images[0] if isinstance(images, tuple) else images  # captum gives either
    return (numbered(network, images, target, method, options, signed=signed, first=row),)


def _noise(radius: float, source: torch.Generator) -> Callable[[Tensor], Tensor]:
    def noisy(images: Tensor) -> Tensor:
        drawn = torch.rand(images.shape, generator=source).to(images)
        return images + radius * (2 * drawn - 1)

    return noisy
