"""Telling images for the report: what each model answered, and where its evidence lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fairvision.auditing.cause_figures import codes_by_cause, column
from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.auditing.telling import in_turn, telling_labels
from fairvision.datasets import Dataset, open_pixels, read_image, read_mask
from fairvision.datasets.geometry import place
from fairvision.datasets.images import Doubts, image_size
from fairvision.metrics.causes import REASONS
from fairvision.results.gallery import EVIDENCE_KINDS, KINDS, GalleryImage, ModelAnswer
from fairvision.schema import UNKNOWN

if TYPE_CHECKING:
    from fairvision.models import Model

SIDE = 224


def choose(
    models: Sequence[Samples], attribute: str, *, per_kind: int | None = 4
) -> Iterator[tuple[str, int]]:
    """Choose rows to show, by what the first model did with them.

    Of each kind those images come first on which the other models did something else, and among
    them those on which the models' probabilities of the true group differ most; images whose map
    is blank for some model come last, and the groups take turns. So the gallery shows where models
    differ, in both directions; it is no random sample.

    Parameters
    ----------
    models : samples of the same images
    attribute : which attribute the answers are about
    per_kind : largest number of images of each kind; None: all of them

    Yields
    ------
    (kind, row), see `KINDS`; and `EVIDENCE_KINDS` where surroundings were not exchanged. Images of
    unknown group are of no kind. Of the former kinds those without a mask are of none; of the
    latter those without evidence of none but "wrong".
    """
    codes = models[0].truth.codes(attribute)
    by_cause = telling_labels(models, attribute) == REASONS
    names, kinds_of_model = (
        (KINDS, _kinds_by_cause) if by_cause else (EVIDENCE_KINDS, _kinds_by_evidence)
    )
    kinds = [kinds_of_model(model, attribute) for model in models]
    probabilities = np.array([_true_probability(model, attribute, codes) for model in models])
    differs = (np.array(kinds) != kinds[0]).any(axis=0)
    spread = np.ptp(probabilities, axis=0)
    blank = np.any([np.isnan(_hits(model, attribute)) for model in models], axis=0)
    order = np.lexsort((np.arange(len(codes)), -spread, ~differs, blank))
    for position, kind in enumerate(names):
        rows = order[kinds[0][order] == position]
        for row in in_turn(rows, codes)[:per_kind]:
            yield kind, int(row)


def draw(
    samples: Sequence[Samples],
    models: Sequence[Model],
    attribute: str,
    chosen: Sequence[tuple[str, int]],
    *,
    methods: Sequence[str | None],
    side: int = SIDE,
) -> list[GalleryImage]:
    """Return the images of the chosen rows, with the maps computed again for them.

    Parameters
    ----------
    samples : of each model, of the same images
    models : the models, in the same order
    attribute : whose annotated group the maps are about
    chosen : kind and row of each image
    methods : the attribution of each model; None: its maps are blank
    side : largest width and height of the images in pixels
    """
    if not chosen:
        return []

    from fairvision.models import geometry_of

    truth = samples[0].truth
    rows = [row for _, row in chosen]
    groups = [truth.samples[attribute][row] for row in rows]
    maps = [
        maps_of(model, truth, attribute, groups, rows, method)
        for model, method in zip(models, methods)
    ]
    geometries = [geometry_of(model) for model in models]
    reasons = why_no_maps(models, methods)
    images = []
    for i, (kind, row) in enumerate(chosen):
        image, mask = small_image(truth, row, side)
        upright = image_size(truth.root / truth.samples["image"][row])
        drawn = [
            place(of_model[i], geometry.window(upright), (image.shape[1], image.shape[0]))
            for of_model, geometry in zip(maps, geometries)
        ]
        answers = tuple(
            answer_of(of_model, attribute, row, evidence, reason)
            for of_model, evidence, reason in zip(samples, drawn, reasons)
        )
        images.append(gallery_image(samples[0], attribute, kind, row, image, mask, answers))
    return images


def gallery_image(
    first: Samples,
    attribute: str,
    kind: str,
    row: int,
    image: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_] | None,
    answers: tuple[ModelAnswer, ...],
) -> GalleryImage:
    """Return an image with what is annotated of it and what models answered."""
    truth = first.truth
    group = truth.samples[attribute][row]
    return GalleryImage(
        kind=kind,
        id=truth.samples["id"][row],
        attribute=attribute,
        truth=group if isinstance(group, str) else UNKNOWN,
        labels=labels_of(truth, row),
        image=image,
        mask=mask,
        models=answers,
        chance=_value(first.scores.get(CHANCE), row),
        groups=groups_of(truth, row, besides=attribute),
    )


def _kinds_by_cause(samples: Samples, attribute: str) -> npt.NDArray[np.int64]:
    """Return each image's position in `KINDS`; -1 where it is of none."""
    codes, inside = codes_by_cause(samples, attribute), _hits(samples, attribute)
    turns, is_misled = codes == REASONS.index(KINDS[0]), codes == REASONS.index(KINDS[2])
    holds, is_wrong = codes == REASONS.index(KINDS[4]), codes == REASONS.index(KINDS[3])
    return np.select(
        [turns & (inside > 0.5), turns, is_misled, is_wrong, holds & (inside <= 0.5), holds],
        [1, 0, 2, 3, 5, 4],
        -1,
    )


