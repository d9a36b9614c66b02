"""Drawn scenes: people whose shirts tell their group, in places tied to it by a stated bias."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track

from fairvision.core.files import whole_folder
from fairvision.datasets import captions
from fairvision.datasets.counterfactuals import CHANGED, ORIGINAL
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.folder import load, save
from fairvision.datasets.readers.importing import random_splits
from fairvision.datasets.readers.scene_captions import PEOPLE, Person, caption_scene, in_shirt
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS, Box, Canvas, draw_person
from fairvision.datasets.readers.scene_extras import draw_hat, draw_mark, draw_thing
from fairvision.datasets.regions import SIDES, save_regions
from fairvision.errors import InputError
from fairvision.schema import Task

Drawing = tuple[Image.Image, Image.Image, dict[str, list[Box]]]
"""An image, its mask, and boxes of the objects in it: by the task of which their label is one."""
T = TypeVar("T")

MAX_GROUPS = len(PATTERNS)
CONTEXTS_PER_GROUP = len(CONTEXTS) // MAX_GROUPS
_SMOOTHING = 3
_MOST = 100_000_000  # images


def scenes(
    folder: str | Path,
    *,
    count: int,
    bias: float,
    groups: int = 2,
    seed: int = 0,
    size: int = 64,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    counterfactuals: bool = False,
    gender: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Draw a dataset in which the strength of the bias, and where the truth lies, are known.

    An image shows one person in a place. The attribute `shirt` is the pattern of the person's
    shirt; nothing else about the person (place, size, pose, hair, colours, mask) depends on it.
    The task `context` is the place, with two places per group. So the group can be learnt from
    the person alone, and with a bias more easily from the place. Five captions say who is where, in
    several wordings; four of them name the group (see `scene_captions`).

    Parameters
    ----------
    folder : where to write the dataset folder
    count : number of images, spread evenly over the groups in every split
    bias : share of each group's images, in every split, that show a place typical of the group;
        the others show a place typical of another group. `1 / groups` makes shirt and place
        independent, 1 ties them together, 0 keeps them apart.
    groups : number of groups, 2 to 6
    seed : of all chance; the same arguments give the same files, byte for byte
    size : width and height in pixels, 16 to 1024
    val_fraction, test_fraction : shares of the images for the splits `val` and `test`
    counterfactuals : draw each test image again: the same person in every further place of the
        other groups (`changed` is `context`), and the same place with every other shirt (`changed`
        is `shirt`). With two groups that is 3 images, or 2 where the place was one of the other
        group. All other images are the same as without. Captions say what each image shows.
    gender : call the two groups female and male, and the attribute `gender`: who wears stripes is
        a woman, and who wears dots a man. The images are the same.
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset
        With exact 1-bit masks: no pixel mixes the colours of person and place. Its regions are the
        large objects of each place, labelled with the place.

    Raises
    ------
    InputError
        If an argument is out of range or the folder may not be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = scenes(f"{folder}/drawn", count=40, bias=0.75)
    >>> drawn.attributes
    {'shirt': ('striped', 'dotted')}
    >>> drawn.tasks["context"].labels
    ('desk', 'kitchen', 'beach', 'slope')
    >>> np.bincount(drawn.split("test").codes("shirt"))
    array([4, 4])
    """
    check_numbers(count, groups, size)
    if not 0 <= bias <= 1:
        raise InputError(
            f"bias {bias:g} is not a share: choose 0 to 1; {1 / groups:.2g} means independent"
        )
    if gender and groups != len(PEOPLE):
        raise InputError(f"gender has {len(PEOPLE)} groups here, not {groups}")
    random = np.random.default_rng(seed)
    shirts = list(PATTERNS)[:groups]
    places = list(CONTEXTS)[: groups * CONTEXTS_PER_GROUP]
    samples = _plan(count, bias, shirts, places, (val_fraction, test_fraction), random)
    if counterfactuals:
        samples = _with_counterfactuals(samples, shirts, places)
    people = list(PEOPLE.values()) if gender else [in_shirt(shirt) for shirt in shirts]
    samples[captions.COLUMN] = _captions(samples, dict(zip(shirts, people)), seed)
    attribute, named = "shirt", dict(zip(shirts, shirts))
    if gender:
        attribute, named = "gender", dict(zip(shirts, PEOPLE))
        samples[attribute] = samples.pop("shirt").map(named)
        if counterfactuals:
            samples[CHANGED] = samples[CHANGED].replace("shirt", attribute)
    worn = {group: shirt for shirt, group in named.items()}
    drawn = Dataset(
        root=Path(folder),
        name="scenes",
        attributes={attribute: tuple(worn)},
        tasks={"context": Task(tuple(places))},
        samples=samples,
        source=f"drawn by fairvision: bias {bias:g}, {groups} groups, seed {seed}",
        licence="CC0 1.0",
        size=(size, size),
    )

    def draw(row: Mapping[str, Any]) -> Drawing:
        source = row["id"] if pd.isna(row.get(ORIGINAL)) else row[ORIGINAL]
        return draw_parts(worn[row[attribute]], row["context"], size, f"{seed}/{source}")

    return save_drawings(drawn, draw, overwrite=overwrite, quiet=quiet)


