"""Whether maps of evidence depend on the weights, the image and the mask, or only seem to.

Needs the module of a model: copies of it are broken, never itself. What is expected of each figure
is in `fairvision.results.expectations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from fairvision import metrics
from fairvision.attribution import DEFAULT
from fairvision.attribution import attribute as attribute_maps
from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.faithfulness import faithfulness, move_maps
from fairvision.auditing.collect import class_order, true_class
from fairvision.auditing.steps import Step, stacked
from fairvision.auditing.tables import MEASURES
from fairvision.datasets import Dataset, batches, open_pixels
from fairvision.errors import InputError
from fairvision.metrics import Result, Sampling
from fairvision.models import Model, Network, geometry_of
from fairvision.results.figures import COLUMNS, CONFIDENCE, NUMBERS
from fairvision.results.registry import unit_of

PICTURES = 200
"""How many images are looked at, drawn at random."""
SAMPLE = 24
"""How many images of an audit are looked at where nobody asked for it."""
MOVES = 8
"""To how many random places each map is moved; a single one would often be off by chance."""
NETWORKS = 8
"""How many networks with shuffled weights."""
STAGES = 5
"""In how many steps the layers are shuffled, from the top."""
FEWER = 50
"""How many of the images are used for what takes many forwards for each."""
FEWER_OF_SAMPLE = 6
_COST = 10_000
"""As how many images of an audit a model counts whose evidence is checked."""
_GRID = 64
"""Maps are ranked on a grid of at most so many squares a side."""

Figures = Iterator[tuple[str, str, Result]]
"""Name of a metric, label, figure."""


def examine(
    model: Model,
    dataset: Dataset,
    *,
    attribution: str = DEFAULT,
    images: int = PICTURES,
    fewer: int = FEWER,
    replicates: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> pd.DataFrame:
    """Check the evidence of a model on some images of each attribute.

    Parameters
    ----------
    model, dataset, attribution : as for `fairvision.auditing.collect.collect`; the model's module
        is afterwards as it was
    images : how many with a mask and a known group are drawn, all of them if there are fewer
    fewer : of how many of them, at most, weights are shuffled and faithfulness is measured
    replicates, confidence, seed : of the intervals; the seed also draws images and weights
    batch_size, workers, cache, quiet : how it runs

    Returns
    -------
    rows of the metrics table; metrics and what is expected of them are those of
    `fairvision.results.entries.sanity`. NaN where nothing is defined, as for a model that ignores
    its input.

    Raises
    ------
    InputError
        If images is less than 1, or the model has no module.
    """
    if images < 1:
        raise InputError(f"sanity checks need pictures: give 1 or more, not {images}")
    if model.module is None:
        raise InputError(
            f"{model} has no weights to shuffle, as sanity checks do: leave the checks out"
        )
    pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)
    rows: list[dict[str, object]] = []
    for head in dataset.attributes:
        if head not in model.schema.attributes:
            continue
        usable = np.flatnonzero(pixels.has_mask & (dataset.codes(head) >= 0))
        if not len(usable):
            continue
        drawn = np.random.default_rng(seed).permutation(usable)[:images]
        (batch,) = batches(dataset, pixels, len(drawn), device=model.device, order=np.sort(drawn))
        figures = checks(
            model.module,
            batch.images,
            batch.masks[:, 0] > 0,
            true_class(batch.attributes[head], class_order(model, dataset, head)),
            attribution,
            head=head,
            fewer=fewer,
            batch_size=batch_size,
            replicates=replicates,
            confidence=confidence,
            seed=seed,
        )
        rows += [
            {
                **{"model": model.name, "metric": metric, "attribute": head},
                **{"task": "", "group": "", "label": label, "unit": unit_of(metric)},
                **{number: getattr(result, number) for number in NUMBERS},
            }
            for metric, label, result in figures
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def examining(
    models: Sequence[tuple[Model, str]], dataset: Dataset, **how: Any
) -> Step[pd.DataFrame]:
    """Return the step that does what `examine` does for each model, with its attribution."""

    def measure(rows: slice) -> pd.DataFrame:
        with adding_up(Sums()):  # a warning was given when all images were measured
            tables = [
                examine(model, dataset, attribution=method, **how) for model, method in models[rows]
            ]
        return stacked([pd.DataFrame(columns=list(COLUMNS)), *tables])

    return Step("sanity", len(models), 1, measure, lambda table: table, cost=_COST)


def checks(
    network: nn.Module,
    images: Tensor,
    masks: Tensor,
    targets: Tensor,
    method: str = "gradcam",
    *,
    head: str | None = None,
    fewer: int = FEWER,
    batch_size: int = 64,
    replicates: int = 1000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Figures:
    """Yield the figures of each check of any network on given images.

    Parameters
    ----------
    network : as for `fairvision.attribution.attribute`
    images : (n, 3, height, width)
    masks : (n, height, width) bool, the person
    targets : (n,) int64, the classes whose evidence is looked at
    method, head, batch_size : as for `fairvision.attribution.attribute`
    fewer, replicates, confidence, seed : as for `examine`
    """
    sampling: Sampling = {"replicates": replicates, "confidence": confidence, "seed": seed}
    maps_of = partial(attribute_maps, method=method, head=head, batch_size=batch_size, signed=True)
    people = masks.cpu().numpy()
    area = metrics.chance_level(people)
    maps = maps_of(network, images, targets)

    def maps_of_changed(*changed: Any) -> Tensor:
        with adding_up(Sums()):  # a warning was given for the network as it is
            return maps_of(*changed)

    evidence = maps.cpu().numpy()
    for measure in MEASURES:
        scores = _score(measure, evidence, people)
        others, level = on_other_masks(measure, evidence, people)
        random = np.mean(
            [
                _score(measure, move_maps(maps, seed=seed + number).cpu().numpy(), people)
                for number in range(MOVES)
            ],
            axis=0,
        )
        for metric, values in (
            ("sanity_random_maps", random - area),
            ("sanity_shuffled_masks", others - level),
            ("sanity_own_masks", scores - others),
        ):
            yield metric, measure, metrics.mean(values, **sampling)
    yield from _weight_checks(
        network, images, people, targets, maps_of_changed, maps, fewer, sampling
    )
    values = faithfulness(
        network,
        images[:fewer],
        targets[:fewer],
        method,
        head=head,
        curve_steps=10,
        batch_size=batch_size,
        seed=seed,
    )
    for name in ("insertion", "deletion"):
        values[name] = values[name] - values.pop(f"{name}_chance")
    for name, per_image in values.items():
        yield f"sanity_{name}", "", metrics.mean(per_image.double().cpu().numpy(), **sampling)


def on_other_masks(
    measure: str, maps: npt.NDArray[np.floating], masks: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Score each map against the masks of all other images, on average.

    Exactly, without drawing any: both measures are a weight per pixel, of which the mean over masks
    is that of the mean mask.

    Parameters
    ----------
    measure : `pointing_game` or `relevance_mass`
    maps : (n, height, width) numbers; their positive part counts
    masks : (n, height, width) bool

    Returns
    -------
    scores : (n,), NaN where a map has no positive evidence or there is no other image
    level : (n,), the mean area of the other masks

    Examples
    --------
    >>> maps = np.array([[[3.0, 1.0]], [[0.0, 2.0]], [[1.0, 1.0]]])
    >>> masks = np.array([[[True, False]], [[True, False]], [[False, True]]])
    >>> on_other_masks("relevance_mass", maps, masks)[0]
    array([0.5, 0.5, 0.5])
    """
    flat, people = maps.reshape(len(maps), -1), masks.reshape(len(masks), -1)
    others = (people.sum(axis=0) - people) / max(len(people) - 1, 1)
    positive = np.where(flat > 0, flat, 0).astype(np.float64)
    if measure == "pointing_game":
        positive = (flat == flat.max(axis=1, keepdims=True)) & (flat > 0)
    total = positive.sum(axis=1)
    defined = (total > 0) & np.isfinite(flat).all(axis=1) & (len(people) > 1)
    scores = (positive * others).sum(axis=1) / np.where(defined, total, 1)
    return (
        np.where(defined, scores, np.nan),
        np.where(len(people) > 1, others.mean(axis=1), np.nan),
    )


