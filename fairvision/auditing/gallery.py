"""Telling images for the report: what each model answered, and where its evidence lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fairvision.auditing.answers import predicted
from fairvision.auditing.tables import CHANCE, MEASURES, Samples
from fairvision.auditing.telling import in_turn
from fairvision.datasets import Dataset, open_pixels, read_image, read_mask
from fairvision.datasets.doubts import Doubts

if TYPE_CHECKING:
    from fairvision.models import Model

CELLS = ("wrong", "right for the wrong reasons", "right for the right reasons")
SIDE = 224


def choose(
    models: Sequence[Samples], attribute: str, *, per_cell: int = 4
) -> Iterator[tuple[str, int]]:
    """Choose rows to show, by what the first model did with them.

    In each cell those images come first on which the other models did something else, and among
    them those on which the models' probabilities of the true group differ most; images whose map
    is blank for some model come last, and the groups take turns. So the gallery shows where models
    differ, in both directions; it is no random sample.

    Parameters
    ----------
    models : samples of the same images
    attribute : which attribute the answers are about
    per_cell : largest number of images in each cell

    Yields
    ------
    (cell, row). Images of unknown group are in no cell, and those without evidence (no mask, or
    nothing positive in the map) in no cell but "wrong".
    """
    codes = models[0].truth.codes(attribute)
    cells = [_cells(model, attribute) for model in models]
    own = np.array([_true_probability(model, attribute, codes) for model in models])
    differs = (np.array(cells) != cells[0]).any(axis=0)
    spread = np.ptp(own, axis=0)
    blank = np.any([np.isnan(_hits(model, attribute)) for model in models], axis=0)
    order = np.lexsort((np.arange(len(codes)), -spread, ~differs, blank))
    for cell in range(len(CELLS)):
        rows = order[cells[0][order] == cell]
        for row in in_turn(rows, codes)[:per_cell]:
            yield CELLS[cell], int(row)


def draw(
    models: Sequence[Samples],
    networks: Sequence[Model],
    attribute: str,
    chosen: Sequence[tuple[str, int]],
    *,
    method: str,
    side: int = SIDE,
) -> list[dict[str, Any]]:
    """Return the gallery items of the chosen rows, with the maps computed again for them.

    Returns
    -------
    per image: `cell`, `id`, `attribute`, `truth`, `labels`, `image` (h, w, 3) uint8 of the
    image's proportions and at most `side` pixels wide and high, `mask` (h, w) bool or None,
    `chance`, the person's share of the image (None without a mask), and per model `name`,
    `answer`, `probability` of the answer, `map` (h, w) float, and `inside` and `mass`, whether the
    strongest evidence and which share of all evidence is on the person (None where undefined).
    """
    if not chosen:
        return []
    truth = models[0].truth
    rows = [row for _, row in chosen]
    maps = [_maps(network, truth, attribute, rows, method) for network in networks]
    items = []
    for i, (cell, row) in enumerate(chosen):
        image, mask = _image(truth, row, side)
        items.append(
            {
                "cell": cell,
                "id": truth.samples["id"][row],
                "attribute": attribute,
                "truth": truth.samples[attribute][row],
                "labels": _labels(truth, row),
                "picture": image,
                "mask": mask,
                "chance": _cell(models[0].scores.get(CHANCE), row),
                "models": [
                    _said(model, attribute, row, own[i], image.shape[1::-1])
                    for model, own in zip(models, maps)
                ],
            }
        )
    return items


def _cells(model: Samples, attribute: str) -> np.ndarray:
    """Return each image's position in `CELLS`; -1 where it is in none."""
    guess, truth = predicted(model, attribute), model.truth.codes(attribute)
    if guess is None:
        return np.full(len(truth), -1)
    inside = _hits(model, attribute)
    known = (truth >= 0) & (guess >= 0)
    right = known & (guess == truth)
    return np.select(
        [known & ~right, right & (inside <= 0.5), right & (inside > 0.5)], [0, 1, 2], -1
    )


def _hits(model: Samples, attribute: str) -> np.ndarray:
    """Return each image's hit of the pointing game; NaN where undefined."""
    hits = model.evidence(MEASURES[0], attribute)
    return np.full(len(model.truth), np.nan) if hits is None else hits


def _true_probability(model: Samples, attribute: str, codes: np.ndarray) -> np.ndarray:
    scores = model.probabilities("score", attribute)
    if scores is None:
        return np.zeros(len(codes))
    of_truth: np.ndarray = np.nan_to_num(scores[np.arange(len(codes)), codes.clip(min=0)])
    return of_truth


def _maps(model: Model, truth: Dataset, attribute: str, rows: list[int], method: str) -> np.ndarray:
    """Return the maps of some rows for their true group, (rows, size, size)."""
    import torch

    from fairvision.attribution import attribute as attribute_maps
    from fairvision.attribution.completeness import Sums, adding_up
    from fairvision.attribution.maps import module_of
    from fairvision.datasets import batches

    groups = model.schema.labels(attribute)
    target = torch.tensor([groups.index(truth.samples[attribute][row]) for row in rows])
    pixels = open_pixels(truth, model.size, cache="never")
    (batch,) = batches(truth, pixels, len(rows), device=model.device, order=np.array(rows))
    with adding_up(Sums()):  # a warning was given when all images were measured
        maps = attribute_maps(
            module_of(model, method),
            batch.images,
            target.to(model.device),
            method,
            head=attribute,
        )
    return maps.cpu().numpy()


def _cell(column: Any, row: int) -> float | None:
    """Return a value of a column, perhaps absent; None where it is undefined."""
    return None if column is None or np.isnan(column[row]) else float(column[row])


def _image(truth: Dataset, row: int, side: int) -> tuple[np.ndarray, np.ndarray | None]:
    sample = truth.samples.loc[row]
    image = read_image(truth.root / sample["image"], doubts=Doubts())
    small = image.copy()
    small.thumbnail((side, side))
    if not isinstance(sample["mask"], str):
        return np.asarray(small), None
    mask = Image.fromarray(read_mask(truth.root / sample["mask"], image.size, doubts=Doubts()))
    return np.asarray(small), np.asarray(mask.resize(small.size, Image.Resampling.NEAREST))


def _said(
    model: Samples, attribute: str, row: int, own_map: np.ndarray, size: tuple[int, int]
) -> dict[str, Any]:
    scores = model.probabilities("score", attribute)
    hit = _cell(_hits(model, attribute), row)
    answer = probability = None
    if scores is not None and not np.isnan(scores[row]).any():
        best = int(scores[row].argmax())
        answer, probability = model.truth.attributes[attribute][best], float(scores[row, best])
    large = Image.fromarray(np.nan_to_num(own_map).astype(np.float32))
    return {
        "name": model.model,
        "answer": answer,
        "probability": probability,
        "map": np.asarray(large.resize(size, Image.Resampling.BILINEAR)),
        "inside": None if hit is None else hit > 0.5,
        "mass": _cell(model.evidence(MEASURES[1], attribute), row),
    }


def _labels(truth: Dataset, row: int) -> list[str]:
    found: list[str] = []
    for task, about in truth.tasks.items():
        value = truth.samples[task][row]
        if value is not None:
            found += value if about.many else [value]
    return found
