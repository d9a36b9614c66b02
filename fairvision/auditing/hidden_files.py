"""Images with a person hidden, as files, for models that can only be shown files.

`hidden_tables` reads the table that is filled in elsewhere. docs/hide.md says how both are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fairvision.auditing.columns import score_columns
from fairvision.auditing.folder import MOST_SWAPS
from fairvision.auditing.hidden_tables import HIDDEN, KIND, PERSON, SWAPS, WHOLE
from fairvision.core.csv_files import write_csv
from fairvision.core.files import check_vacant, whole_folder, write_json, write_text
from fairvision.core.version import versions
from fairvision.datasets import FILLS, Dataset, load, open_pixels
from fairvision.datasets.geometry import Geometry
from fairvision.datasets.pixels import LARGEST_SIDE, Decoder
from fairvision.datasets.readers.storing import in_threads
from fairvision.errors import InputError, visible, warn_caller
from fairvision.schema import Schema

if TYPE_CHECKING:
    from fairvision.auditing.swaps import Donors

MARKER = "hidden.json"
TABLE = "predictions"
_AT_ONCE = 64


def hide_folder(
    data: str | Path,
    output: str | Path,
    *,
    split: str = "test",
    size: int | None = None,
    swaps: int = 0,
    fill: str = FILLS[0],
    seed: int = 0,
    overwrite: bool = False,
    workers: int | None = None,
    quiet: bool = True,
) -> pd.DataFrame:
    """Write the images of an audit as files, and the table to fill in with what a model says.

    For models that can only be shown files: the whole images, with the person hidden, and with
    only the person visible, made as `audit` makes them for models that it asks. The fill, a mean
    colour, is rounded to whole numbers of 0 to 255. `audit(predictions=…, data=…)` reads the table.

    Parameters
    ----------
    data : dataset folder
    output : folder to write: `images/`, `predictions.csv` and `.parquet`, `README.txt`, and
        `hidden.json` with the settings
    split : which images
    size : height and width of the files, to which whole images are resized first, as for a model of
        this size; by default each keeps its own
    swaps : in the surroundings of so many images of other groups each person is shown as well;
        needs `size`. See docs/swaps.md.
    fill : how the place of a person in these is filled
    seed : of the choice of surroundings
    overwrite : replace what an earlier call wrote in `output`
    workers, quiet : how it runs

    Returns
    -------
    the table: a row per file with `id`, `kind` (`whole`, `hidden` or `person`; of swaps `swapped`,
    `same_swapped` or `pasted`), `image`, `split`, with swaps `attribute` and `donor`, and an empty
    column `score/<head>/<label>` for every group and label. Images without a mask have a whole
    image only, and so have counterfactuals. No truth is in it.

    Raises
    ------
    InputError
        If the split has no masks, an image cannot be read, or `output` is not vacant. Nothing is
        written then.

    Examples
    --------
    >>> import tempfile
    >>> from fairvision import datasets
    >>> place = Path(tempfile.mkdtemp())
    >>> made = datasets.scenes(place / "scenes", count=30, bias=0.8, size=16)
    >>> table = hide_folder(place / "scenes", place / "out", swaps=1, size=16)
    >>> table[["id", "kind", "image"]].head(3)
           id    kind                   image
    0  000004   whole   images/whole/0001.png
    1  000004  hidden  images/hidden/0001.png
    2  000004  person  images/person/0001.png
    """
    check_vacant(output, marker=MARKER, overwrite=overwrite)
    _check_options(size, swaps, fill)
    whole = load(data)
    dataset = whole.originals().split(split)
    made = whole.split(split).counterfactuals()
    geometry = None if size is None else Geometry(size)
    decoder = Decoder(dataset, geometry)
    decoder_of_made = Decoder(made, geometry, decoder.doubts)
    donors = {}
    if KIND in dataset.schema:
        raise InputError(
            f"{dataset.root} has an attribute or task called {KIND}, as a column of the table to "
            "fill in is: give it another name"
        )
    if not dataset.has_masks:
        raise InputError(
            f"{dataset.root} has no masks in split {split}, so nobody can be hidden: fairvision "
            "data masks makes masks"
        )
    if swaps:
        from fairvision.auditing.swaps import few_donors, plan

        donors = plan(dataset, swaps=swaps, seed=seed, workers=workers)
        for line in few_donors(donors):
            warn_caller(line)
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as part:
        for kind in (WHOLE, HIDDEN, PERSON):
            (part / "images" / kind).mkdir(parents=True)
        parts = [
            _write_people(part, dataset, decoder, workers, quiet),
            _write_whole(part, made, decoder_of_made, workers, quiet, "made-"),
            *_write_swapped(part, dataset, donors, size, fill, workers, quiet),
        ]
        table = pd.DataFrame([row for rows in parts for row in rows])
        empty = pd.DataFrame(np.nan, table.index, _score_names(dataset.schema), np.float64)
        table = pd.concat([table, empty], axis=1)
        write_csv(table, part / f"{TABLE}.csv")
        table.to_parquet(part / f"{TABLE}.parquet", index=False)
        settings = {"split": split, "size": size, "swaps": swaps, "fill": fill, "seed": seed}
        of_data = {"name": whole.name, "fingerprint": whole.originals().fingerprint()}
        write_json(part / MARKER, {"data": of_data, **settings, "versions": versions("torch")})
        write_text(part / "README.txt", _instructions(table, whole, split))
    decoder.doubts.tell()
    without = int((table["kind"] == WHOLE).sum() - (table["kind"] == HIDDEN).sum() - len(made))
    if without:
        warn_caller(
            f"{without} of {len(dataset)} pictures have no mask of a person: they are in no figure "
            "with the person hidden or alone"
        )
    return table


def _check_options(size: int | None, swaps: int, fill: str) -> None:
    """Raise `InputError` for options that cannot be used."""
    if size is not None and not 1 <= size <= LARGEST_SIDE:
        raise InputError(f"size must be 1 to {LARGEST_SIDE} pixels, not {size}")
    if not 0 <= swaps <= MOST_SWAPS:
        raise InputError(f"swaps must be 0 to {MOST_SWAPS}, not {swaps}")
    if swaps and size is None:
        raise InputError("swaps need --size: people are pasted into pictures of the same size")
    if fill not in FILLS:
        raise InputError(f"unknown fill {fill!r}: one of {', '.join(FILLS)}")


def _write_people(
    folder: Path, dataset: Dataset, decoder: Decoder, workers: int | None, quiet: bool
) -> Iterator[dict[str, Any]]:
    """Write whole images, and those of people hidden and alone; return a row for each file."""
    import torch

    from fairvision.datasets.hiding import hide_person, only_person

    def write(row: int) -> list[dict[str, Any]]:
        image, mask = decoder.image(row), decoder.mask(row)
        shown = {WHOLE: image}
        if mask is not None and mask.any():
            batch = torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0).float().div_(255)
            person = torch.from_numpy(mask)[None, None].float()
            shown[HIDDEN] = _as_bytes(hide_person(batch, person))[0]
            shown[PERSON] = _as_bytes(only_person(batch, person))[0]
        return [
            _written(folder, dataset, row, kind, pixels, f"{row + 1:04d}")
            for kind, pixels in shown.items()
        ]

    rows = in_threads(write, range(len(dataset)), "hiding people", workers, quiet)
    return (row for of_image in rows for row in of_image)


def _write_whole(
    folder: Path, dataset: Dataset, decoder: Decoder, workers: int | None, quiet: bool, prefix: str
) -> list[dict[str, Any]]:
    """Write whole images only; return a row for each file."""

    def write(row: int) -> dict[str, Any]:
        return _written(folder, dataset, row, WHOLE, decoder.image(row), f"{prefix}{row + 1:04d}")

    return in_threads(write, range(len(dataset)), "writing pictures", workers, quiet)


def _write_swapped(
    folder: Path,
    dataset: Dataset,
    donors: Mapping[str, Donors],
    size: int | None,
    fill: str,
    workers: int | None,
    quiet: bool,
) -> Iterator[Iterator[dict[str, Any]]]:
    """Write people in the surroundings of others; yield the rows of the files of each attribute."""
    if not donors or size is None:
        return
    from fairvision.auditing.swaps import pairs_of, swapped_images
    from fairvision.datasets import batches

    for kind in SWAPS:
        (folder / "images" / kind).mkdir()
    ids = dataset.samples["id"].to_numpy(object)
    kinds = {name: kind for kind, name in SWAPS.items()}
    pixels = open_pixels(dataset, size, workers=workers, quiet=quiet)
    number = 0
    for attribute, of_attribute in donors.items():
        rows = []
        for batch in batches(dataset, pixels, _AT_ONCE):
            pairs = pairs_of(batch.rows, of_attribute)
            images = swapped_images(batch, pixels, pairs, fill, _AT_ONCE)
            shown = (image for piece in images for image in _as_bytes(piece))
            for (row, donor, name), image in zip(pairs.itertuples(index=False), shown):
                number += 1
                written = _written(folder, dataset, row, kinds[name], image, f"{number:06d}")
                rows.append({**written, "attribute": attribute, "donor": ids[donor]})
        yield iter(rows)


def _written(
    folder: Path, dataset: Dataset, row: int, kind: str, pixels: npt.NDArray[np.uint8], name: str
) -> dict[str, Any]:
    """Write one image, whose name tells nothing of it, and return its row of the table."""
    path = f"images/{kind}/{name}.png"
    Image.fromarray(pixels).save(folder / path)
    samples = dataset.samples
    return {"id": samples["id"].array[row], "kind": kind, "image": path} | {
        "split": samples["split"].array[row]
    }


def _as_bytes(images: Any) -> npt.NDArray[np.uint8]:
    """Return tensors (n, 3, height, width) in [0, 1] as bytes (n, height, width, 3)."""
    pixels: npt.NDArray[np.uint8] = (
        images.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    )
    return pixels


def _score_names(schema: Schema) -> list[str]:
    """Return the columns to fill in."""
    return [name for head in schema for name in score_columns("score", head, schema.labels(head))]


def _instructions(table: pd.DataFrame, dataset: Dataset, split: str) -> str:
    """Return the text of README.txt."""
    heads = []
    for head in dataset.schema:
        labels = ", ".join(dataset.schema.labels(head))
        rule = "any number of them may hold" if dataset.schema.is_many(head) else "they sum to 1"
        heads.append(f"  score/{head}/…: {labels} ({rule})")
    counts = table["kind"].value_counts(sort=False)
    kinds = [f"  {kind}: {_MEANING[str(kind)]} ({n} files)" for kind, n in counts.items()]
    lines = [
        f"Pictures of {dataset.name}, split {split}, and a table to fill in.",
        "",
        "1. Show each file of the column image to the model, each by itself, and as it is.",
        "2. Write what it answers into that row of predictions.csv (or predictions.parquet):",
        "   a probability for each label, a number from 0 to 1. Where the model gives answers",
        "   only, write 1 for the label that it answers and 0 for the others. Where it gives",
        "   no answer, leave the row's cells empty. Columns that the model knows nothing of",
        "   stay empty, or are removed. Rows that name an attribute need its columns only. Do",
        "   not change id and kind.",
        "3. fairvision audit --predictions predictions.csv --data DIR -o AUDIT",
        f"   where DIR is the dataset folder that this was made of: {dataset.name}.",
        "",
        "Columns to fill in:",
        *heads,
        "",
        "Kinds of pictures:",
        *kinds,
        "",
        "What is true of the pictures is not in this folder: only the dataset folder says it. The",
        "model is to see the files alone, not this table.",
        "",
    ]
    return "\n".join(map(visible, lines))


_MEANING = {
    WHOLE: "the whole picture",
    HIDDEN: "the person hidden",
    PERSON: "only the person visible",
    "swapped": "the person in the surroundings of a picture of another group",
    "same_swapped": "the person in the surroundings of another picture of the same group",
    "pasted": "the person pasted back into their own surroundings, filled",
}
