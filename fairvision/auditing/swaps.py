"""What a model answers about the same people in other surroundings.

After Xiao, Engstrom, Ilyas & Madry, "Noise or Signal: The Role of Image Backgrounds in Object
Recognition", ICLR 2021, arXiv 2006.09994. Needs no gradients. docs/swaps.md says what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision import metrics
from fairvision.auditing.amplification_figures import label_table
from fairvision.auditing.collect import class_order
from fairvision.auditing.steps import Step, stacked, together
from fairvision.auditing.swapped_columns import swapped_columns
from fairvision.auditing.tables import Samples
from fairvision.core.checksums import draw
from fairvision.datasets import Batch, Dataset, Pixels, batches, open_pixels
from fairvision.datasets.batching import images_of
from fairvision.datasets.pixels import small_masks
from fairvision.datasets.swapping import DONOR_SIDE, POOL, choose_donors, fill, paste
from fairvision.models import Model, geometry_of

SWAPS = 8
"""In how many surroundings of other groups each person is shown."""


@dataclass(frozen=True)
class Donors:
    """Whose surroundings the people of one attribute's groups are shown in.

    Attributes
    ----------
    others : (n, swaps) rows of images of other groups; -1 for none
    same : (n, swaps / 2) rows of other images of the same group; -1 for none
    """

    others: npt.NDArray[np.int64]
    same: npt.NDArray[np.int64]


def plan(
    dataset: Dataset,
    *,
    swaps: int = SWAPS,
    seed: int = 0,
    pool: int = POOL,
    typical: bool = True,
    workers: int | None = None,
) -> dict[str, Donors]:
    """Choose donors for each attribute: the same for all models, in any order of the images.

    Both persons need a mask, surroundings (who fills the image has none) and a known group. Of
    other groups those images are donors whose labels are typical of their group
    (`fairvision.metrics.context_typical_group`, of all tasks together): what is asked is whether an
    answer holds in surroundings of another group, and an image that shows those of the person's own
    group does not ask it. Where a group has no such image, and where nothing but groups is
    annotated, all of its images are donors.

    Parameters
    ----------
    dataset : the images, n of them
    swaps : surroundings of other groups for each image; half as many, rounded up, are of the same
    seed : of the draws of each image, which depend on it and the image's id only
    pool : as for `fairvision.datasets.swapping.choose_donors`
    typical : whether only images whose labels are typical of their group are donors
    workers : threads that read masks
    """
    masks = torch.from_numpy(small_masks(dataset, DONOR_SIDE, workers=workers))
    draws = torch.tensor([draw(seed, name, "swaps") for name in dataset.samples["id"]]).double()
    donors = {}
    for attribute in dataset.attributes:
        groups = torch.from_numpy(dataset.codes(attribute))
        gives = torch.from_numpy(_typical(dataset, attribute)) if typical else None
        others, same = (
            choose_donors(masks, groups, draws, count, same=same, pool=pool, may_give=gives).numpy()
            for count, same in ((swaps, False), (-(-swaps // 2), True))
        )
        donors[attribute] = Donors(others, same)
    return donors


def few_donors(donors: Mapping[str, Donors]) -> list[str]:
    """Return a line for each attribute of which some people have fewer donors than asked for."""
    lines = []
    for attribute, chosen in donors.items():
        swaps = chosen.others.shape[1]
        number, has_same = (chosen.others >= 0).sum(axis=1), (chosen.same >= 0).any(axis=1)
        people = has_same | (number > 0)
        short = int((people & (number < swaps)).sum())
        if short:
            lines.append(
                f"{attribute}: {short} of {people.sum()} people are shown in fewer than {swaps} "
                "surroundings of other groups: no more of their pictures, with a mask, lend theirs"
            )
    return lines


def swap(
    model: Model, samples: Samples, donors: Mapping[str, Donors], *, method: str, **how: Any
) -> pd.DataFrame:
    """Show each person in the surroundings of others and ask the model again.

    Several processes share the images, and each gets the whole table.

    Parameters
    ----------
    model : what to ask
    samples : what the model says of the whole images, n of them; its truth is their dataset
    donors : as `plan` chooses them
    method : how the place of a person is filled, one of `fairvision.datasets.FILLS`
    how : further options of `swapping`

    Returns
    -------
    (n rows) the columns of docs/design.md: `swapped/…`, `holds/…`, `swapped_right/…`,
    `same_swapped/…`, `same_swapped_right/…`, `pasted/…` and `others_here/…`. NaN without a mask,
    surroundings, a known group, a donor, or an answer of the model.
    """
    step = swapping(model, samples.truth, donors, method=method, **how)
    return columns_of(together(step), samples)


def columns_of(pairs: dict[str, pd.DataFrame], samples: Samples) -> pd.DataFrame:
    """Return the columns that `swap` returns, from what `swapping` leads to."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for head, of_head in pairs.items():
        whole = samples.probabilities("score", head)
        assert whole is not None
        columns |= swapped_columns(of_head, samples.truth, whole, head)
    return pd.DataFrame(columns, index=samples.scores.index)