def save_drawings(
    planned: Dataset,
    draw: Callable[[Mapping[str, Any]], Drawing],
    *,
    overwrite: bool,
    quiet: bool,
) -> Dataset:
    """Draw every image of a dataset that is not there yet, and write its folder, `planned.root`.

    Boxes of objects are labelled with what the image's row says of their task.
    """
    rows: list[Any] = planned.samples.to_dict("records")
    things: list[tuple[Any, ...]] = []
    with whole_folder(planned.root, marker="dataset.json", overwrite=overwrite) as part:
        (part / "images").mkdir()
        (part / "masks").mkdir()
        for row in track(rows, "drawing pictures", transient=True, disable=quiet):
            image, mask, objects = draw(row)
            image.save(part / row["image"])
            mask.save(part / row["mask"])
            for task, boxes in objects.items():
                things += [(row["id"], task, row[task], *box) for box in boxes]
        drawn = replace(planned, root=part)
        save(drawn, part)
        save_regions(pd.DataFrame(things, columns=["id", "task", "label", *SIDES]), drawn)
    return load(planned.root)


def draw_scene(
    shirt: str,
    context: str,
    size: int,
    seed: str,
    *,
    thing: str = "",
    mark: str = "",
    hat: str = "",
) -> tuple[Image.Image, Image.Image]:
    """Draw one image and its mask.

    Images of one seed differ in what these arguments name, and in nothing else: another place has
    the same person, another shirt the same pixels everywhere else. No pixel mixes person and
    surroundings.

    Parameters
    ----------
    shirt : pattern of the shirt, one of `scene_drawing.PATTERNS`
    context : the place, one of `scene_drawing.CONTEXTS`
    size : width and height in pixels
    seed : of all else: of the person, of how the place looks, of where the object is
    thing : an object in the place, at an upper corner, one of `scene_extras.THINGS`; "" is none
    mark : a mark in the lower left corner, one of `scene_extras.MARKS`; "" is none
    hat : what the person wears, one of `scene_extras.HATS`; "" is none

    Returns
    -------
    the image (RGB) and the pixels of the person (1 bit)

    Examples
    --------
    >>> image, mask = draw_scene("dotted", "beach", 32, "a")
    >>> elsewhere, same_mask = draw_scene("dotted", "camp", 32, "a")
    >>> np.array_equal(np.asarray(image)[np.asarray(mask)], np.asarray(elsewhere)[np.asarray(mask)])
    True
    """
    image, mask, _ = draw_parts(shirt, context, size, seed, thing=thing, mark=mark, hat=hat)
    return image, mask


def draw_parts(
    shirt: str,
    context: str,
    size: int,
    seed: str,
    *,
    thing: str = "",
    mark: str = "",
    hat: str = "",
) -> Drawing:
    """Draw what `draw_scene` does, and return the boxes of `context`, `object`, `watermark` too."""
    side = size * _SMOOTHING
    place, place_random = Image.new("RGB", (side, side)), Random(f"{seed}/place")
    canvas = Canvas(place)
    CONTEXTS[context](canvas, place_random)
    boxes = canvas.things
    if place_random.random() < 0.5:
        place = place.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        boxes = [(1 - right, top, 1 - left, bottom) for left, top, right, bottom in boxes]
    objects = {"context": boxes}
    canvas = Canvas(place)
    if thing:
        draw_thing(canvas, thing, Random(f"{seed}/thing"))
        objects["object"] = [canvas.things.pop()]
    if mark:
        draw_mark(canvas, mark)
        objects["watermark"] = [canvas.things.pop()]
    person = Image.new("RGBA", (side, side))
    head = draw_person(Canvas(person), shirt, Random(f"{seed}/person"))
    if hat:
        draw_hat(Canvas(person), hat, *head)
    person = person.convert("RGBa").reduce(_SMOOTHING).convert("RGBA")
    mask = person.getchannel("A").point(lambda share: 255 * (share >= 128)).convert("1")
    image = place.reduce(_SMOOTHING)
    image.paste(person.convert("RGB"), mask=mask)
    return image, mask, objects