def _kinds_by_evidence(samples: Samples, attribute: str) -> npt.NDArray[np.int64]:
    """Return each image's position in `EVIDENCE_KINDS`; -1 where it is of none."""
    guess, truth = predicted(samples, attribute), samples.truth.codes(attribute)
    if guess is None:
        return np.full(len(truth), -1)
    inside = _hits(samples, attribute)
    valid = (truth >= 0) & (guess >= 0)
    right = valid & (guess == truth)
    return np.select(
        [valid & ~right, right & (inside <= 0.5), right & (inside > 0.5)], [0, 1, 2], -1
    )


def _hits(samples: Samples, attribute: str) -> npt.NDArray[np.float64]:
    """Return each image's hit of the pointing game; NaN where undefined."""
    hits = samples.evidence(MEASURES[0], attribute)
    return np.full(len(samples.truth), np.nan) if hits is None else hits


def _true_probability(
    samples: Samples, attribute: str, codes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the probability of the annotated group; 0 where it is undefined."""
    scores = samples.probabilities("score", attribute)
    if scores is None:
        return np.zeros(len(codes))
    of_truth: npt.NDArray[np.float64] = scores[np.arange(len(codes)), codes.clip(min=0)]
    return np.nan_to_num(of_truth)


def why_no_maps(
    models: Sequence[Model], methods: Sequence[str | None], *, spare_runs: bool = True
) -> list[str]:
    """Return for each model why its maps are not drawn; "" where they are."""
    from fairvision.auditing.subjects import why_not_drawn

    return [
        why_not_drawn(model, method, spare_runs=spare_runs)
        for model, method in zip(models, methods)
    ]


def maps_of(
    model: Model,
    truth: Dataset,
    head: str,
    labels: Sequence[str],
    rows: Sequence[int],
    method: str | None,
) -> npt.NDArray[np.float32]:
    """Return the map of each row for a group or label, (rows, size, size); 0 without method."""
    import torch

    from fairvision.attribution import attribute as attribute_maps
    from fairvision.attribution.completeness import Sums, adding_up
    from fairvision.attribution.maps import module_of
    from fairvision.datasets import batches
    from fairvision.models import geometry_of

    if method is None:
        return np.zeros((len(rows), model.size, model.size), np.float32)
    order = model.schema.labels(head)
    target = torch.tensor([order.index(label) for label in labels])
    pixels = open_pixels(truth, geometry_of(model), cache="never")
    (batch,) = batches(truth, pixels, len(rows), device=model.device, order=np.array(rows))
    with adding_up(Sums()):  # a warning was given when all images were measured
        maps = attribute_maps(
            module_of(model, method),
            batch.images,
            target.to(model.device),
            method,
            head=head,
        )
    return np.asarray(maps.nan_to_num().cpu().numpy(), np.float32)


def _value(column: pd.Series | npt.NDArray[np.floating] | None, row: int) -> float | None:
    """Return a value of a column, which may be absent; None where it is undefined."""
    return None if column is None or np.isnan(column[row]) else float(column[row])


def small_image(
    truth: Dataset, row: int, side: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
    """Return an image of at most `side` pixels, and the mask of its person."""
    sample = truth.samples.loc[row]
    path = truth.root / sample["image"]
    small = read_image(path, least=2 * side, doubts=Doubts())
    small.thumbnail((side, side))
    if not isinstance(sample["mask"], str):
        return np.asarray(small), None
    size = image_size(path)
    mask = Image.fromarray(read_mask(truth.root / sample["mask"], size, doubts=Doubts()))
    return np.asarray(small), np.asarray(mask.resize(small.size, Image.Resampling.NEAREST))


def answer_of(
    samples: Samples,
    attribute: str,
    row: int,
    evidence: npt.NDArray[np.float32],
    why_no_map: str,
    reason: str = "",
) -> ModelAnswer:
    """Return what a model made of an image, with its map."""
    hit = _value(_hits(samples, attribute), row)
    answer, probability = _named(samples, "score", attribute, row) or (None, None)
    guess = predicted(samples, attribute) if answer is None else None
    if guess is not None and guess[row] >= 0:  # labels were given, without probabilities
        answer = samples.truth.attributes[attribute][guess[row]]
    return ModelAnswer(
        name=samples.model,
        answer=answer,
        probability=probability,
        map=np.zeros_like(evidence) if why_no_map else evidence,
        inside=None if hit is None else hit > 0.5,
        mass=_value(samples.evidence(MEASURES[1], attribute), row),
        holds=_value(column(samples, "holds", attribute), row),
        why_no_map=why_no_map,
        reason=reason,
        hidden=_named(samples, "hidden", attribute, row),
        person=_named(samples, "person", attribute, row),
    )


def _named(samples: Samples, kind: str, attribute: str, row: int) -> tuple[str, float] | None:
    """Return which group a model names, and its probability; None without an answer."""
    scores = samples.probabilities(kind, attribute)
    if scores is None or np.isnan(scores[row]).any():
        return None
    best = int(scores[row].argmax())
    return samples.truth.attributes[attribute][best], float(scores[row, best])


def groups_of(truth: Dataset, row: int, besides: str = "") -> tuple[str, ...]:
    """Return attribute and group of an image, of all attributes besides one, where known."""
    return tuple(
        f"{attribute} {truth.samples[attribute][row]}"
        for attribute in truth.attributes
        if attribute != besides and isinstance(truth.samples[attribute][row], str)
    )


def labels_of(truth: Dataset, row: int, besides: str = "") -> tuple[str, ...]:
    """Return the labels of all tasks, besides one, that an image is annotated with."""
    labels: list[str] = []
    for task, about in truth.tasks.items():
        if task == besides:
            continue
        value = truth.samples[task][row]
        if value is not None:
            labels += value if about.many else [value]
    return tuple(labels)
