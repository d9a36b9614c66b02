"""What captions are measured on, brought to the same images, with the objects that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.captioning.image_files import find_images, rows_of
from fairvision.captioning.labels import (
    Labels,
    errors_about,
    read_captions,
    read_human,
    read_reference,
)
from fairvision.captioning.measures import ModelCaptions
from fairvision.core.word_files import read_words
from fairvision.errors import InputError, shown
from fairvision.metrics.caption_tokens import longest_of, phrases_in, words_and_letters
from fairvision.metrics.caption_words import words_for
from fairvision.results.words import shares
from fairvision.schema import UNKNOWN

IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "sheep": "sheep",
    "tooth": "teeth",
    "woman": "women",
}


def plural(name: str) -> str:
    """Return the plural of an English noun; of several words, that of the last.

    >>> [plural(name) for name in ("wine glass", "knife", "baby", "toy", "mouse", "laptop")]
    ['wine glasses', 'knives', 'babies', 'toys', 'mice', 'laptops']
    """
    before, space, last = name.rpartition(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        last = last[:-1] + "ies"
    elif last.endswith("fe"):
        last = last[:-2] + "ves"
    else:
        last += "s"
    return before + space + last


def named_objects(
    captions: Iterable[str],
    labels: Sequence[str],
    words: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Return which labels each caption names.

    Parameters
    ----------
    captions : n texts
    labels : names of the objects
    words : further words or phrases of some labels

    Returns
    -------
    (n, labels) 0 and 1. At each place of a caption the longest phrase counts and nothing within it:
    a hot dog is no dog.

    Raises
    ------
    InputError
        `words` are of something that is no label, hold an empty phrase, or one of two labels.

    >>> named_objects(["two hot dogs by a TV"], ["dog", "hot dog", "tv"]).to_dict("records")
    [{'dog': 0, 'hot dog': 1, 'tv': 1}]
    """
    phrases = _phrases(labels, words or {})
    longest = longest_of(phrases)
    texts = list(captions)
    held = np.zeros((len(texts), len(labels)), np.int8)
    by_text: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        if text not in by_text:
            spoken = words_and_letters(text)
            places = phrases_in(spoken, phrases, longest)
            by_text[text] = [phrases[tuple(spoken[place])] for place in places]
        held[row, by_text[text]] = 1
    return pd.DataFrame(held, columns=list(labels))


def _phrases(
    labels: Sequence[str], words: Mapping[str, Sequence[str]]
) -> dict[tuple[str, ...], int]:
    """Return the label, a place in `labels`, of each phrase; own names go before plurals."""
    for label in words:
        if label not in labels:
            raise InputError(f"{label!r} is none of the objects: {', '.join(labels)}")
    phrases: dict[tuple[str, ...], int] = {}
    for form in (plural, str):
        for place, label in enumerate(labels):
            if words_and_letters(label):
                phrases[tuple(words_and_letters(form(label)))] = place
    for label, more in words.items():
        place = labels.index(label)
        for text in more:
            phrase = tuple(words_and_letters(text))
            if not phrase:
                raise InputError(f"{label!r} has a phrase without words: {text!r}")
            if phrases.setdefault(phrase, place) != place:
                raise InputError(f"{text!r} stands for {labels[phrases[phrase]]!r} and {label!r}")
    return phrases


@dataclass(frozen=True)
class Material:
    """What an audit of captions works on.

    Attributes
    ----------
    models : captions of the n audited images, per model
    truth : labels of these
    words : the words of each group
    hidden : what LIC masks, where not the published words
    reference : labels of the training split, or None
    human : (n,) what people wrote of each image, None where nothing; or None
    asked : captions and labels of the images that are to be shown
    images : files of images, by id
    counts : captions in the file of each model
    masks : files of masks of the person, by id
    notes : what was left out in bringing them together
    """

    models: list[ModelCaptions]
    truth: Labels
    words: dict[str, frozenset[str]]
    hidden: dict[str, list[str]] | None
    reference: Labels | None
    human: list[tuple[str, ...] | None] | None
    asked: tuple[list[ModelCaptions], Labels]
    images: dict[str, Path]
    counts: dict[str, int]
    notes: list[str]
    masks: Mapping[str, Path] = field(default_factory=dict)


