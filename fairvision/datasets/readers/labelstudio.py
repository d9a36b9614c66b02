"""Label Studio: regions and choices of people who annotated images, exported as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from fairvision.core.files import read_json
from fairvision.datasets.dataset import SPLIT_NAMES, Dataset
from fairvision.datasets.readers.annotated import OBJECTS, Annotated, annotated_rows, stems
from fairvision.datasets.readers.columns import Names, Roles, import_rows
from fairvision.datasets.readers.importing import Importing, first_few, warn
from fairvision.datasets.readers.labelstudio_paths import image_key, locate_image, served
from fairvision.datasets.readers.labelstudio_regions import (
    Region,
    box_of_region,
    draw_regions,
    regions_of,
)
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, shown

_SPLIT = "split"


def from_labelstudio(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    many: Names = (),
    person: str = "person",
    image: str | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    unknown: Iterable[str] = (),
    **importing: Unpack[Importing],
) -> Dataset:
    """Import an export of Label Studio.

    It is exported as JSON, not as JSON-MIN. The mask of an image is the union of its regions of the
    label --person: brushes, polygons, ellipses and rectangles. Other labels of regions are the task
    objects, with their boxes as regions; an image without any has none, which is known. Attributes
    and tasks are choices, of the image and of people, and else fields of the data; where those of
    an image differ, also between annotators, it is unknown. Regions are those of the annotation
    that is marked as ground truth, or else of the first. Tasks without an annotation are left out.

    Parameters
    ----------
    source : the JSON file
    folder : where to write the dataset folder
    attributes : name of choices, or field of the data, that holds a group of people; repeatable;
        NAME=CHOICES gives it another name
    tasks : the same for what is classified
    many : the same for choices of which several may hold; repeatable
    person : label of people
    image : field of the data that holds the image; by default image, or the only one with a path
    images : folder of the images, into which /data/upload/ and /data/local-files/ lead; by default
        that of the file
    split : field of the data that holds train, val and test; by default split, if all tasks have it
    unknown : text that means not known, besides unknown; repeatable
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the file is not such an export, an image is a web address, is there twice or leaves the
        folder, there are no choices of a name, or an image or a region cannot be used; nothing is
        written.

    Warns
    -----
    FairvisionWarning
        Answers differ, tasks are left out, or several people annotated an image.

    Examples
    --------
    >>> import json, tempfile, warnings
    >>> from PIL import Image
    >>> shape = {"x": 10, "y": 20, "width": 50, "height": 60, "rectanglelabels": ["person"]}
    >>> size = {"original_width": 8, "original_height": 6}
    >>> tasks = []
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name, group in (("0.png", "female"), ("1.png", "male")):
    ...         Image.new("RGB", (8, 6)).save(f"{place}/{name}")
    ...         drawn = {"id": "a", "type": "rectanglelabels", "value": shape, **size}
    ...         told = {"id": "b", "type": "choices", "from_name": "gender"}
    ...         result = [drawn, {**told, "value": {"choices": [group]}}]
    ...         data = {"image": f"/data/upload/1/{name}"}
    ...         tasks.append({"data": data, "annotations": [{"result": result}]})
    ...     _ = Path(place, "export.json").write_text(json.dumps(tasks))
    ...     with warnings.catch_warnings(action="ignore"):
    ...         people = from_labelstudio(
    ...             f"{place}/export.json", f"{place}/out", attributes=["gender"]
    ...         )
    >>> people.samples[["id", "gender"]].values.tolist(), people.has_masks
    ([['0', 'female'], ['1', 'male']], True)
    """
    path, roles = Path(source), Roles.of(attributes, tasks, many)
    given = _read(path)
    key = image_key(path, [task["data"] for task in given], image)
    listed = [_image(path, task, key, person) for task in given]
    _add_fields(listed, given, roles)
    _add_objects(path, listed, person, importing.get("skip_broken", False))
    root = path.parent if images is None else Path(images)
    sources = _sources(path, listed, root, person)
    ids = stems([served(one.name) for one in listed])
    rows, roles = annotated_rows(
        path, listed, roles, [OBJECTS], ids, _splits(listed, given, split), sources
    )
    return import_rows(
        rows,
        roles,
        folder,
        source=f"imported from {path.name} of Label Studio",
        unknown=unknown,
        **importing,
    )


@dataclass(frozen=True)
class _Image(Annotated):
    """An image of the file.

    Attributes
    ----------
    regions : of the annotation that counts
    """

    regions: list[Region] = field(default_factory=list)


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of a file that have annotations, checked as far as their lists go."""
    given = read_json(path)
    if not isinstance(given, list) or not all(isinstance(task, dict) for task in given):
        raise InputError(f"{path} is not of Label Studio: it is no list of tasks")
    if not given:
        raise InputError(f"{path} lists no tasks")
    for number, task in enumerate(given, 1):
        if "annotations" not in task or not isinstance(task.get("data"), dict):
            other = "JSON-MIN" if "annotation_id" in task or "annotator" in task else "another form"
            raise InputError(
                f"{path}: task {number} has no data and annotations, as {other} has none: export "
                "it as JSON"
            )
        annotations = task["annotations"]
        if not isinstance(annotations, list) or not all(
            isinstance(one, dict) and isinstance(one.get("result", []), list) for one in annotations
        ):
            raise InputError(f"{path}: the annotations of task {number} are no list of results")
    kept = [task for task in given if _finished(task)]
    if not kept:
        raise InputError(f"{path}: none of its {len(given)} tasks is annotated")
    if len(kept) < len(given):
        warn(f"{path}: {len(given) - len(kept)} tasks without annotations are left out")
    if several := sum(len(_finished(task)) > 1 for task in kept):
        warn(
            f"{path}: {several} tasks have several annotations: their regions are those of the "
            "first, or of the ground truth"
        )
    return kept


