"""COCO: annotations, captions and masks become a dataset folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from fairvision.core.files import read_json
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.readers.importing import (
    first_few,
    import_dataset,
    locate,
    random_splits,
    warn,
)
from fairvision.datasets.readers.storing import Source
from fairvision.datasets.regions import SIDES
from fairvision.errors import InputError, shown
from fairvision.metrics.caption_words import GENDER_WORDS, named_group, tokens
from fairvision.schema import Task

Entry: TypeAlias = dict[str, Any]
"""Of a list in one of COCO's files, as it was read."""

_TOLERANCE = 1.0
"""Pixels by which a polygon may leave the image: exports round."""
LARGEST, MOST_PIXELS = 1e9, 2**28
_LONGEST_RUN = 64  # bits

_PERSON = "person"


def draw_masks(segmentations: Iterable[tuple[str, Any]], height: int, width: int) -> np.ndarray:
    """Return the union of segmentations, (height, width) bool.

    Parameters
    ----------
    segmentations : (where it stands, for messages; value of `segmentation`)

    Raises
    ------
    InputError
        If a segmentation is malformed or leaves the image.
    """
    union = np.zeros((height, width), bool)
    for place, segmentation in segmentations:
        try:
            union |= _draw(segmentation, height, width)
        except Exception as error:  # whatever stands there in place of a segmentation
            raise InputError(f"{place} cannot be drawn: {error}") from None
    return union


