"""Images for the report: where captioners disagree about the person, and what each says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairvision.captioning.labels import Labels, identity
from fairvision.captioning.measures import ModelCaptions
from fairvision.datasets.images import Doubts, read_image
from fairvision.errors import InputError
from fairvision.metrics.caption_words import APOSTROPHES, OTHER, plain_text
from fairvision.results.gallery import Caption, CaptionedImage

ASKED = "asked for"
MOST = 2000  # images in the list of all
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_WORD = re.compile(rf"[a-z0-9'{APOSTROPHES}]+", re.IGNORECASE | re.ASCII)


def choose(
    models: Sequence[ModelCaptions],
    truth: Labels,
    *,
    files: Mapping[str, Path] | None = None,
    per_cell: int = 2,
    seed: int = 0,
) -> Iterator[tuple[str, int]]:
    """Choose rows to show, spread over cells: what the models made of an image × its group.

    In each cell those rows come first that have an image, and among them those on which most
    models differ from the first, in an order drawn from `seed`: the same input gives the same rows.
    They show what can happen, and are no random sample.

    Parameters
    ----------
    models : of the same images; the others are held against the first
    truth : labels of these
    files : the images that there are, by id
    per_cell : largest number of images in each

    Yields
    ------
    (kind, row). Images of unknown group are in no cell.
    """
    outcomes = np.array([model.outcomes(truth) for model in models])
    first, others = outcomes[0], outcomes[1:]
    differ = (others != first).sum(axis=0)
    if len(models) == 1:
        kinds = {
            "wrong": first == "incorrect",
            "names several groups or none": first == OTHER,
            "right": first == "correct",
        }
    else:
        name = models[0].model
        other = models[1].model if len(models) == 2 else "another"
        righted = (first == "incorrect") & (others == "correct").any(axis=0)
        wronged = (first == "correct") & (others == "incorrect").any(axis=0)
        kinds = {
            f"wrong by {name}, right by {other}": righted,
            f"right by {name}, wrong by {other}": wronged,
            "left open by one of them": (differ > 0) & ~righted & ~wronged,
        }
    drawn = np.random.default_rng(seed).permutation(len(truth))
    imaged = truth.rows["id"].isin(list(files or {})).to_numpy()
    order = drawn[np.lexsort((-differ[drawn], ~imaged[drawn]))]
    group = truth.rows["group"].to_numpy()
    for kind, member in kinds.items():
        for name in truth.groups:
            rows = order[(member & (group == name))[order]]
            for row in rows[:per_cell]:
                yield kind, int(row)


def items(
    models: Sequence[ModelCaptions],
    truth: Labels,
    chosen: Iterable[tuple[str, int]],
    words: Mapping[str, frozenset[str]],
    files: Mapping[str, Path] | None = None,
) -> list[CaptionedImage]:
    """Return what the report shows of the chosen rows, with a caption of each model."""
    outcomes = [model.outcomes(truth) for model in models]
    rows = truth.rows
    return [
        CaptionedImage(
            kind,
            rows["id"][row],
            rows["group"][row],
            tuple(
                Caption((model.model,), outcome[row], tuple(parts(model.captions[row], words)))
                for model, outcome in zip(models, outcomes)
            ),
            tuple(rows["objects"][row] or ()),
            _pixels((files or {}).get(rows["id"][row])),
        )
        for kind, row in chosen
    ]


def _pixels(file: Path | None) -> npt.NDArray[np.uint8] | None:
    """Return the pixels (height, width, 3) of an image file, and None without a file."""
    return None if file is None else np.asarray(read_image(file, doubts=Doubts()))


def listing(
    models: Sequence[ModelCaptions],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    most: int = MOST,
) -> tuple[int, list[CaptionedImage]]:
    """Return the images on which one model is right and another wrong.

    Returns
    -------
    how many these are, and the first `most` of them in the order of the labels, each with its
    different captions
    """
    outcomes = np.array([model.outcomes(truth) for model in models])
    opposed = (outcomes == "correct").any(axis=0) & (outcomes == "incorrect").any(axis=0)
    images = []
    for row in np.flatnonzero(opposed)[:most]:
        by_caption: dict[str, list[int]] = {}
        for place, model in enumerate(models):
            by_caption.setdefault(model.captions[row], []).append(place)
        captions = tuple(
            Caption(
                tuple(models[place].model for place in places),
                outcomes[places[0], row],
                tuple(parts(caption, words)),
            )
            for caption, places in by_caption.items()
        )
        images.append(CaptionedImage("", truth.rows["id"][row], truth.rows["group"][row], captions))
    return int(opposed.sum()), images


def parts(caption: str, words: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """Cut a caption at the words that name a group.

    >>> list(parts("A man's dog, a woman.", {"woman": frozenset(["woman"])}))
    [("A man's dog, a ", ''), ('woman', 'woman'), ('.', '')]
    """
    group_of = {word: group for group, of_group in words.items() for word in of_group}
    done = 0
    for match in _WORD.finditer(caption):
        group = group_of.get(plain_text(match[0]))
        if group is not None:
            if match.start() > done:
                yield caption[done : match.start()], ""
            yield match.group(), group
            done = match.end()
    if done < len(caption):
        yield caption[done:], ""


def rows_of(
    asked: Sequence[str], truth: Labels, captions: Mapping[str, Mapping[str, str]]
) -> Labels:
    """Return labels of the images that were asked for, in this order; empty where unknown.

    Raises
    ------
    InputError
        A model has no caption of one of them.
    """
    ids = [identity(one) or "" for one in asked]
    for image in ids:
        for model, of_model in captions.items():
            if image not in of_model:
                raise InputError(f"--show {image}: {model} has no caption of this picture")
    return truth.of(ids)


def find_images(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Return the file of each image that is there.

    A file belongs to an id that its name is or ends with, as `80714.jpg`, `000000080714.jpg` and
    `COCO_val2014_000000080714.jpg` do.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of pictures")
    wanted, files = set(ids), dict[str, Path]()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            for name in (path.stem, path.stem.rpartition("_")[2]):
                image = identity(name)
                if image in wanted:
                    files.setdefault(image, path)
                    break
    return files
