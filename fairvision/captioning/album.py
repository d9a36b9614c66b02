"""The audited images with their captions, or a sample of them, for a page to look through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fairvision.auditing.miniatures import MOST_SHOWN, SIDE, side_shown
from fairvision.auditing.tables import MEASURES
from fairvision.captioning.disagreements import in_order, opposed_rows
from fairvision.captioning.labels import Labels
from fairvision.captioning.material import Material
from fairvision.captioning.measures import ModelCaptions
from fairvision.datasets.images import Doubts, image_size, read_image, read_mask
from fairvision.metrics.caption_tokens import (
    longest_of,
    phrases_in,
    phrases_of,
    places_of_words,
    plain_text,
)
from fairvision.metrics.caption_words import OTHER
from fairvision.results.gallery import ASKED, GalleryImage, ModelAnswer, Sentence, Sentences

MOST_LISTED = 2000
"""Images on which models contradict each other that a page lists."""

Rows = npt.NDArray[np.int64]


def album(material: Material, *, most: int = MOST_SHOWN, seed: int = 0) -> list[GalleryImage]:
    """Return the images that a page shows, with a caption of each model.

    First those that were asked for, then the most telling: the ways in which the captions differ
    take turns, and the groups in them; last those on which the models agree.

    Parameters
    ----------
    material : captions, labels, and the files of images
    most : how many images at most, besides those that were asked for; of more, a random sample is
        shown, of those first that have a file
    seed : of chance
    """
    models, truth, files = material.models, material.truth, material.images
    asked_models, asked = material.asked
    chosen = rows_shown(truth, files, most=most, seed=seed)
    side = side_shown(len(chosen) + len(asked))
    already, held, ids = set(asked.ids), set(chosen.tolist()), truth.ids
    ordered = (
        (kind, row)
        for kind, row in in_order(models, truth, files=files, seed=seed)
        if row in held and ids[row] not in already
    )
    first = [(ASKED, row) for row in range(len(asked))]
    return [
        *gallery_images(asked_models, asked, first, material.words, files, side),
        *gallery_images(models, truth, ordered, material.words, files, side, material.masks),
    ]


def opposed(material: Material, most: int = MOST_LISTED) -> tuple[int, list[GalleryImage]]:
    """Return the images on which one model is right and another wrong.

    Returns
    -------
    how many these are, and the first `most` of them in the order of the labels, without pictures
    """
    models, truth = material.models, material.truth
    rows = opposed_rows(models, truth)
    listed = [("", row) for row in rows[:most]]
    return len(rows), list(gallery_images(models, truth, listed, material.words))


def rows_shown(truth: Labels, files: Mapping[str, Path], *, most: int, seed: int) -> Rows:
    """Return which images a page shows: all, or some drawn at random, those with files first."""
    if len(truth) <= most:
        return np.arange(len(truth))
    drawn = np.random.default_rng(seed).permutation(len(truth))
    without_file = ~truth.rows["id"].isin(list(files)).to_numpy()
    return np.sort(drawn[np.argsort(without_file[drawn], kind="stable")][:most])


def gallery_images(
    models: Sequence[ModelCaptions],
    truth: Labels,
    chosen: Iterable[tuple[str, int]],
    words: Mapping[str, frozenset[str]],
    files: Mapping[str, Path] | None = None,
    side: int = SIDE,
    masks: Mapping[str, Path] | None = None,
) -> Iterator[GalleryImage]:
    """Yield what a page shows of rows, each with its kind; images of at most `side` pixels."""
    ids, groups, objects = (truth.rows[name].to_list() for name in ("id", "group", "objects"))
    elsewhere = [[] if of.asked is None else of.asked.elsewhere() for of in models]
    for kind, row in chosen:
        answers = tuple(
            _answer(model, row, first[row] if first else None, words)
            for model, first in zip(models, elsewhere)
        )
        image = _pixels((files or {}).get(ids[row]), side)
        donors = {place[1] for first in elsewhere if first and (place := first[row])}
        yield GalleryImage(
            kind=kind,
            id=ids[row],
            attribute=truth.attribute,
            truth=groups[row] or "",
            labels=tuple(objects[row] or ()),
            image=image,
            mask=_mask((masks or {}).get(ids[row]), (files or {}).get(ids[row]), image),
            models=answers,
            donors=tuple(sorted(donors)),
        )


def _answer(
    model: ModelCaptions,
    row: int,
    elsewhere: tuple[str, str] | None,
    words: Mapping[str, frozenset[str]],
) -> ModelAnswer:
    """Return what a page shows of a model and an image."""

    def sentence(text: str | None) -> Sentence:
        return tuple(parts(text, words)) if text else ()

    named = None if model.named[row] == OTHER else str(model.named[row])
    whole = tuple(parts(model.captions[row], words))
    asked = model.asked
    if asked is None:
        return ModelAnswer(model.model, named, sentences=Sentences(whole))
    inside, mass = (asked.evidence[name].iloc[row] for name in MEASURES)
    has_map = bool(asked.maps[row].any())
    return ModelAnswer(
        model.model,
        named,
        map=asked.maps[row] / np.float32(255) if has_map else np.zeros((1, 1), np.float32),
        inside=None if np.isnan(inside) else bool(inside > 0.5),
        mass=None if np.isnan(mass) else float(mass),
        why_no_map="" if has_map else _why_no_map(asked.words[row], inside),
        sentences=Sentences(
            whole,
            sentence(asked.hidden[row]),
            sentence(asked.person[row]),
            sentence(elsewhere[0] if elsewhere else None),
            asked.words[row],
        ),
    )


def _why_no_map(word: str, inside: float) -> str:
    """Say why there is no map of the evidence for a word."""
    if not word:
        return "no word names a group"
    return "not looked for" if np.isnan(inside) else "no positive evidence"


def parts(caption: str, words: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """Cut a caption at the words that name a group.

    >>> list(parts("A man's dog, a woman.", {"woman": frozenset(["woman"])}))
    [("A man's dog, a ", ''), ('woman', 'woman'), ('.', '')]
    """
    group_of = {phrase: group for group, of in words.items() for phrase in phrases_of(of)}
    places, done = places_of_words(caption), 0
    spoken = [plain_text(caption[start:stop]) for start, stop in places]
    for at in phrases_in(spoken, group_of, longest_of(group_of)):
        start, stop = places[at.start][0], places[at.stop - 1][1]
        if start > done:
            yield caption[done:start], ""
        yield caption[start:stop], group_of[tuple(spoken[at])]
        done = stop
    if done < len(caption):
        yield caption[done:], ""


def _pixels(file: Path | None, side: int) -> npt.NDArray[np.uint8] | None:
    """Return the pixels (height, width, 3) of a small copy of an image; None without a file."""
    if file is None:
        return None
    small = read_image(file, least=2 * side, doubts=Doubts())
    small.thumbnail((side, side))
    return np.asarray(small)


def _mask(
    file: Path | None, of: Path | None, image: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the person at the size of a small copy of its image; None without."""
    if file is None or of is None or image is None:
        return None
    mask = Image.fromarray(read_mask(file, image_size(of), doubts=Doubts()))
    return np.asarray(mask.resize((image.shape[1], image.shape[0]), Image.Resampling.NEAREST))
