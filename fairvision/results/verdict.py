"""What a verdict is made of: questions with answers, and the words for what an interval shows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fairvision.core.moved import warn_renamed
from fairvision.results.figures import CONFIDENCE, Figure, Figures
from fairvision.results.words import written

Status = Literal["yes", "no", "unclear"]

BEFORE = f"{CONFIDENCE:.0%} interval "
"""Stands before a range where nothing yet has said what it is."""
NOT_SHOWN = "nothing was shown: the interval includes zero"
NO_WIDTH = "nothing was shown: every resample gave the same"


class _Readable(Mapping[str, Any]):
    """Lets a dataclass be read by keys, as the dictionaries were that it has taken the place of."""

    @abstractmethod
    def as_json(self) -> dict[str, object]:
        """Return the dictionary."""

    def __getitem__(self, name: str) -> Any:
        dictionary = self.as_json()
        if name in dictionary:
            warn_renamed(f"{type(self).__name__}[{name!r}]", f".{name}")
        return dictionary[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_json())

    def __len__(self) -> int:
        return len(self.as_json())


@dataclass(frozen=True)
class Answer(_Readable):
    """A question that figures answer.

    Attributes
    ----------
    question, answer : sentences; names in them are raw text
    status : "yes", "no", or "unclear" where the figures show neither
    """

    question: str
    answer: str
    status: Status

    def as_json(self) -> dict[str, object]:
        """Return the form in which `Verdict.as_json` holds it."""
        return {"question": self.question, "status": self.status, "answer": self.answer}


@dataclass(frozen=True)
class Verdict(_Readable):
    """What figures say, in plain words.

    Attributes
    ----------
    headline : a line per sentence
    answers : questions with their answers
    left_out : what could not be measured, and why
    warnings : what to know before trusting the figures
    """

    headline: str
    answers: tuple[Answer, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the form in which `audit.json` and `--json` hold it."""
        return {
            "headline": self.headline,
            "answers": [answer.as_json() for answer in self.answers],
            "left_out": list(self.left_out),
            "warnings": list(self.warnings),
        }

    @classmethod
    def of(cls, verdict: Verdict | Mapping[str, Any]) -> Verdict:
        """Return a verdict, which may be given as `as_json` gives it."""
        if isinstance(verdict, Verdict):
            return verdict
        return cls(
            verdict["headline"],
            tuple(Answer(**answer) for answer in verdict["answers"]),
            tuple(verdict["left_out"]),
            tuple(verdict["warnings"]),
        )


def why_not_shown(figure: Figure) -> str:
    """Say why a figure shows no sign."""
    return NO_WIDTH if figure.low == figure.high != 0 else NOT_SHOWN


def shown_as(figure: Figure, positive: str, negative: str) -> str:
    """Return the words for the sign that a figure shows, or why it shows none."""
    return {1: positive, -1: negative}.get(figure.sign) or why_not_shown(figure)


def status_of(signs: Sequence[int]) -> Status:
    """Return yes where any sign is up, and no only where all are down.

    >>> status_of([0, 1, -1]), status_of([-1, -1]), status_of([-1, 0]), status_of([])
    ('yes', 'no', 'unclear', 'unclear')
    """
    return "yes" if 1 in signs else "no" if signs and set(signs) == {-1} else "unclear"


def lift_sentences(
    figures: Figures,
    model: str,
    attribute: str = "",
    task: str = "",
    *,
    subjects: Mapping[str, str],
) -> tuple[list[str], list[int]]:
    """Return a sentence, and the sign that is shown, of each measure of evidence beside chance.

    Parameters
    ----------
    figures, model, attribute, task : whose figures
    subjects : how the sentence of each measure begins
    """
    chance = figures.defined(model, "chance_level", attribute, task)
    sentences, signs = [], []
    for metric, subject in subjects.items():
        share = figures.defined(model, metric, attribute, task)
        lift = figures.defined(model, f"{metric}_lift", attribute, task)
        if share is None or lift is None or chance is None:
            continue
        signs.append(lift.sign)
        sentences.append(
            f"{subject} {share.sentence()}; by chance it would be {written(chance.value)}: a "
            f"difference of {lift.sentence()}, "
            f"{shown_as(lift, 'more than chance', 'less than chance')}."
        )
    return sentences, signs