def _finished(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of a task that were not cancelled, the ground truth first."""
    kept = [one for one in task["annotations"] if not one.get("was_cancelled")]
    return sorted(kept, key=lambda one: not one.get("ground_truth"))


def _image(path: Path, task: dict[str, Any], key: str, person: str) -> _Image:
    """Return the image of a task: its regions, and the choices of all annotators."""
    name, where = task["data"].get(key), f"{path} task {shown(task.get('id'))}"
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: its {key!r} is {shown(name)}, not a path")
    image = _Image(where, name)
    for number, annotation in enumerate(_finished(task)):
        regions = regions_of(where, annotation.get("result", []))
        if number == 0:
            image.regions.extend(region for region in regions if region.shape)
        for region in regions:
            if not region.shape or person in region.labels:
                for choices, values in region.choices.items():
                    image.answer(choices, values)
    return image


def _add_fields(listed: Sequence[_Image], given: Sequence[dict[str, Any]], roles: Roles) -> None:
    """Add the fields of the data that are wanted, and are not the names of choices."""
    choices = {name for image in listed for name in image.answers}
    for name in set(roles.columns) - choices:
        for image, task in zip(listed, given):
            value = task["data"].get(name)
            if value is not None:
                values = value if isinstance(value, list) else [value]
                image.answer(name, map(str, values))


def _add_objects(path: Path, listed: Sequence[_Image], person: str, skip_broken: bool) -> None:
    """Add the labels and boxes of regions that are not of people; tell what is not usable."""
    flat: list[str] = []
    broken: list[str] = []
    for image in listed:
        for region in image.regions:
            if person in region.labels:
                flat += [region.place] * (region.shape == "other")
                continue
            try:
                for label in region.labels:
                    image.label(OBJECTS, label)
                    image.boxes.extend(box_of_region(region, label))
            except InputError as error:
                if not skip_broken:
                    raise
                broken.append(str(error))
    if flat:
        warn(
            f"{path}: {len(flat)} people are points or lines, which cover nothing: "
            + first_few(flat, path)
        )
    if broken:
        warn(f"left out: {len(broken)} boxes of objects of {path}: {first_few(broken, path)}")
    if not any(person in region.labels for image in listed for region in image.regions):
        warn(f"{path} has no regions of {person!r}: the pictures get no masks (--person LABEL)")


def _sources(path: Path, listed: Sequence[_Image], root: Path, person: str) -> list[Source]:
    """Return the files of the images; `InputError` where two tasks have one."""
    sources: list[Source] = []
    places: dict[Path, str] = {}
    for image in listed:
        people = [
            region
            for region in image.regions
            if person in region.labels and region.shape != "other"
        ]
        file = locate_image(root, image.name, image.place)
        if file in places:
            raise InputError(f"{places[file]} and {image.place} are of one picture, {file}")
        places[file] = image.place
        sources.append(Source(image.place, file, partial(draw_regions, people) if people else None))
    return sources


def _splits(
    listed: Sequence[_Image], given: Sequence[dict[str, Any]], field_name: str | None
) -> list[str] | None:
    """Return the split of each image, which a field of the data says; None where none does."""
    name = field_name or _SPLIT
    texts = [str(task["data"].get(name, "")) for task in given]
    if field_name is None and not all(texts):
        return None
    splits = []
    for image, text in zip(listed, texts):
        if text.lower() not in SPLIT_NAMES:
            raise InputError(
                f"{image.place}: its {shown(name)} is {shown(text)}, not train, val or test"
            )
        splits.append(SPLIT_NAMES[text.lower()])
    return splits
