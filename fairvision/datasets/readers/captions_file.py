"""A dataset folder gets captions that stand in a file: those of COCO, or in its form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from fairvision.core.files import read_json
from fairvision.core.spellings import as_number
from fairvision.datasets.captions import COLUMN, as_series, captioned
from fairvision.datasets.counterfactuals import ORIGINAL, is_counterfactual
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.folder import load
from fairvision.datasets.readers.coco_files import caption_entries, listed_files
from fairvision.datasets.readers.importing import check_not_within, import_dataset, warn
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.regions import read_regions
from fairvision.errors import InputError, shown


def add_captions(
    data: str | Path,
    captions: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    only_captioned: bool = False,
    replace_captions: bool = False,
    skip_broken: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Write a dataset folder with the captions of a file.

    Captions go with the image whose `id`, or whose file's name without its suffix, is the name of
    the file that COCO lists; where no image at all is met so, with that whose `id` is COCO's
    `image_id`. Zeros in front of a number do not count.

    Parameters
    ----------
    data : a dataset folder, which stays as it is
    captions : JSON in COCO's format, `{"images": […], "annotations": [{"image_id": 1, "caption":
        "A man"}]}`; or several such files
    output : where to write the dataset folder
    only_captioned : leave out images without captions, and counterfactuals of these
    replace_captions : leave out the captions that the dataset has
    skip_broken, workers, overwrite, quiet : as for every source of data

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the dataset has captions already, a file is not in COCO's format, or none holds captions
        of any image there, or `output` lies in `data`. Nothing is written then.

    Warns
    -----
    FairvisionWarning
        Captions are of images that are not there.

    Examples
    --------
    >>> import json, tempfile
    >>> from fairvision import datasets
    >>> said = {"image_id": 3, "caption": "Somebody stands on a beach."}
    >>> file = {"images": [{"id": 3, "file_name": "000003.png"}], "annotations": [said]}
    >>> with tempfile.TemporaryDirectory() as place:
    ...     drawn = datasets.scenes(f"{place}/drawn", count=12, bias=0.5, size=16)
    ...     _ = Path(place, "c.json").write_text(json.dumps(file))
    ...     made = add_captions(
    ...         f"{place}/drawn", f"{place}/c.json", f"{place}/made", replace_captions=True
    ...     )
    >>> made.captions[2:4]
    [(), ('Somebody stands on a beach.',)]
    """
    dataset = load(data)
    check_not_within(output, dataset.root)
    settings = dataset.root / "dataset.json"
    if COLUMN in dataset.schema:
        raise InputError(f"{settings}: captions is the name of an attribute or task: rename it")
    if dataset.has_captions and not replace_captions:
        raise InputError(
            f"{dataset.root} has captions of {int(captioned(dataset.samples[COLUMN]).sum())} of "
            f"{len(dataset)} pictures: --replace leaves them out"
        )
    given = [captions] if isinstance(captions, (str, Path)) else list(captions)
    if not given:
        raise InputError("name a file of captions")
    texts = _texts(list(map(Path, given)), dataset)
    kept = np.ones(len(dataset), bool)
    if only_captioned:
        kept = np.array([bool(of_image) for of_image in texts])
        made = is_counterfactual(dataset.samples)
        if made.any():
            of_kept = dataset.samples[ORIGINAL].isin(dataset.samples["id"][kept]).to_numpy(bool)
            kept &= ~made | of_kept
    samples = dataset.samples.assign(**{COLUMN: as_series(texts)})
    chosen = replace(dataset, samples=samples).rows(np.flatnonzero(kept))
    paths = chosen.samples[["id", "image", "mask"]].itertuples()
    return import_dataset(
        chosen,
        [_source(dataset.root, row) for row in paths],
        output,
        origin=settings,
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
        regions=read_regions(dataset),
    )


def _source(root: Path, row: Any) -> Source:
    """Return the files of a row of a dataset folder."""
    mask = None if pd.isna(row.mask) else root / row.mask
    return Source(f"sample {shown(row.id)}", root / row.image, mask)


def _texts(paths: Sequence[Path], dataset: Dataset) -> list[list[str]]:
    """Return the captions of each image, of all files."""
    read = [(path, image, name, text) for path in paths for image, name, text in _entries(path)]
    if not read:
        raise InputError(f"{paths[0]} holds no captions")
    rows_of = _rows_of(dataset)
    rows = [None if name is None else rows_of.get(as_number(name)) for _, _, name, _ in read]
    if all(row is None for row in rows):
        rows = [rows_of.get(as_number(str(image))) for _, image, _, _ in read]
    if all(row is None for row in rows):
        path, image, name, _ = read[0]
        raise InputError(
            f"{path} has captions of none of the {len(dataset)} pictures of {dataset.root}: its "
            f"first is of {shown(image if name is None else name)}, and the first picture is "
            f"called {shown(dataset.samples['id'].iloc[0])}"
        )
    texts: list[list[str]] = [[] for _ in range(len(dataset))]
    elsewhere: Counter[Path] = Counter()
    for (path, _, _, text), row in zip(read, rows):
        if row is None:
            elsewhere[path] += 1
        else:
            texts[row].append(text)
    for path, count in elsewhere.items():
        warn(f"{path}: {count} captions of pictures that are not in {dataset.root}")
    return texts


def _entries(path: Path) -> Iterator[tuple[Any, str | None, str]]:
    """Yield `image_id`, the name of its file without suffix or None, and caption of a file."""
    content = read_json(path)
    names = {image: PurePath(name).stem for image, name in listed_files(path, content).items()}
    for _, image, caption in caption_entries(path, content):
        yield image, names.get(image), caption


def _rows_of(dataset: Dataset) -> dict[str, int]:
    """Return the row of each image by its id, and by the names of files that are of one image."""
    ids = dataset.samples["id"].tolist()
    rows: dict[str, int] = {}
    for paths in (dataset.samples["image"].tolist(), ids):
        names = [as_number(PurePath(path).stem) for path in paths]
        counts = Counter(names)
        rows |= {name: row for row, name in enumerate(names) if counts[name] == 1}
    return rows | {as_number(name): row for row, name in enumerate(ids)}
