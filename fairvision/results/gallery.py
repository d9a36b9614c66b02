"""What pages show of single images: answers and evidence of models, or their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS

KINDS = (
    REASONS[1],
    "turns with the surroundings, though the evidence lies on the person",
    REASONS[2],
    REASONS[3],
    REASONS[0],
    "holds, though the evidence lies elsewhere",
)
"""The headings of a gallery: what the first model made of an image, and where its map misleads."""

EVIDENCE_KINDS = ("wrong", EVIDENCE_CELLS[1], EVIDENCE_CELLS[0])
"""The headings where surroundings were not exchanged, so that only maps tell images apart."""

TASK_KINDS = (
    "wrong",
    "names what is not there",
    "misses what is there",
    "right, evidence elsewhere",
    "right, evidence on its objects",
    "right",
)
"""The headings about a task: the second and third where many labels may hold, the last where it is
not known whether the evidence lies on objects."""

ASKED = "asked for"
"""The kind of captioned images that a page shows because someone named them."""
NOT_NAMED = "nobody or several"
"""What stands where a caption names no group, or several."""

_FORMER = {
    "right for the wrong reasons": EVIDENCE_KINDS[1],
    "right for the right reasons": EVIDENCE_KINDS[2],
}


def kinds_of(images: Sequence[GalleryImage]) -> tuple[str, ...]:
    """Return the headings under which images stand: `KINDS`, or else `EVIDENCE_KINDS`.

    About tasks these are the ones of `TASK_KINDS` that some image has.
    """
    kinds = {image.kind for image in images if image.of_task}
    if kinds:
        return tuple(kind for kind in TASK_KINDS if kind in kinds)
    return KINDS if any(image.kind in KINDS for image in images) else EVIDENCE_KINDS


Sentence = tuple[tuple[str, str], ...]
"""The texts of a sentence in their order, each with the group that it names, or ""; () is none."""


@dataclass(frozen=True)
class Sentences:
    """What a captioner wrote about an image, and about the image with a part of it changed.

    Only the first has to be there; a page shows what is. The group that a sentence names is that
    of all its texts that name one (`named_by`).

    Attributes
    ----------
    whole : about the image as it is
    hidden, person : with the person hidden, and with only the person visible
    elsewhere : with the person in other surroundings
    word : the word that `ModelAnswer.map` is the evidence for, or ""

    Examples
    --------
    >>> sentences = Sentences((("a ", ""), ("man", "male"), (" skis", "")), hidden=(("snow", ""),))
    >>> named_by(sentences.whole), named_by(sentences.hidden)
    ('male', None)
    """

    whole: Sentence
    hidden: Sentence = ()
    person: Sentence = ()
    elsewhere: Sentence = ()
    word: str = ""


def named_by(sentence: Sentence) -> str | None:
    """Return the one group that a sentence names; None where it names none or several."""
    groups = {group for _, group in sentence if group}
    return groups.pop() if len(groups) == 1 else None


@dataclass(frozen=True)
class ModelAnswer:
    """What a model made of an image.

    Attributes
    ----------
    name : of the model
    answer, probability : the group it names, and how probable that is to it; None without answer
        (of a caption: where it names no group, or several), and without probabilities
    map : (height, width) evidence for the annotated group
    inside : whether the strongest evidence lies on the person; None where undefined
    mass : share of the evidence that does, or None
    holds : share of the swapped surroundings in which the answer stays, or None
    why_no_map : a few words, where no map is drawn; else ""
    reason : why it is right or wrong, one of `REASONS`, `EVIDENCE_CELLS` or `TASK_KINDS`; or ""
    hidden, person : the group it names, and how probable that is to it, with the person hidden and
        with only the person visible; None without answer
    sentences : of a captioner, else None
    """

    name: str
    answer: str | None
    probability: float | None = None
    map: npt.NDArray[np.floating] = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    inside: bool | None = None
    mass: float | None = None
    holds: float | None = None
    why_no_map: str = ""
    reason: str = ""
    hidden: tuple[str, float] | None = None
    person: tuple[str, float] | None = None
    sentences: Sentences | None = None


@dataclass(frozen=True)
class GalleryImage:
    """An image of an audit, with what each model made of it.

    Attributes
    ----------
    kind : one of `KINDS`, or of `EVIDENCE_KINDS`; of `TASK_KINDS` about a task; of captions, how
        those of the models differ
    id : of the image
    attribute, truth : what was asked, and the annotated group; or a task and the label that is
        asked about, "no …" where it does not hold; "" where it is not known
    labels : of its tasks, besides the one that was asked about
    image : (height, width, 3) uint8; None where there are only captions
    mask : (height, width) bool, the person, or about a task the label's objects; or None
    models : an answer of each
    chance : the share of the image that the mask covers, or None
    of_task : whether a task was asked about
    groups : attribute and group, of the attributes that were not asked about
    donors : ids of images of other groups in whose surroundings the person was shown
    """

    kind: str
    id: str
    attribute: str
    truth: str
    labels: tuple[str, ...]
    image: npt.NDArray[np.uint8] | None
    mask: npt.NDArray[np.bool_] | None
    models: tuple[ModelAnswer, ...]
    chance: float | None = None
    of_task: bool = False
    groups: tuple[str, ...] = ()
    donors: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: GalleryImage | Mapping[str, Any]) -> GalleryImage:
        """Return an item of a gallery, which may be given as a dictionary.

        It has `picture` for `image`, `cell` for `kind`, and a dictionary for each model.
        """
        if isinstance(item, GalleryImage):
            return item
        values = {name: item[name] for name in ("id", "attribute", "truth", "mask")}
        return cls(
            **values,
            kind=_FORMER.get(item["cell"], item["cell"]),
            labels=tuple(item["labels"]),
            image=np.asarray(item["picture"]),
            models=tuple(ModelAnswer(**answer) for answer in item["models"]),
            chance=item.get("chance"),
        )