def gather(
    files: Mapping[str, Path],
    labels: tuple[Labels, Labels],
    *,
    words: Path | None,
    object_words: Path | None,
    human: Path | None,
    train: Path | None,
    images: Path | None,
    show: Sequence[str],
) -> Material:
    """Read all files and bring them to the images that all have.

    Parameters
    ----------
    files : captions of each model
    labels : those that are audited, and all
    words, object_words, human, train, images, show : as in `fairvision.captions`
    """
    audited, everything = labels
    captions = {name: read_captions(path) for name, path in files.items()}
    truth, notes = _common(audited, captions)
    kinds = _words(truth, words)
    reference = _reference(truth, train)
    people = None if human is None else _people(human, truth)
    asked = rows_of(show, everything, captions)
    vocabulary = everything.vocabulary
    if reference is not None and (more := sorted({*reference.vocabulary} - {*vocabulary})):
        notes.append(
            f"{truth.task}: in {reference.path.name} but not in {truth.path.name}, so left out: "
            f"{', '.join(more)}"
        )
    if object_words is not None and not truth.task:
        raise InputError(f"--object-words are of objects, but {truth.path} has no column of them")
    further = {} if object_words is None else read_words(object_words)
    with errors_about(object_words):
        models, shown = (_models(captions, of, kinds, vocabulary, further) for of in (truth, asked))
    return Material(
        models=models,
        truth=truth,
        words=kinds,
        hidden=None if words is None else read_words(words),
        reference=reference,
        human=people,
        asked=(shown, asked),
        images={} if images is None else _images(images, [truth, asked]),
        counts={name: len(of_model) for name, of_model in captions.items()},
        notes=notes,
    )


def _common(labels: Labels, captions: Mapping[str, Mapping[str, str]]) -> tuple[Labels, list[str]]:
    """Return the images that all have, and how many some lack."""
    ids = list(labels.rows["id"])
    common = [image for image in ids if all(image in of_model for of_model in captions.values())]
    lacking = {
        name: sum(image not in of_model for image in ids) for name, of_model in captions.items()
    }
    if not common:
        counts = ", ".join(f"{name} {len(ids) - lack}" for name, lack in lacking.items())
        raise InputError(
            f"no picture of {labels.path} has a caption of every model (of {len(ids)} pictures "
            f"have one: {counts}): do the ids agree?"
        )
    notes = [
        f"{name} has no caption of {lack} of {len(ids)} labelled pictures "
        f"{_lacking_by_group(labels, [image not in captions[name] for image in ids])}: they are "
        "left out for all models"
        for name, lack in lacking.items()
        if lack
    ]
    return labels.of(common), notes


def _lacking_by_group(labels: Labels, lacking: Sequence[bool]) -> str:
    """Return in words how many images of each group lack a caption."""
    groups = labels.rows["group"].fillna(UNKNOWN)
    rows = pd.Series(list(lacking)).groupby(groups.to_numpy()).agg(["sum", "size"])
    parts = {str(group): (int(lack), int(n)) for group, lack, n in rows.itertuples()}
    return f"({labels.attribute}: {shares(parts)})"


def _people(path: Path, truth: Labels) -> list[tuple[str, ...] | None]:
    """Return what people wrote of each image; `InputError` if nothing of any."""
    written = read_human(path)
    people = [written.get(image) for image in truth.ids]
    if not any(people):
        first = next(iter(written), None)
        whose = "all say nothing" if first is None else f"its first is of {shown(first)}"
        raise InputError(
            f"{path} has captions of none of the {len(truth)} audited pictures: {whose}, and the "
            f"first picture is {shown(truth.ids[0])}; do the ids agree?"
        )
    return people


def _words(truth: Labels, words: Path | None) -> dict[str, frozenset[str]]:
    """Return the words of each group."""
    place = f"{truth.path}, column {truth.attribute!r}"
    if not truth.groups:
        raise InputError(f"{place}: no group of the audited pictures is known")
    if words is not None:
        given = read_words(words)
        with errors_about(words):
            return words_for(truth.groups, given)
    try:
        return words_for(truth.groups, None)
    except InputError:
        raise InputError(
            f"{place}: for the groups {', '.join(truth.groups)} no words are known; give them by "
            '--words FILE, {"group": ["word", …], …}'
        ) from None


def _reference(truth: Labels, train: Path | None) -> Labels | None:
    """Return the labels of the training data, and None if no file of them is given."""
    if train is None:
        return None
    if not truth.task:
        raise InputError(f"--train is for amplification, but {truth.path} has no objects")
    return read_reference(train, truth)


def _models(
    captions: Mapping[str, Mapping[str, str]],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    vocabulary: Sequence[str],
    more: Mapping[str, Sequence[str]],
) -> list[ModelCaptions]:
    """Return each model's captions in the truth's order, with the groups and objects named."""
    models = []
    for name, by_image in captions.items():
        texts = [by_image[image] for image in truth.rows["id"]]
        objects = named_objects(texts, vocabulary, more) if truth.task else None
        named = metrics.caption_genders(texts, words)
        models.append(ModelCaptions(name, texts, named, objects))
    return models


def _images(images: Path, labels: Sequence[Labels]) -> dict[str, Path]:
    """Return the image files by id; raise `InputError` if a folder holds none of them."""
    files = find_images(images, {image for of in labels for image in of.rows["id"]})
    if not files:
        raise InputError(f"{images} holds none of the pictures: files are named by their id")
    return files