def check_numbers(count: int, groups: int, size: int) -> None:
    """Raise `InputError` if scenes of these numbers, groups or size cannot be drawn."""
    if not 2 <= groups <= MAX_GROUPS:
        raise InputError(f"{groups} groups cannot be drawn: choose 2 to {MAX_GROUPS}")
    if count < 3 * groups:
        raise InputError(
            f"{count} pictures are too few for {groups} groups in three splits: "
            f"draw at least {3 * groups}"
        )
    if count > _MOST:
        raise InputError(f"{count} pictures are too many: draw at most {_MOST:,}")
    if not 16 <= size <= 1024:
        raise InputError(f"pictures of {size} pixels cannot be drawn: choose 16 to 1024")


def _plan(
    count: int,
    bias: float,
    shirts: list[str],
    places: list[str],
    fractions: tuple[float, float],
    random: np.random.Generator,
) -> pd.DataFrame:
    """Decide split, shirt and context of every image."""
    parts = []
    for g, shirt in enumerate(shirts):
        n = len(range(g, count, len(shirts)))
        part = pd.DataFrame({"split": random_splits(n, *fractions, random), "shirt": shirt})
        typical = places[g * CONTEXTS_PER_GROUP : (g + 1) * CONTEXTS_PER_GROUP]
        others = [place for place in places if place not in typical]
        for split in SPLITS:
            rows = np.flatnonzero(part["split"] == split)
            agree = int(bias * len(rows) + random.random())
            chosen = [*deal(typical, agree, random), *deal(others, len(rows) - agree, random)]
            part.loc[rows, "context"] = random.permutation(np.array(chosen, object))
        parts.append(part)
    return shuffled(parts, random)


def shuffled(parts: Sequence[pd.DataFrame], random: np.random.Generator) -> pd.DataFrame:
    """Return planned rows in random order, with `id` and the paths of `image` and `mask`."""
    plan = pd.concat(parts)
    plan = plan.iloc[random.permutation(len(plan))].reset_index(drop=True)
    plan.insert(0, "id", [f"{i:06d}" for i in range(len(plan))])
    plan.insert(1, "image", "images/" + plan["id"] + ".png")
    plan.insert(2, "mask", "masks/" + plan["id"] + ".png")
    return plan


def _with_counterfactuals(
    samples: pd.DataFrame, shirts: list[str], places: list[str]
) -> pd.DataFrame:
    """Add a row for each place of other groups, and for each other shirt, of each test image."""
    made, tested = [], samples[samples["split"] == "test"]
    if tested.empty:
        raise InputError("counterfactuals are drawn of test images: test_fraction leaves none")
    for row in tested.to_dict("records"):
        first = shirts.index(row["shirt"]) * CONTEXTS_PER_GROUP
        typical = places[first : first + CONTEXTS_PER_GROUP]
        changes = [
            ("context", place) for place in places if place not in {*typical, row["context"]}
        ]
        changes += [("shirt", shirt) for shirt in shirts if shirt != row["shirt"]]
        for head, value in changes:
            name = f"{row['id']}-{value}"
            files = {"image": f"images/{name}.png", "mask": f"masks/{name}.png"}
            about = {"id": name, ORIGINAL: row["id"], CHANGED: head, head: value, **files}
            made.append({**{str(column): cell for column, cell in row.items()}, **about})
    return pd.concat([samples, pd.DataFrame(made)], ignore_index=True)


def _captions(samples: pd.DataFrame, people: Mapping[str, Person], seed: int) -> pd.Series:
    """Return captions of planned rows, in which a counterfactual has the words of its original."""
    sources = samples["id"]
    if ORIGINAL in samples:
        sources = samples[ORIGINAL].where(samples[ORIGINAL].notna(), sources)
    rows = zip(samples["shirt"], samples["context"], sources)
    return captions.as_series(
        caption_scene(people[shirt], place, f"{seed}/{source}") for shirt, place, source in rows
    )


def deal(values: Sequence[T], n: int, random: np.random.Generator) -> list[T]:
    """Return `n` of the values, each as often as the others up to one."""
    order = random.permutation(len(values))
    return [values[order[i % len(values)]] for i in range(n)]
