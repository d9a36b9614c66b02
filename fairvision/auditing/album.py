"""All images of an audit, or a sample of them, for a page in which one can look through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairvision.auditing.gallery import answer_of, choose, gallery_image, small_image, why_no_maps
from fairvision.auditing.miniatures import GRID, rows_shown, side_shown
from fairvision.auditing.tables import Samples
from fairvision.auditing.telling import telling_codes, telling_labels
from fairvision.datasets import Dataset
from fairvision.datasets.geometry import WHOLE, place
from fairvision.datasets.images import image_size
from fairvision.results.gallery import GalleryImage

if TYPE_CHECKING:
    from fairvision.auditing.swaps import Donors
    from fairvision.models import Model

DONORS = 3
FROM_A_TABLE = "not drawn: the answers come from a table"

Rows = npt.NDArray[np.int64]


def album(
    samples: Sequence[Samples],
    attribute: str,
    *,
    networks: Sequence[Model],
    methods: Sequence[str | None],
    pictures: Dataset | None = None,
    donors: Mapping[str, Donors] | None = None,
) -> list[GalleryImage]:
    """Return the images that a page shows of an attribute, the most telling first.

    Of each reason of the first model the clearest images stand first, the reasons taking turns;
    after them those of no reason.

    Parameters
    ----------
    samples : of each model, of the same images
    attribute : that was asked about
    networks : the models, in the same order; none where answers come from tables
    methods : the attribution of each; None: it has no maps
    pictures : where the images are, by the ids of the samples; by default in their dataset
    donors : whose surroundings people were shown in
    """
    rows = rows_shown(len(samples[0].truth))
    shown = [_of_rows(model, rows, attribute) for model in samples]
    located = shown[0].truth if pictures is None else _located(pictures, shown[0].truth)
    side = side_shown(len(rows))
    reasons = [FROM_A_TABLE] * len(shown)
    if networks:
        reasons = why_no_maps(networks, methods, spare_runs=False)
    labels = telling_labels(shown, attribute)
    codes = [telling_codes(model, attribute, labels) for model in shown]
    lent = _donors(donors, attribute, rows, shown[0].truth)
    images = []
    for kind, i in _in_order(shown, attribute):
        if not isinstance(located.samples["image"][i], str):
            continue
        image, mask = small_image(located, i, side)
        answers = tuple(
            answer_of(
                model,
                attribute,
                i,
                _map(model, attribute, i, None if not networks else networks[j], located),
                reasons[j],
                labels[codes[j][i]] if codes[j][i] >= 0 else "",
            )
            for j, model in enumerate(shown)
        )
        item = gallery_image(shown[0], attribute, kind, i, image, mask, answers)
        images.append(replace(item, donors=lent[i]))
    return images


def _of_rows(model: Samples, rows: Rows, attribute: str) -> Samples:
    """Return the samples of some images, and of all columns those that a page shows."""
    begins = tuple(f"{kind}/{attribute}" for kind in ("score", "hidden", "person", "holds"))
    begins = (*begins, "evidence/", "swapped", "same_swapped")
    columns = [name for name in model.scores if str(name).startswith(begins)]
    return replace(
        model,
        truth=model.truth.rows(rows),
        scores=model.scores[columns].iloc[rows].reset_index(drop=True),
        decided={key: codes[rows] for key, codes in model.decided.items()},
        counterfactuals=None,
    )


def _in_order(shown: Sequence[Samples], attribute: str) -> list[tuple[str, int]]:
    """Return kind and row of all images: the kinds in turn, those of none last."""
    telling = list(choose(shown, attribute, per_kind=None))
    ranked = [
        (rank, kind, row)
        for kind, of_kind in groupby(telling, key=lambda pair: pair[0])
        for rank, (_, row) in enumerate(of_kind)
    ]
    in_turn = [(kind, row) for _, kind, row in sorted(ranked, key=lambda item: item[0])]
    rest = set(range(len(shown[0].truth))) - {row for _, row in in_turn}
    return [*in_turn, *(("", row) for row in sorted(rest))]


def _map(
    model: Samples, attribute: str, row: int, network: Model | None, located: Dataset
) -> npt.NDArray[np.float32]:
    """Return the small map of an image, laid over the whole of it, (GRID, GRID) in [0, 1]."""
    maps = model.maps.get(attribute)
    if maps is None or network is None:
        return np.zeros((GRID, GRID), np.float32)
    from fairvision.models import geometry_of

    geometry = geometry_of(network)
    window = WHOLE
    if geometry.shorter is not None:
        window = geometry.window(image_size(located.root / located.samples["image"][row]))
    return place(maps[row].astype(np.float32) / np.float32(255), window, (GRID, GRID))


def _located(pictures: Dataset, truth: Dataset) -> Dataset:
    """Return the rows of a dataset that have the ids of others; without an image where none has."""
    table = pictures.samples.set_index("id")[["image", "mask"]]
    return replace(pictures, samples=table.reindex(truth.samples["id"]).reset_index())


def _donors(
    donors: Mapping[str, Donors] | None, attribute: str, rows: Rows, truth: Dataset
) -> list[tuple[str, ...]]:
    """Return the ids of the first donors of each image, of those that are shown too."""
    if donors is None or attribute not in donors:
        return [()] * len(rows)
    places = {row: i for i, row in enumerate(rows)}
    ids = truth.samples["id"]
    return [
        tuple(ids[places[donor]] for donor in of_image if donor in places)[:DONORS]
        for of_image in donors[attribute].others[rows].tolist()
    ]
