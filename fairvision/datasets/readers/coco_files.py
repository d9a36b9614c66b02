"""COCO's files: images with the objects in them, and captions, of one file or several."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairvision.core.files import read_json
from fairvision.datasets.captions import left_out, says_nothing
from fairvision.datasets.readers.coco_masks import Entry, box_of, leaves_image
from fairvision.datasets.readers.importing import first_few, warn
from fairvision.errors import InputError, shown

PERSON = "person"


@dataclass(frozen=True)
class Instances:
    """What instances files say, by image.

    Attributes
    ----------
    images : entries of `images` by their `id`
    files : the file that lists each image
    categories : names
    people : (where it stands, segmentation) of each person in an image
    objects : names of the other categories in an image
    boxes : rows of regions, one for each object whose place is given
    """

    images: dict[Any, Entry]
    files: dict[Any, Path]
    categories: tuple[str, ...]
    people: defaultdict[Any, list[tuple[str, Any]]]
    objects: defaultdict[Any, set[str]]
    boxes: list[tuple[Any, ...]]


def read_instances(paths: Sequence[Path], skip_broken: bool) -> Instances:
    """Return images, categories, person masks, objects and boxes of instances files.

    Raises
    ------
    InputError
        If a file is not in COCO's format, or two files have one `id` for different images, or
        neither the same categories nor the same images: what is annotated in one of them only
        would count as absent in the other's images.
    """
    first = _read_instances(paths[0], skip_broken)
    for path in paths[1:]:
        more = _read_instances(path, skip_broken)
        _check_together(first, more, path)
        first.images.update(more.images)
        first.files.update({image: path for image in more.images if image not in first.files})
        first.boxes.extend(more.boxes)
        for image, people in more.people.items():
            first.people[image].extend(people)
        for image, objects in more.objects.items():
            first.objects[image].update(objects)
        categories = tuple(dict.fromkeys((*first.categories, *more.categories)))
        first = replace(first, categories=categories)
    if PERSON not in first.categories:
        warn(
            f"{', '.join(map(str, paths))} has no category called {PERSON!r}: the pictures get no "
            "masks"
        )
    return first


def _check_together(first: Instances, more: Instances, path: Path) -> None:
    """Raise `InputError` where two files cannot be one."""
    ids = {str(image): image for image in first.images}
    for image, entry in more.images.items():
        before = first.images.get(ids.get(str(image)))
        if before is None:
            continue
        if any(before[key] != entry[key] for key in ("id", "file_name", "width", "height")):
            raise InputError(
                f"{path}: id {shown(image)} is another image than in {first.files[before['id']]}"
            )
    if {*first.categories} != {*more.categories} and {*first.images} != {*more.images}:
        other = next(iter(first.files.values()))
        raise InputError(
            f"{path} has neither the categories nor the images of {other}: what only one of them "
            "annotates would count as absent in images of the other"
        )


def _read_instances(path: Path, skip_broken: bool) -> Instances:
    """Return what one file says."""
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
        if categories[category] != PERSON:
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
    files = dict.fromkeys(images, path)
    return Instances(images, files, tuple(categories.values()), people, objects, boxes)


def read_captions(paths: Sequence[Path], images: set[Any]) -> dict[Any, list[str]]:
    """Return the captions of each image; those of images listed nowhere are refused."""
    captions_of: dict[Any, list[str]] = {image: [] for image in images}
    for path in paths:
        content = read_json(path)
        elsewhere = 0
        _check_captions(path, content)
        also = {entry["id"] for _, entry in _entries(path, content, "images", {"id": (int, str)})}
        for place, image, caption in caption_entries(path, content):
            if image in captions_of:
                captions_of[image].append(caption)
            elif image in also:
                elsewhere += 1
            else:
                raise InputError(f"{place}: image_id {shown(image)} is not among the images")
        if elsewhere:
            warn(f"{path}: {elsewhere} captions of pictures that are not among the instances")
    return captions_of


def caption_entries(path: Path, content: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield (where it stands, `image_id`, caption) of each annotation of a captions file.

    What stands for no caption, as "nan" does, is left out, with a warning at the end.
    """
    wanted = {"image_id": (int, str), "caption": str}
    nothing = Counter[str]()
    for place, entry in _entries(path, content, "annotations", wanted):
        caption = entry["caption"]
        if says_nothing(caption):
            nothing[caption] += 1
        else:
            yield place, entry["image_id"], caption
    if nothing:
        warn(f"{path}: {left_out(nothing)}")


def listed_files(path: Path, content: Any) -> dict[Any, str]:
    """Return the `file_name` of each image that a file lists; of those that have one."""
    entries = _entries(path, content, "images", {"id": (int, str)})
    return {
        entry["id"]: entry["file_name"]
        for _, entry in entries
        if isinstance(entry.get("file_name"), str)
    }


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
        "pictures with image_id and columns of groups, and name it by --attributes"
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
