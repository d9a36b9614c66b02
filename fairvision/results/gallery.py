"""What pages show of single images: answers and evidence of models, or their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class ModelAnswer:
    """What a model made of an image.

    Attributes
    ----------
    name : of the model
    answer, probability : the group it names, and how probable that is to it; None without answer,
        and without probabilities
    map : (height, width) evidence for the annotated group
    inside : whether the strongest evidence lies on the person; None where undefined
    mass : share of the evidence that does, or None
    holds : share of the swapped surroundings in which the answer stays, or None
    why_no_map : a few words, where no map is drawn; else ""
    reason : why it is right or wrong, one of `REASONS`, `EVIDENCE_CELLS` or `TASK_KINDS`; or ""
    hidden, person : the group it names, and how probable that is to it, with the person hidden and
        with only the person visible; None without answer
    """

    name: str
    answer: str | None
    probability: float | None
    map: npt.NDArray[np.floating]
    inside: bool | None
    mass: float | None = None
    holds: float | None = None
    why_no_map: str = ""
    reason: str = ""
    hidden: tuple[str, float] | None = None
    person: tuple[str, float] | None = None


@dataclass(frozen=True)
class GalleryImage:
    """An image of an audit, with what each model made of it.

    Attributes
    ----------
    kind : one of `KINDS`, or of `EVIDENCE_KINDS`; of `TASK_KINDS` about a task
    id : of the image
    attribute, truth : what was asked, and the annotated group; or a task and the label that is
        asked about, "no …" where it does not hold
    labels : of its tasks, besides the one that was asked about
    image : (height, width, 3) uint8
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
    image: npt.NDArray[np.uint8]
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


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes
    ----------
    names : the models whose caption it is
    outcome : "correct", "incorrect" or "other"; None where the truth is unknown
    parts : texts, each with the group that it names, or ""
    """

    names: tuple[str, ...]
    outcome: str | None
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CaptionedImage:
    """An image with what models say of it.

    Attributes
    ----------
    kind : how the captions differ, or ""
    id : of the image
    truth : the annotated group, or None
    captions : each different one, or one of each model
    labels : the annotated objects
    image : (height, width, 3) uint8, or None
    """

    kind: str
    id: str
    truth: str | None
    captions: tuple[Caption, ...]
    labels: tuple[str, ...] = ()
    image: npt.NDArray[np.uint8] | None = None
