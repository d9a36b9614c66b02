"""COCO: annotations, captions and masks become a dataset folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from fairvision.core.spellings import as_number
from fairvision.datasets.captions import COLUMN, as_series
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.readers.coco_files import PERSON, Instances, read_captions, read_instances
from fairvision.datasets.readers.coco_masks import check_size, draw_masks
from fairvision.datasets.readers.columns import Roles, read_roles, rows_by_id
from fairvision.datasets.readers.importing import import_dataset, locate, random_splits
from fairvision.datasets.readers.split_names import split_of
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.regions import SIDES
from fairvision.errors import InputError
from fairvision.metrics.caption_words import GENDER_WORDS, namer
from fairvision.schema import Column, Schema, Task

_BY_NAME = "names"


def from_coco(
    instances: str | Path | Sequence[str | Path],
    captions: str | Path | Sequence[str | Path] | None,
    images: str | Path,
    folder: str | Path,
    *,
    attributes: str | Path | None = None,
    split: str | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    licence: str = "",
    skip_broken: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a dataset folder from annotations in COCO's format.

    The mask of an image is the union of its `person` annotations, crowds included; images
    without any have no mask. The task `objects` holds every other category that is annotated in
    the image; the boxes of these, crowds included, are the regions, without what of them leaves
    the image. The attribute `gender`
    (female, male) is what the captions say that people perceive: the group whose words occur,
    unknown where words of both or of neither do (Hendricks et al., ECCV 2018). All captions of an
    image are kept.

    Parameters
    ----------
    instances : JSON file or files; several have the same categories, or the same images
    captions : JSON file or files; images without captions have an unknown gender. None for no
        such attribute
    images : folder of the images, or of a folder for each instances file that is called as its name
        ends, such as `val2014`
    folder : where to write the dataset folder
    attributes : table with a column `image_id` (or `id`), every other column of which holds a group
        of people; images that it lacks have an unknown group
    split : train, val or test for all images, or `names` for what the names of the instances files
        say, such as instances_val2014.json; by default each image is given one at random
    val_fraction, test_fraction, seed : of the random splits
    name, licence : of the dataset, as noted in `dataset.json`
    skip_broken : leave out images, and boxes of objects, that cannot be used, with one warning
    workers : threads that decode; by default one per core
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a file is not in COCO's format, annotates an image that it does not list, or if a
        image or its segmentation cannot be used; nothing is written.
    """
    if split is not None and split not in (*SPLITS, _BY_NAME):
        raise InputError(f"split {split!r} is not one of {', '.join((*SPLITS, _BY_NAME))}")
    instances, captions, images = _paths(instances), _paths(captions), Path(images)
    listed = read_instances(instances, skip_broken)
    rows = list(listed.images)
    samples = pd.DataFrame({"id": list(map(str, rows))})
    if split == _BY_NAME:
        samples["split"] = _splits_by_name(listed)
    else:
        random = np.random.default_rng(seed)
        drawn = random_splits(len(rows), val_fraction, test_fraction, random)
        samples["split"] = drawn if split is None else split
    groups: dict[str, tuple[str, ...]] = {}
    if captions:
        captions_of = read_captions(captions, set(rows))
        genders = [perceived_gender(captions_of[image]) for image in rows]
        samples["gender"] = pd.Series(genders, dtype=object)
        groups["gender"] = tuple(WORDS)
        samples[COLUMN] = as_series(captions_of[image] for image in rows)
    if attributes is not None:
        schema, columns = _read_groups(Path(attributes), samples["id"])
        for attribute, column in columns.items():
            if attribute in groups or attribute in samples:
                raise InputError(f"{attributes} has a column {attribute!r}, as captions give it")
            samples[attribute] = pd.Series(column.names, dtype=object)
        groups |= schema.attributes
    objects = tuple(category for category in listed.categories if category != PERSON)
    regions = None
    if objects:
        present = [tuple(o for o in objects if o in listed.objects[image]) for image in rows]
        samples["objects"] = pd.Series(present, dtype=object)
        regions = pd.DataFrame(listed.boxes, columns=["id", "task", "label", *SIDES])
    sources = []
    for image in rows:
        entry, file = listed.images[image], listed.files[image]
        place = f"{file} picture {image}"
        path = locate(_images_of(file, images), entry["file_name"], place)
        mask = partial(_draw_people, (entry["width"], entry["height"]), listed.people[image])
        sources.append(Source(place, path, mask))
    files = [*instances, *captions, *([Path(attributes)] if attributes is not None else [])]
    basis = "; gender as captions say" if captions else ""
    return import_dataset(
        Dataset(
            root=Path(folder),
            name=name or instances[0].stem,
            attributes=groups,
            tasks={"objects": Task(objects, many=True)} if objects else {},
            samples=samples,
            source=f"imported from {' and '.join(path.name for path in files)}{basis}",
            licence=licence,
        ),
        sources,
        folder,
        origin=instances[0],
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
        regions=regions,
    )


def _paths(given: str | Path | Sequence[str | Path] | None) -> list[Path]:
    """Return one file or several as paths; each is there once."""
    if given is None:
        return []
    paths = [Path(given)] if isinstance(given, (str, Path)) else list(map(Path, given))
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"{path} is named twice")
    return paths


def _images_of(file: Path, images: Path) -> Path:
    """Return the folder of a file's images: one that is called as its name ends, if it is there."""
    _, separator, part = file.stem.rpartition("_")
    return images / part if separator and (images / part).is_dir() else images


def _splits_by_name(listed: Instances) -> list[str]:
    """Return the split of each image, which the name of its file says."""
    splits = {file: split_of(PurePath(file.name)) for file in dict.fromkeys(listed.files.values())}
    for file, split in splits.items():
        if split is None:
            raise InputError(f"the name of {file} says no split: rename it, or use another --split")
    return [str(splits[file]) for file in listed.files.values()]


def _read_groups(path: Path, ids: pd.Series) -> tuple[Schema, dict[str, Column]]:
    """Return the groups of each image, by a table that has a row for an image."""
    raw = rows_by_id(path, list(ids), ("image_id", "id"), as_number)
    return read_roles(path, raw, Roles.of(raw.column_names, []))


def _draw_people(
    stated: tuple[int, int], people: list[tuple[str, Any]], size: tuple[int, int]
) -> np.ndarray | None:
    """Return the mask of an image's people, None without any; refuse an image of another size."""
    check_size(stated, size)
    drawn = [(place, segmentation) for place, segmentation in people if segmentation != []]
    return draw_masks(drawn, size[1], size[0]) if drawn else None


__all__ = ["WORDS", "perceived_gender"]

WORDS = {"female": GENDER_WORDS["woman"], "male": GENDER_WORDS["man"]}
_NAMER = namer(WORDS)


def perceived_gender(captions: Iterable[str]) -> str | None:
    """Return the one group that the captions of an image name; None for both or neither.

    >>> perceived_gender(["A woman rides a horse.", "Somebody on her horse."])
    'female'
    >>> perceived_gender(["A woman and a man."]) is None
    True
    """
    group = _NAMER(tuple(captions))
    return group if group in WORDS else None