def box_of(
    place: str, annotation: Entry, size: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of an object as shares of width and height.

    Parameters
    ----------
    place : where it stands, for messages
    annotation : with `bbox` (x, y, width, height in pixels); without, the box is that of the pixels
        of `segmentation`
    size : width and height of the image in pixels

    Returns
    -------
    None where the annotation has neither, or covers nothing of the image; what leaves the image
    is cut off

    Raises
    ------
    InputError
        If the box is not of four numbers, or as `draw_masks` does.
    """
    width, height = size
    if min(size) < 1:  # the image itself is refused when it is read
        return None
    box, segmentation = annotation.get("bbox"), annotation.get("segmentation")
    if box is not None:
        x, y, wide, high = _numbers(place, box)
        xs, ys = np.array([x, x + wide]), np.array([y, y + high])
    elif segmentation:
        if width * height > MOST_PIXELS:
            raise InputError(f"{place}: its picture of {width}×{height} pixels cannot be drawn")
        mask = draw_masks([(f"{place}: segmentation", segmentation)], height, width)
        if not mask.any():
            return None
        xs, ys = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1))
    else:
        return None
    left, right = np.clip(xs / width, 0, 1).tolist()
    top, bottom = np.clip(ys / height, 0, 1).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None


def leaves_image(annotation: Entry, size: tuple[int, int]) -> bool:
    """Return whether the box of an annotation, which is one of four numbers, is to be cut off.

    >>> leaves_image({"bbox": [-3, 0, 5, 5]}, (60, 40)), leaves_image({}, (60, 40))
    (True, False)
    """
    if annotation.get("bbox") is None:
        return False
    x, y, wide, high = map(float, annotation["bbox"])
    return not (
        _within(np.array([x, x + wide]), size[0]) and _within(np.array([y, y + high]), size[1])
    )


def _numbers(place: str, box: Any) -> tuple[float, ...]:
    """Return x, y, width and height of a box."""
    of_four: list[Any] = box if isinstance(box, list) and len(box) == 4 else [None]
    if all(type(n) in (int, float) and abs(n) < LARGEST for n in of_four) and min(box[2:]) >= 0:
        return tuple(map(float, box))
    raise InputError(f"{place}: bbox {shown(box)} is not x, y, width, height")


def run_lengths(compressed: bytes) -> list[int]:
    """Return the numbers in compressed run lengths.

    A byte holds five bits of a number and whether more follow; from the fourth number on, it is
    the difference from the last but one.

    >>> run_lengths(b"52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    number = shift = 0
    for byte in compressed:
        bits = byte - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if shift > _LONGEST_RUN:
            raise ValueError("a run length is too large")
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs


def _draw(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return the mask (height, width) of a segmentation, which is polygons or run lengths."""
    # pycocotools only turns polygons into runs: its decoder leaves pixels that malformed runs do
    # not cover uninitialised
    if isinstance(segmentation, list):
        runs = _polygon_runs(segmentation, height, width)
    else:
        size, runs = segmentation["size"], segmentation["counts"]
        if list(size) != [height, width]:
            raise ValueError(f"its size is {size} but its picture's is [{height}, {width}]")
        if isinstance(runs, str):
            runs = run_lengths(runs.encode("ascii"))
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs cover {sum(runs)} of its picture's {height * width} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _polygon_runs(polygons: list[Any], height: int, width: int) -> list[int]:
    """Return the run lengths, column by column, of the area that polygons cover together."""
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon of {len(polygon)} numbers; it needs x, y of 3 points")
    xs, ys = (
        np.array(list(chain.from_iterable(polygon[start::2] for polygon in polygons)), float)
        for start in (0, 1)
    )
    if not (_within(xs, width) and _within(ys, height)):
        raise ValueError(f"a point of it lies outside the picture of {width}×{height} pixels")
    union = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return run_lengths(union["counts"])


def _within(values: np.ndarray, end: float) -> bool:
    """Return whether all values lie between 0 and an end, but for a small tolerance."""
    return bool(((values >= -_TOLERANCE) & (values <= end + _TOLERANCE)).all())


def from_coco(
    instances: str | Path,
    captions: str | Path,
    images: str | Path,
    folder: str | Path,
    *,
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
    unknown where words of both or of neither do (Hendricks et al., ECCV 2018).

    Parameters
    ----------
    instances, captions : JSON files; images without captions have an unknown gender
    images : folder of the images
    folder : where to write the dataset folder
    split : train, val or test for all images; by default each is given one at random
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
    if split is not None and split not in SPLITS:
        raise InputError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    instances, captions, images = Path(instances), Path(captions), Path(images)
    listed = _read_instances(instances, skip_broken)
    captions_of = _read_captions(captions, set(listed.images))
    rows = list(listed.images)
    objects = tuple(category for category in listed.categories.values() if category != _PERSON)
    samples = pd.DataFrame({"id": list(map(str, rows))})
    samples["split"] = (
        split
        if split is not None
        else random_splits(len(rows), val_fraction, test_fraction, np.random.default_rng(seed))
    )
    genders = [perceived_gender(captions_of[image]) for image in rows]
    samples["gender"] = pd.Series(genders, dtype=object)
    regions = None
    if objects:
        shown = [tuple(o for o in objects if o in listed.objects[image]) for image in rows]
        samples["objects"] = pd.Series(shown, dtype=object)
        regions = pd.DataFrame(listed.boxes, columns=["id", "task", "label", *SIDES])
    sources = []
    for image in rows:
        entry = listed.images[image]
        place = f"{instances} picture {image}"
        path = locate(images, entry["file_name"], place)
        people = listed.people[image]
        mask = partial(_draw_people, (entry["width"], entry["height"]), people)
        sources.append(Source(place, path, mask))
    return import_dataset(
        Dataset(
            root=Path(folder),
            name=name or instances.stem,
            attributes={"gender": tuple(WORDS)},
            tasks={"objects": Task(objects, many=True)} if objects else {},
            samples=samples,
            source=f"imported from {instances.name} and {captions.name}; gender as captions say",
            licence=licence,
        ),
        sources,
        folder,
        origin=instances,
        skip_broken=skip_broken,
        overwrite=overwrite,
        workers=workers,
        quiet=quiet,
        regions=regions,
    )


@dataclass(frozen=True)
class _Instances:
    """What an instances file says, by image.

    Attributes
    ----------
    images : entries of `images` by their `id`
    categories : names by their `id`
    people : (where it stands, segmentation) of each person in an image
    objects : names of the other categories in an image
    boxes : rows of regions, one for each object whose place is given
    """

    images: dict[Any, Entry]
    categories: dict[Any, str]
    people: defaultdict[Any, list[tuple[str, Any]]]
    objects: defaultdict[Any, set[str]]
    boxes: list[tuple[Any, ...]]


def _read_instances(path: Path, skip_broken: bool) -> _Instances:
    """Return images, categories, person masks, objects and boxes of an instances file."""
    content = read_json(path)
    images: dict[Any, Entry] = {}
    names: set[str] = set()
    wanted = {"id": (int, str), "file_name": str, "width": int, "height": int}
    for place, entry in _entries(path, content, "images", wanted):
        if str(entry["id"]) in names:
            raise InputError(f"{place}: id {shown(entry['id'])} is there twice")
        names.add(str(entry["id"]))
        images[entry["id"]] = entry
    if not images:
        raise InputError(f"{path} lists no images")
    categories: dict[Any, str] = {}
    for place, entry in _entries(path, content, "categories", {"id": (int, str), "name": str}):
        if entry["id"] in categories or entry["name"] in categories.values():
            raise InputError(f"{place}: id {shown(entry['id'])} or its name is there twice")
        categories[entry["id"]] = entry["name"]
    if _PERSON not in categories.values():
        warn(f"{path} has no category called {_PERSON!r}: the pictures get no masks")
    people, objects, boxes = defaultdict(list), defaultdict(set), []
    clipped: list[str] = []
    broken: list[str] = []
    wanted = {"image_id": (int, str), "category_id": (int, str)}
    for place, entry in _entries(path, content, "annotations", wanted):
        image, category = entry["image_id"], entry["category_id"]
        if image not in images:
            raise InputError(f"{place}: image_id {shown(image)} is not among the images")
        if category not in categories:
            raise InputError(f"{place}: category_id {shown(category)} is not among the categories")
        if categories[category] != _PERSON:
            objects[image].add(categories[category])
            size = images[image]["width"], images[image]["height"]
            try:
                box = box_of(place, entry, size)
            except InputError as error:
                if not skip_broken:
                    raise InputError(f"{error} (--skip-broken leaves such boxes out)") from None
                broken.append(str(error))
                continue
            if leaves_image(entry, size):
                clipped.append(place)
            if box is not None:
                boxes.append((str(image), "objects", categories[category], *box))
        elif entry.get("segmentation") is None:
            raise InputError(f"{place} has no 'segmentation'")
        else:
            people[image].append((f"{place}: segmentation", entry["segmentation"]))
    if clipped:
        warn(
            f"{path}: {len(clipped)} boxes of objects leave their pictures, and are cut off there: "
            + first_few(clipped, path)
        )
    if broken:
        warn(
            f"left out: {len(broken)} boxes of objects of {path}, which cannot be used: "
            + first_few(broken, path)
        )
    return _Instances(images, categories, people, objects, boxes)


def _read_captions(path: Path, images: set[Any]) -> defaultdict[Any, list[str]]:
    """Return the captions of each image; those of images listed nowhere are refused."""
    content = read_json(path)
    wanted = {"image_id": (int, str), "caption": str}
    captions_of: defaultdict[Any, list[str]] = defaultdict(list)
    elsewhere = 0
    _check_captions(path, content)
    also = {entry["id"] for _, entry in _entries(path, content, "images", {"id": (int, str)})}
    for place, entry in _entries(path, content, "annotations", wanted):
        if entry["image_id"] in images:
            captions_of[entry["image_id"]].append(entry["caption"])
        elif entry["image_id"] in also:
            elsewhere += 1
        else:
            raise InputError(
                f"{place}: image_id {shown(entry['image_id'])} is not among the images"
            )
    if elsewhere:
        warn(f"{path}: {elsewhere} captions of pictures that are not among the instances")
    return captions_of


def _check_captions(path: Path, content: Any) -> None:
    """Refuse a file without any caption: it would leave every gender unknown."""
    entries = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return
    entries = [entry for entry in entries if isinstance(entry, dict)]
    if any("caption" in entry for entry in entries):
        return
    names = [list(e["attributes"]) for e in entries if isinstance(e.get("attributes"), dict)]
    there = f"; its annotations have the attributes {shown(names[0])}" if names else ""
    raise InputError(
        f"{path} holds no captions, and gender is what captions say{there}: write a table of the "
        "pictures with a column of groups, and import it by fairvision data csv"
    )


def _entries(
    path: Path, content: Any, key: str, wanted: Mapping[str, Any]
) -> Iterator[tuple[str, Entry]]:
    """Yield (where it stands, entry) of one of a file's lists, checked for what is wanted."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{path} is not in COCO's format: it has no list {key!r}")
    for position, entry in enumerate(entries):
        place = f"{path} {key}[{position}]"
        if not isinstance(entry, dict):
            raise InputError(f"{place} is not an object with named values")
        for name, kind in wanted.items():
            if name not in entry:
                raise InputError(f"{place} has no {name!r}")
            if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
                raise InputError(f"{place}: {name!r} cannot be {shown(entry[name])}")
        yield place, entry


def _draw_people(
    stated: tuple[int, int], people: list[tuple[str, Any]], size: tuple[int, int]
) -> np.ndarray | None:
    """Return the mask of an image's people, None without any; refuse an image of another size."""
    if size != stated:
        raise InputError(
            f"the picture is {size[0]}×{size[1]} pixels but the file says {stated[0]}×{stated[1]}"
        )
    drawn = [(place, segmentation) for place, segmentation in people if segmentation != []]
    return draw_masks(drawn, size[1], size[0]) if drawn else None


__all__ = ["WORDS", "perceived_gender", "tokens"]

WORDS = {"female": GENDER_WORDS["woman"], "male": GENDER_WORDS["man"]}


def perceived_gender(captions: Iterable[str]) -> str | None:
    """Return the one group that the captions of an image name; None for both or neither.

    >>> perceived_gender(["A woman rides a horse.", "Somebody on her horse."])
    'female'
    >>> perceived_gender(["A woman and a man."]) is None
    True
    """
    group = named_group(tuple(captions), WORDS)
    return group if group in WORDS else None