def swapping(
    model: Model,
    dataset: Dataset,
    donors: Mapping[str, Donors],
    *,
    method: str,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Step[dict[str, pd.DataFrame]]:
    """Return the step that shows each person in the surroundings of others.

    Parameters
    ----------
    model, donors, method : as for `swap`
    dataset : the images
    batch_size, workers, cache, quiet : how it runs. With 8 donors of other groups an image costs 13
        forwards for each attribute, and no more than `batch_size` images are in the network at a
        time.

    Returns
    -------
    a step to the table of pairs of each attribute, see `swapped_columns`
    """
    heads = [head for head in dataset.attributes if head in model.schema.attributes]
    pixels = open_pixels(dataset, geometry_of(model), workers=workers, quiet=quiet, cache=cache)

    def measure(rows: slice) -> pd.DataFrame:
        parts = [pd.DataFrame({"head": []})]  # a process may have no images
        for batch in track(
            batches(
                *(dataset, pixels, batch_size),
                device=model.device,
                order=np.arange(len(dataset))[rows],
            ),
            description=f"swaps surroundings for {model.name}",
            total=-(-(rows.stop - rows.start) // batch_size),
            disable=quiet,
            transient=True,
        ):
            for head in heads:
                pairs = pairs_of(batch.rows[batch.has_mask.cpu().numpy()], donors[head])
                asked = list(_asked(model, batch, pixels, pairs, head, method, batch_size))
                order = class_order(model, dataset, head)
                scores = torch.cat(asked)[:, order] if asked else torch.zeros(0, len(order))
                parts.append(pd.concat([pairs, _table(scores)], axis=1).assign(head=head))
            pixels.release()
        return stacked(parts)

    def conclude(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
        pairs = {}
        for head in heads:
            groups = [f"{i}" for i in range(len(dataset.attributes[head]))]
            of_head = table[table["head"] == head].reset_index(drop=True)
            of_head = of_head.reindex(columns=["row", "donor", "kind", *groups])
            pairs[head] = of_head.astype({"row": np.int64, "donor": np.int64})
        return pairs

    return Step(f"{model.name}/swaps", len(dataset), batch_size, measure, conclude)


def _typical(dataset: Dataset, attribute: str) -> npt.NDArray[np.bool_]:
    """Return which images show surroundings that are not typical of another group, (n,)."""
    groups = dataset.codes(attribute)
    if not dataset.tasks or not (groups >= 0).any():
        return np.ones(len(dataset), bool)
    labels = label_table(dataset, list(dataset.tasks))
    typical = metrics.context_typical_group(labels, groups, labels)
    gives = (typical == groups) | (typical < 0)
    for group in set(groups[groups >= 0]) - set(groups[gives]):
        gives |= groups == group
    return np.asarray(gives, bool)


def pairs_of(rows: npt.NDArray[np.int64], donors: Donors) -> pd.DataFrame:
    """Return `row`, `donor` and `kind` (others, same or own) of all that is shown of people."""
    chosen = {"others": donors.others[rows], "same": donors.same[rows], "own": rows[:, None]}
    lonely = (np.hstack([chosen["others"], chosen["same"]]) < 0).all(axis=1, keepdims=True)
    chosen["own"] = np.where(lonely, -1, chosen["own"])
    tables = []
    for kind, donor in chosen.items():
        place, column = np.nonzero(donor >= 0)
        tables.append(
            pd.DataFrame({"row": rows[place], "donor": donor[place, column], "kind": kind})
        )
    return pd.concat(tables, ignore_index=True)


def _asked(
    model: Model,
    batch: Batch,
    pixels: Pixels,
    pairs: pd.DataFrame,
    head: str,
    method: str,
    batch_size: int,
) -> Iterator[Tensor]:
    """Yield probabilities (pairs, groups) of a head, of people in others' surroundings."""
    for images in swapped_images(batch, pixels, pairs, method, batch_size):
        with torch.inference_mode():
            yield model.predict(images)[head]


def swapped_images(
    batch: Batch, pixels: Pixels, pairs: pd.DataFrame, method: str, batch_size: int
) -> Iterator[Tensor]:
    """Yield images (at most batch_size, 3, height, width) of people in others' surroundings.

    Parameters
    ----------
    batch : images of the people
    pixels : of all images
    pairs : of rows of the batch, as `pairs_of` returns them
    method : how the place of a person is filled, one of `fairvision.datasets.FILLS`
    """
    place, device = {row: i for i, row in enumerate(batch.rows)}, batch.images.device
    for start in range(0, len(pairs), batch_size):
        piece = pairs.iloc[start : start + batch_size]
        people = torch.tensor([place[row] for row in piece["row"]], device=device)
        names, index = np.unique(piece["donor"], return_inverse=True)
        images, masks = images_of(pixels.take(names), device)
        surroundings = fill(images, masks, method)[torch.from_numpy(index).to(device)]
        yield paste(batch.images[people], batch.masks[people], surroundings)


def _table(scores: Tensor) -> pd.DataFrame:
    """Return probabilities as a table with a column per group."""
    values = scores.double().cpu().numpy()
    return pd.DataFrame(values, columns=[f"{i}" for i in range(values.shape[1])])