def randomised(
    network: nn.Module, layers: Sequence[Sequence[str]], images: Tensor, *, seed: int = 0
) -> nn.Module:
    """Return a copy of a network with the weights of these layers shuffled.

    Numbers trade places within their tensor, and those of matrices and filters get a random sign:
    what they were trained for is lost, how large they are is not. The statistics of batch
    normalisation belong to the old weights; in these layers they are taken anew from the images.

    Parameters
    ----------
    network : any; it is not touched
    layers : names of modules, as `layers_from_top` gives them
    images : (n, 3, height, width), for the statistics
    seed : of the weights

    Returns
    -------
    The copy, in evaluation mode.
    """
    broken = deepcopy(network).eval()
    source = torch.Generator().manual_seed(seed)
    norms = []
    for name in (name for layer in layers for name in layer):
        module = broken.get_submodule(name)
        for parameter in module.parameters(recurse=False):
            values = parameter.detach().flatten()
            order = torch.randperm(len(values), generator=source)
            values = values[order.to(values.device)]
            if parameter.ndim > 1:
                signs = torch.randint(2, (len(values),), generator=source) * 2 - 1
                values = values * signs.to(values)
            parameter.data = values.view(parameter.shape)
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            norms.append(module)
    if norms and len(images) > 1:
        before = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all that is seen
            norm.train()
        with torch.inference_mode():
            broken(images[:FEWER])
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum
            norm.eval()
    return broken


