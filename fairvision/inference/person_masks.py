"""Person masks for a dataset that has none, predicted by networks, and how well they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.core.tables import open_table
from fairvision.datasets import Dataset, load, read_image, read_mask, read_regions
from fairvision.datasets.counterfactuals import is_counterfactual
from fairvision.datasets.images import Doubts, quiet_warnings
from fairvision.datasets.label_columns import names
from fairvision.datasets.predicted_masks import IOU, IOU_GAP, RECALL, Agreement, PredictedMasks
from fairvision.datasets.readers.importing import import_dataset, locate
from fairvision.datasets.readers.storing import Source, in_threads
from fairvision.errors import InputError, shown, warn_caller
from fairvision.models.segmenters import Image, Segmenter, load_segmenter

THRESHOLDS = {"evidence": 0.5, "hiding": 0.2}
"""From which probability on a pixel is of the person: to measure evidence by, or to hide all."""

Mask = npt.NDArray[np.bool_]
_SLACK = 1e-3  # of probabilities


def make_masks(
    data: str | Path,
    output: str | Path,
    segmenters: Sequence[str | Segmenter] | str | Segmenter,
    *,
    threshold: str | float = "evidence",
    check: str | Path | None = None,
    replace_masks: bool = False,
    device: str = "auto",
    skip_broken: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    quiet: bool = True,
) -> Dataset:
    """Predict a mask of the people in every image of a dataset, and write a dataset with them.

    The dataset that is read stays as it is; its images are copied. `dataset.json` of the new one
    says what predicted the masks, and so does every audit of it.

    Parameters
    ----------
    data : dataset folder
    output : dataset folder to write
    segmenters : what predicts them, see `fairvision.models.segmenters.load_segmenter`; the mean of
        several
    threshold : from which probability on a pixel is of a person: "evidence" is .5; "hiding" .2,
        which leaves less of a person visible and hides more of what is around; or a number
    check : masks drawn by hand of some of the images, to say how well the predicted ones agree: a
        dataset folder, or a table with the columns `id` and `mask`, a path from the table's folder
    replace_masks : predict masks also where the dataset has masks, which are not copied then
    device : where networks run
    skip_broken, overwrite, workers, quiet : as for every source of data

    Raises
    ------
    InputError
        If the dataset has masks already, a network cannot be had, or a mask to check by does not
        fit its image. Nothing is written then.
    """
    dataset = load(data)
    cut = _threshold(threshold)
    if dataset.has_masks and not replace_masks:
        raise InputError(
            f"{dataset.root} has masks of {dataset.samples['mask'].notna().sum()} of "
            f"{len(dataset)} pictures: --replace predicts masks of all, in a folder of their own"
        )
    given = [segmenters] if isinstance(segmenters, (str, Segmenter)) else list(segmenters)
    if not given:
        raise InputError("name a network that predicts masks")
    loaded = [load_segmenter(s, device=device) if isinstance(s, str) else s for s in given]
    predict = _predictor(dataset, loaded, cut)
    drawn = {} if check is None else _drawn(Path(check), dataset)
    agreement = _agreement(dataset, drawn, predict, workers, quiet) if drawn else ()
    origin = PredictedMasks(tuple(s.name for s in loaded), cut, agreement)
    root, samples = dataset.root, dataset.samples
    sources = (
        Source(f"sample {shown(name)}", root / image, partial(predict, row))
        for row, (name, image) in enumerate(zip(samples["id"], samples["image"]))
    )
    return import_dataset(
        replace(dataset, predicted_masks=origin),
        sources,
        output,
        origin=root / "dataset.json",
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
        regions=read_regions(dataset),
    )


def _threshold(value: str | float) -> float:
    """Return a threshold by its name, or a number between 0 and 1.

    >>> _threshold("hiding"), _threshold("0.35")
    (0.2, 0.35)
    """
    try:
        number = float(THRESHOLDS.get(str(value), value))
    except ValueError:
        number = np.nan
    if not 0 < number < 1:
        raise InputError(
            f"threshold {shown(value)} is none of {', '.join(THRESHOLDS)}, nor between 0 and 1"
        )
    return number


def _predictor(
    dataset: Dataset, segmenters: Sequence[Segmenter], threshold: float
) -> Callable[..., Mask]:
    """Return the function that predicts the mask of a row, (height, width) of the upright image."""
    root, paths = dataset.root, dataset.samples["image"].array

    def predict(row: int, size: tuple[int, int] | None = None) -> Mask:
        image = np.asarray(read_image(root / str(paths[row]), doubts=Doubts()))
        total = np.zeros(image.shape[:2])
        for segmenter in segmenters:
            total += _checked(segmenter.name, segmenter.predict(image), image)
        mask: Mask = total / len(segmenters) > threshold
        return mask

    return predict


def _checked(name: str, share: npt.NDArray[np.floating], image: Image) -> npt.NDArray[np.floating]:
    """Return probabilities of an image; `InputError` where they are none, or of another shape."""
    if np.shape(share) != image.shape[:2]:
        raise InputError(
            f"{name} gives an array of shape {np.shape(share)} for an image of "
            f"{image.shape[0]} × {image.shape[1]} pixels: a probability for each is expected"
        )
    if not (share.min() >= -_SLACK and share.max() <= 1 + _SLACK):
        raise InputError(f"{name} gives numbers outside of 0 to 1, which are no probabilities")
    return share


def _drawn(source: Path, dataset: Dataset) -> dict[int, Path]:
    """Return the files of masks that were drawn by hand, by the row of their image."""
    files: dict[str, Path] = {}
    if source.is_dir():
        other = load(source)
        if other.predicted_masks is not None:
            raise InputError(f"the masks of {source} are predicted: --check needs drawn ones")
        masked = other.samples[other.samples["mask"].notna()]
        files = {name: other.root / path for name, path in zip(masked["id"], masked["mask"])}
    else:
        table = open_table(source)
        table.check_columns(["id", "mask"])
        held = table.read(["id", "mask"])
        for row, (name, path) in enumerate(zip(names(held["id"]), names(held["mask"]))):
            if name is None or path is None:
                continue
            if name in files:
                raise table.place(row, "id").error(f"{shown(name)} is there twice")
            files[name] = locate(source.parent, path, table.place(row, "mask"))
    rows = {name: row for row, name in enumerate(dataset.samples["id"])}
    drawn = {rows[name]: path for name, path in files.items() if name in rows}
    if not drawn:
        raise InputError(f"{source} has no mask of any picture of {dataset.root}, by its id")
    if len(drawn) < len(files):
        warn_caller(
            f"{len(files) - len(drawn)} of {len(files)} masks of {source} are of no picture of "
            f"{dataset.root}"
        )
    return drawn


def _agreement(
    dataset: Dataset,
    drawn: dict[int, Path],
    predict: Callable[..., Mask],
    workers: int | None,
    quiet: bool,
) -> tuple[Agreement, ...]:
    """Return the mean IoU and recall of predicted masks, of all and by group, and gaps of IoU."""
    doubts = Doubts()

    def compare(row: int) -> tuple[float, float]:
        mask = predict(row)
        person = read_mask(drawn[row], mask.shape[::-1], doubts=doubts)
        return intersection_over_union(mask, person), recall(mask, person)

    made = is_counterfactual(dataset.samples)
    rows = [row for row in sorted(drawn) if not made[row]]
    values = np.full((len(dataset), 2), np.nan)
    with quiet_warnings():
        values[rows] = in_threads(compare, rows, "comparing masks", workers, quiet)
    doubts.tell()
    figures: list[tuple[str, str, str, metrics.Result]] = []
    for metric, column in zip((IOU, RECALL), values.T):
        figures.append((metric, "", "", metrics.mean(column)))
        for attribute, groups in dataset.attributes.items():
            of_images = pd.Categorical(dataset.samples[attribute], categories=list(groups))
            by_group = metrics.mean_by_group(column, of_images)
            figures += [(metric, attribute, str(group), r) for group, r in by_group.items()]
            if metric == IOU:
                figures.append((IOU_GAP, attribute, "", metrics.gap(by_group)))
    return tuple(
        Agreement(metric, attribute, group, result.value, result.low, result.high, result.n)
        for metric, attribute, group, result in figures
    )


def intersection_over_union(mask: Mask, other: Mask) -> float:
    """Return the share of pixels of either mask that are in both; NaN where both are empty.

    Examples
    --------
    >>> intersection_over_union(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    either = np.count_nonzero(mask | other)
    return int(np.count_nonzero(mask & other)) / int(either) if either else float("nan")


def recall(mask: Mask, person: Mask) -> float:
    """Return the share of a person's pixels that a mask covers; NaN where there are none.

    Examples
    --------
    >>> recall(np.array([[True, False]]), np.array([[True, True]]))
    0.5
    """
    pixels = np.count_nonzero(person)
    return int(np.count_nonzero(mask & person)) / int(pixels) if pixels else float("nan")
