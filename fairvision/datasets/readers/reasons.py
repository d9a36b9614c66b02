"""Drawn scenes in which it is known what makes an image belong to its group.

After Kim, Plumb & Talwalkar, "Sanity Simulations for Saliency Methods", ICML 2021 (SMERF): the data
leave a network one way to be right, so what its answers should rest on is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fairvision.datasets import captions
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.readers.importing import random_splits
from fairvision.datasets.readers.scene_captions import caption_scene, of_group
from fairvision.datasets.readers.scene_drawing import CONTEXTS, PATTERNS
from fairvision.datasets.readers.scene_extras import HATS, MARKS, THINGS
from fairvision.datasets.readers.scenes import (
    CONTEXTS_PER_GROUP,
    Drawing,
    check_numbers,
    deal,
    draw_parts,
    save_drawings,
    shuffled,
)
from fairvision.errors import InputError
from fairvision.schema import Task

CAUSES = ("person", "surroundings", "either", "both", "object", "watermark", "mixture")
"""What may decide an image's group; see `reasons`."""

GROUPS = ("first", "second", "third", "fourth", "fifth", "sixth")
DECIDERS = ("person", "surroundings")
_HAT = next(iter(HATS))  # of whoever decides in a mixture
_STANDARD_SHARE = 0.5


