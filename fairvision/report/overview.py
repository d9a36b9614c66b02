"""The figures that matter most, one line per model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairvision.results import words
from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.figures import Figure, Figures
from fairvision.results.metric import Words

_OF_ATTRIBUTE = (
    "accuracy",
    "worst_group_accuracy",
    "accuracy_gap",
    "holds",
    "background_gap",
    "hidden_accuracy",
    "pointing_game_lift",
)
_OF_BOTH = ("context_gap", T_TO_A, A_TO_T)
_OF_TASK = ("accuracy", "average_precision", "pointing_game_lift")
_OF_TASK_BY_GROUP = ("accuracy_gap", "person_effect_gap", A_TO_T)
MOST_COLUMNS = 12


@dataclass(frozen=True)
class Column:
    """A figure of every model, in words; None where a model has none."""

    words: Words
    figures: list[Figure | None]


def columns(figures: Figures) -> list[Column]:
    """Return the columns of the overview; figures that no model has are left out.

    Where models name groups these are about attributes, else about tasks.
    """
    keys = _of_tasks(figures) if figures.tasks_only == figures.models else _of_attributes(figures)
    listed = (
        Column(
            words.words_of(metric, attribute, task),
            [figures.get(model, metric, attribute, task) for model in figures.models],
        )
        for metric, attribute, task in keys
    )
    return [column for column in listed if any(column.figures)][:MOST_COLUMNS]


def _of_attributes(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """Yield metric, attribute and task of what is asked about attributes."""
    for attribute in figures.attributes:
        for metric in _OF_ATTRIBUTE:
            yield metric, attribute, ""
        for task in figures.tasks:
            for metric in _OF_BOTH:
                yield metric, attribute, task


def _of_tasks(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """Yield metric, attribute and task of what is asked about tasks."""
    for task in figures.tasks:
        for metric in _OF_TASK:
            yield metric, "", task
        for attribute in figures.attributes:
            for metric in _OF_TASK_BY_GROUP:
                yield metric, attribute, task