def layers_from_top(network: nn.Module) -> list[list[str]]:
    """Name the modules that have weights of their own, the last first; all heads are one layer.

    >>> layers_from_top(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    [['2'], ['0']]
    """
    names = [
        name
        for name, module in network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    heads = [name for name in names if isinstance(network, Network) and name.startswith("heads.")]
    return [heads] * bool(heads) + [[name] for name in reversed(names) if name not in heads]


def _weight_checks(
    network: nn.Module,
    images: Tensor,
    people: npt.NDArray[np.bool_],
    targets: Tensor,
    maps_of: Callable[..., Tensor],
    maps: Tensor,
    fewer: int,
    sampling: Sampling,
) -> Figures:
    """Yield what becomes of the maps as weights are shuffled: from the top, then all of them."""
    layers, seed = layers_from_top(network), sampling["seed"]
    few = slice(fewer)
    counts = sorted({1, *(round(len(layers) * k / STAGES) for k in range(1, STAGES))} - {0})
    for count in counts:
        broken = randomised(network, layers[:count], images, seed=seed)
        similar = rank_correlation(maps[few], maps_of(broken, images[few], targets[few]))
        label = f"top {count} of {len(layers)} layers"
        yield "sanity_cascade", label, metrics.mean(similar, **sampling)
    beyond: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    correlations = []
    for number in range(NETWORKS):
        broken = randomised(network, layers, images, seed=seed + number)
        of_broken = maps_of(broken, images[few], targets[few])
        correlations.append(_mean(rank_correlation(maps[few], of_broken)))
        evidence = of_broken.cpu().numpy()
        for measure in MEASURES:
            others, _ = on_other_masks(measure, evidence, people[few])
            beyond[measure].append(_mean(_score(measure, evidence, people[few]) - others))
    yield "sanity_randomised_correlation", "", metrics.mean(correlations, **sampling)
    for measure, means in beyond.items():
        yield "sanity_randomised_localisation", measure, metrics.mean(means, **sampling)


def rank_correlation(first: Tensor, second: Tensor) -> npt.NDArray[np.floating]:
    """Return Spearman's rank correlation of two maps of each image, on a grid of ≤ 64 × 64.

    Parameters
    ----------
    first, second : (n, height, width)

    Returns
    -------
    (n,) in [−1, 1]; NaN where a map is undefined or the same everywhere

    Examples
    --------
    >>> maps = torch.arange(16.0).view(1, 4, 4)
    >>> rank_correlation(maps, torch.exp(maps)), rank_correlation(maps, -maps)
    (array([1.]), array([-1.]))
    """
    ranks = []
    for maps in (first, second):
        shape = (min(maps.shape[1], _GRID), min(maps.shape[2], _GRID))
        flat = F.adaptive_avg_pool2d(maps[:, None].float(), shape).flatten(1)
        rank = rankdata(flat.double().cpu().numpy(), axis=1, nan_policy="omit")
        rank -= rank.mean(axis=1, keepdims=True)
        size = np.sqrt((rank**2).sum(axis=1, keepdims=True))
        ranks.append(rank / np.where(size > 0, size, np.nan))
    correlation: npt.NDArray[np.floating] = (ranks[0] * ranks[1]).sum(axis=1)
    return correlation


def _score(
    measure: str, maps: npt.NDArray[np.floating], masks: npt.NDArray[np.bool_]
) -> npt.NDArray[np.floating]:
    """Return a measure of evidence (n,) of maps with masks, both (n, height, width)."""
    score: npt.NDArray[np.floating] = getattr(metrics, measure)(maps, masks)
    return score


def _mean(values: npt.NDArray[np.floating]) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    return float(metrics.mean(values, replicates=0))