def reasons(
    folder: str | Path,
    *,
    cause: str,
    count: int = 3000,
    groups: int = 2,
    share: float | None = None,
    seed: int = 0,
    size: int = 64,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Draw a dataset in which the cause of each image's group is known.

    Images are those of `scenes`: a person with a patterned shirt in a place; each shirt, and each
    pair of places, stands for a group. What an image shows is in its row, as tasks: `shirt`,
    `context` (the place) and, by the cause, `object`, `watermark` or `decider`. The attribute
    `group` follows from them by `caused_group`, always and in every split. Five captions name the
    place, four of them the group, too:

    - person: the group of the shirt; the place is independent of it
    - surroundings: the group of the place; the shirt is independent
    - either: that of the shirt, which is that of the place too; a network may use either
    - both: only both together tell it. That of the shirt where the place is of the same group, and
      else the first group
    - object: that of an object in an upper corner; shirt and place are independent
    - watermark: that of a mark in the lower left corner; shirt and place are independent
    - mixture: `share` of the images are decided by the person, who then wears a hat: the group of
      the shirt. The others are decided by the place. What does not decide is independent.

    Parameters
    ----------
    folder : where to write the dataset folder
    cause : one of `CAUSES`
    count : number of images, spread evenly over the groups in every split
    groups : number of groups, 2 to 6
    share : of a mixture, the share of each group's images, in every split, that the person decides;
        by default 0.5
    seed : of all chance; the same arguments give the same files, byte for byte
    size : width and height in pixels, 16 to 1024
    val_fraction, test_fraction : shares of the images for the splits `val` and `test`
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset
        With exact 1-bit masks, of which no pixel mixes person and surroundings. Its regions are
        the objects of the places and, by the cause, the `object` or `watermark`. What an image
        would show with something else in it, `redraw` draws. To learn the group alone, name it:
        `fairvision train DIR --attribute group`.

    Raises
    ------
    InputError
        If an argument is out of range or the folder may not be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = reasons(f"{folder}/drawn", cause="surroundings", count=40, size=16)
    >>> drawn.attributes
    {'group': ('first', 'second')}
    >>> for group, places in drawn.samples.groupby("group")["context"]:
    ...     print(group, sorted(set(places)))
    first ['desk', 'kitchen']
    second ['beach', 'slope']
    """
    if cause not in CAUSES:
        raise InputError(f"there is no cause {cause!r}: choose one of {', '.join(CAUSES)}")
    if share is not None and cause != "mixture":
        raise InputError(f"only a mixture has a share, and the cause is {cause}: leave it out")
    share = _STANDARD_SHARE if share is None else share
    if not 0 <= share <= 1:
        raise InputError(f"share {share:g} is not a share: choose 0 to 1")
    check_numbers(count, groups, size)
    factors = _factors(cause, groups)
    samples = _plan(cause, count, groups, share, seed, (val_fraction, test_fraction))
    detail = f", share {share:g}" if cause == "mixture" else ""
    planned = Dataset(
        root=Path(folder),
        name="reasons",
        attributes={"group": GROUPS[:groups]},
        tasks={factor: Task(values) for factor, values in factors.items()},
        samples=samples,
        source=f"drawn by fairvision: cause {cause}{detail}, {groups} groups, seed {seed}",
        licence="CC0 1.0",
        size=(size, size),
    )

    def draw(row: Mapping[str, Any]) -> Drawing:
        return _draw(row, size)

    return save_drawings(planned, draw, overwrite=overwrite, quiet=quiet)


def caused_group(cause: str, scene: Mapping[str, Any]) -> str | None:
    """Return the group of an image by what it shows, in a world of this cause.

    Parameters
    ----------
    cause : one of `CAUSES`
    scene : such as a row of the dataset's samples: `shirt`, `context` and, by the cause, `object`,
        `watermark` or `decider`

    Returns
    -------
    one of `GROUPS`; None where shirt and place are of two groups and either should be enough

    Examples
    --------
    >>> caused_group("person", {"shirt": "dotted", "context": "desk"})
    'second'
    >>> caused_group("both", {"shirt": "dotted", "context": "desk"})
    'first'
    """
    shirt = list(PATTERNS).index(scene["shirt"])
    place = list(CONTEXTS).index(scene["context"]) // CONTEXTS_PER_GROUP
    if cause == "object":
        return GROUPS[list(THINGS).index(scene["object"])]
    if cause == "watermark":
        return GROUPS[list(MARKS).index(scene["watermark"])]
    if cause == "mixture":
        cause = scene["decider"]
    if cause == "either":
        return GROUPS[shirt] if shirt == place else None
    if cause == "both":
        return GROUPS[shirt if shirt == place else 0]
    return GROUPS[{"person": shirt, "surroundings": place}[cause]]


def redraw(scene: Mapping[str, Any], size: int, **changed: str) -> tuple[Image.Image, Image.Image]:
    """Draw an image of such a dataset again, with something else in it: an exact counterfactual.

    Parameters
    ----------
    scene : its row of the dataset's samples
    size : width and height in pixels
    **changed : what it shall show instead: `shirt`, `context`, `object`, `watermark`, `decider`

    Returns
    -------
    the image and its mask, as `draw_scene` does: all pixels that do not show what was changed are
    as they were, and without a change all are

    Raises
    ------
    InputError
        If a scene has no such part, or it cannot be that.

    Examples
    --------
    >>> import tempfile
    >>> from fairvision.datasets import read_image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = reasons(f"{folder}/drawn", cause="person", count=12, size=16)
    ...     image = read_image(drawn.root / drawn.samples["image"][0])
    >>> row = drawn.samples.to_dict("records")[0]
    >>> redraw(row, 16)[0] == image, redraw(row, 16, context="camp")[0] == image
    (True, False)
    """
    for part, value in changed.items():
        values = _VALUES.get(part, ()) if part in scene else ()
        if value not in values:
            raise InputError(
                f"{part} {value!r} cannot be drawn here: choose {', '.join(values)}"
                if values
                else f"the scene has no {part!r} that could be changed"
            )
    image, mask, _ = _draw({**scene, **changed}, size)
    return image, mask


_VALUES = {
    "shirt": tuple(PATTERNS),
    "context": tuple(CONTEXTS),
    "object": tuple(THINGS),
    "watermark": tuple(MARKS),
    "decider": DECIDERS,
}


def _draw(scene: Mapping[str, Any], size: int) -> Drawing:
    """Draw what a row says; its id is the seed of all else."""
    return draw_parts(
        scene["shirt"],
        scene["context"],
        size,
        scene["id"],
        thing=scene.get("object", ""),
        mark=scene.get("watermark", ""),
        hat=_HAT if scene.get("decider") == "person" else "",
    )


def _factors(cause: str, groups: int) -> dict[str, tuple[str, ...]]:
    """Return what differs between the images of a world, and what each may be."""
    numbers = {"context": groups * CONTEXTS_PER_GROUP, "decider": len(DECIDERS)}
    extra = {"object": ["object"], "watermark": ["watermark"], "mixture": ["decider"]}
    names = ["shirt", "context", *extra.get(cause, [])]
    return {name: _VALUES[name][: numbers.get(name, groups)] for name in names}


def _plan(
    cause: str,
    count: int,
    groups: int,
    share: float,
    seed: int,
    fractions: tuple[float, float],
) -> pd.DataFrame:
    """Decide split, group and contents of every image.

    Within each split and group, all that may be together is there equally often, up to one.
    """
    random = np.random.default_rng(seed)
    parts = []
    for g, group in enumerate(GROUPS[:groups]):
        n = len(range(g, count, groups))
        splits = random_splits(n, *fractions, random)
        allowed = [s for s in _scenes(cause, groups) if caused_group(cause, s) == group]
        for split in SPLITS:
            size = int((splits == split).sum())
            if cause == "mixture":
                by_person = int(share * size + random.random())
                decided = [
                    deal([s for s in allowed if s["decider"] == decider], number, random)
                    for decider, number in zip(DECIDERS, (by_person, size - by_person))
                ]
                chosen = [scene for scenes in decided for scene in scenes]
            else:
                chosen = deal(allowed, size, random)
            parts.append(pd.DataFrame(chosen).assign(split=split, group=group))
    plan = shuffled(parts, random)
    plan["id"] = f"{seed}-" + plan["id"]
    rows: list[Any] = plan.to_dict("records")
    plan[captions.COLUMN] = captions.as_series(map(_captions, rows))
    return plan


def _captions(scene: Mapping[str, Any]) -> list[str]:
    """Return captions of what a row says."""
    return caption_scene(
        of_group(scene["group"]),
        scene["context"],
        scene["id"],
        wearing="a hat" if scene.get("decider") == "person" else "",
        things=[f"a {scene['object']}"] if "object" in scene else [],
    )


def _scenes(cause: str, groups: int) -> Iterator[dict[str, str]]:
    """Yield all that an image of a world may show."""
    factors = _factors(cause, groups)
    for values in product(*factors.values()):
        yield dict(zip(factors, values))
