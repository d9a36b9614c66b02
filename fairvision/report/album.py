"""The pictures of a page: small copies, and what its script needs to show more of each."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from fairvision.metrics.causes import REASONS
from fairvision.report.template import Look
from fairvision.results import words
from fairvision.results.gallery import (
    ASKED,
    NOT_NAMED,
    GalleryImage,
    ModelAnswer,
    Sentences,
    named_by,
)
from fairvision.results.summary import Lead

GRID = 16
QUALITY = 45
FIRST = 24
"""Pictures that are seen before more are asked for."""
VIEWS = ("whole", "hidden", "person", "elsewhere")

SCRIPTS = ("words.js", "drawing.js", "view.js", "album.js", "tables.js")

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    """A picture as it stands on the page without its script.

    Attributes
    ----------
    index : of the picture in what the script reads
    image : the item that is shown of it
    uri : the picture itself, or ""
    """

    index: int
    image: GalleryImage
    uri: str


@dataclass(frozen=True)
class Album:
    """All pictures of a page.

    Attributes
    ----------
    tiles : each picture once
    data : what the script reads, as JSON that is safe within HTML
    about : attributes or tasks that were asked about
    evidence : whether there are masks or maps
    """

    tiles: list[Tile]
    data: Markup
    about: list[str]
    evidence: bool


def album(images: Sequence[GalleryImage], looks: Sequence[Look]) -> Album:
    """Return the pictures of a page, each once though several heads were asked about.

    Parameters
    ----------
    images : in the order in which they stand
    looks : the marks of the models
    """
    index: dict[str, int] = {}
    for image in images:
        index.setdefault(image.id, len(index))
    about = list(dict.fromkeys(image.attribute for image in images))
    first: dict[str, GalleryImage] = {}
    for image in images:
        first.setdefault(image.id, image)
    tiles = [
        Tile(index[name], image, "" if image.image is None else thumbnail(image.image))
        for name, image in first.items()
    ]
    masks = {name: _mask(image.mask) for name, image in first.items()}
    of_captions = any(answer.sentences for image in images for answer in image.models)
    content = {
        "about": about,
        "sentences": of_captions,
        "nothing": NOT_NAMED if of_captions else "no answer",
        "models": [
            {"name": look.name, "glyph": look.glyph, "colour": look.colour} for look in looks
        ],
        "pictures": [
            {
                "id": name,
                "groups": image.groups,
                "labels": image.labels,
                "mask": "" if image.of_task else masks[name],
                "donors": [index[donor] for donor in image.donors if donor in index],
            }
            for name, image in first.items()
        ],
        "items": [
            {
                "picture": index[image.id],
                "about": about.index(image.attribute),
                "truth": image.truth,
                "task": image.of_task,
                "kind": image.kind if of_captions else "",
                "outline": _mask(image.mask) if image.of_task else "",
                "answers": [_answer(answer) for answer in image.models],
            }
            for image in images
        ],
    }
    evidence = any(image.mask is not None for image in images)
    evidence |= any(answer.map.any() for image in images for answer in image.models)
    return Album(tiles, safe_json(content), about, evidence)


def counted(tiles: Sequence[Tile], audited: int, *, chosen: str = "drawn at random") -> str:
    """Say how many of the audited images are shown, and how they were chosen.

    >>> counted([], 40504)
    '0 of the 40,504 audited pictures, drawn at random'
    """
    shown, asked = len(tiles), sum(tile.image.kind == ASKED for tile in tiles)
    if shown >= audited:
        more = f", and {shown - audited} asked for besides" if shown > audited else ""
        return f"All {audited:,} audited pictures{more}"
    more = f", and {asked} asked for" if asked else ""
    return f"{shown - asked:,} of the {audited:,} audited pictures, {chosen}{more}"


@dataclass(frozen=True)
class Choices:
    """What pictures can be chosen by: what occurs, and of what there are figures.

    Attributes
    ----------
    kinds : how captions differ; none where there are no captions
    reasons, groups, answers, labels : that occur
    silent : whether something has no answer
    sure, holds : whether there are probabilities, and answers in other surroundings
    sentences : whether there are captions
    """

    kinds: list[str]
    reasons: list[str]
    groups: list[str]
    answers: list[str]
    labels: list[str]
    silent: bool
    sure: bool
    holds: bool
    sentences: bool


def choices(images: Sequence[GalleryImage]) -> Choices:
    """Return what pictures can be chosen by, in the order in which it occurs; labels by name."""
    answers = [answer for image in images for answer in image.models]
    of_captions = any(answer.sentences for answer in answers)
    groups = [image.truth for image in images if image.truth]
    groups += [group for image in images for group in image.groups]
    return Choices(
        kinds=list(dict.fromkeys(i.kind for i in images if i.kind)) if of_captions else [],
        reasons=sorted({answer.reason for answer in answers if answer.reason}),
        groups=list(dict.fromkeys(groups)),
        answers=list(dict.fromkeys(answer.answer for answer in answers if answer.answer)),
        labels=sorted({label for image in images for label in image.labels}),
        silent=any(answer.answer is None for answer in answers),
        sure=any(answer.probability is not None for answer in answers),
        holds=any(answer.holds is not None for answer in answers),
        sentences=of_captions,
    )


def telling_pair(
    tiles: Sequence[Tile], opening: Lead, models: Sequence[str]
) -> list[tuple[Tile, ModelAnswer]]:
    """Return two pictures that show what the report opens with; none where there are no such.

    Of unequal errors the surest right answer about the group that is served best, and the surest
    wrong one about the other; else an answer that holds and one that turns with the surroundings,
    or a right and a wrong one.
    """
    concern = opening.concern
    place = models.index(concern.model) if concern is not None else 0
    answered = [(tile, tile.image.models[place]) for tile in tiles]
    answered = [pair for pair in answered if pair[1].answer is not None]
    answered.sort(key=lambda pair: (not pair[0].uri, -(pair[1].probability or 0)))
    right = [pair for pair in answered if pair[1].answer == pair[0].image.truth]
    wrong = [pair for pair in answered if pair[1].answer != pair[0].image.truth]
    if concern is not None and opening.best and not concern.task:
        right = [pair for pair in right if pair[0].image.truth == opening.best]
        wrong = [pair for pair in wrong if pair[0].image.truth == concern.group]
    elif concern is not None and concern.metric == "background_gap":
        turns = [pair for pair in right if pair[1].reason == REASONS[1]]
        right, wrong = [pair for pair in right if pair[1].reason == REASONS[0]], turns or wrong
    return [right[0], wrong[0]] if right and wrong else []


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an image as a WebP data URI at the size that it has.

    >>> thumbnail(np.zeros((8, 8, 3), np.uint8))[:23]
    'data:image/webp;base64,'
    """
    output = io.BytesIO()
    Image.fromarray(pixels).save(output, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(output.getvalue()).decode()


def safe_json(content: object) -> Markup:
    r"""Return JSON that may stand in a script element: nothing in it ends the element.

    Texts have no characters that control the writing direction.

    >>> str(safe_json({"id": "</script><!--"}))
    '{"id":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(_plain(content), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def script() -> Markup:
    """Return the one script of the page, of its parts."""
    return Markup("".join((_HERE / name).read_text(encoding="utf-8") for name in SCRIPTS))


@cache
def script_hash() -> str:
    """Return what the page's policy lets run: this script and nothing else."""
    digest = hashlib.sha256(script().encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _plain(content: object) -> Any:
    """Return content with all its texts made plain."""
    if isinstance(content, str):
        return words.plain(content).encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, Iterable):
        return [_plain(value) for value in content]
    return content


def _answer(answer: ModelAnswer) -> dict[str, object]:
    """Return what the script shows of a model's answer; absent parts are left out."""
    parts = {
        "whole": None if answer.answer is None else (answer.answer, answer.probability),
        "hidden": answer.hidden,
        "person": answer.person,
    }
    shares = {"holds": answer.holds, "mass": answer.mass, "inside": answer.inside}
    content: dict[str, object] = {
        key: [named[0]] if named[1] is None else [named[0], round(float(named[1]), 3)]
        for key, named in parts.items()
        if named is not None
    }
    content |= {key: round(float(value), 3) for key, value in shares.items() if value is not None}
    if answer.reason:
        content["reason"] = answer.reason
    if answer.sentences is not None:
        content |= _sentences(answer.sentences)
    if answer.why_no_map:
        content["noMap"] = answer.why_no_map
    elif answer.map.any():
        content["map"] = base64.b64encode(_small(answer.map).tobytes()).decode()
    return content


def _sentences(sentences: Sentences) -> dict[str, object]:
    """Return what the script shows of sentences, and what each but the first names."""
    content: dict[str, object] = {"word": sentences.word} if sentences.word else {}
    written = {view: getattr(sentences, view) for view in VIEWS}
    for view, sentence in written.items():
        named = named_by(sentence)
        if view != "whole" and named is not None:
            content[view] = [named]
    content["says"] = {
        view: [[text, group] if group else text for text, group in sentence]
        for view, sentence in written.items()
        if sentence or view == "whole"
    }
    return content


def _small(evidence: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return a map of GRID × GRID cells on its own scale."""
    small = np.asarray(evidence, np.float32)
    if small.shape != (GRID, GRID):
        resized = Image.fromarray(small).resize((GRID, GRID), Image.Resampling.BOX)
        small = np.asarray(resized, np.float32)
    return np.asarray((255 * small / max(float(small.max()), 1e-30)).clip(0, 255).round(), np.uint8)


def _mask(mask: npt.NDArray[np.bool_] | None) -> str:
    """Return a mask as a PNG of one bit in base64; "" for none."""
    if mask is None or not mask.any():
        return ""
    output = io.BytesIO()
    Image.fromarray(mask).convert("1").save(output, "PNG", optimize=True)
    return base64.b64encode(output.getvalue()).decode()
