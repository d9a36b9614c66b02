"""What the page shows of what a model leans on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fairvision.report import plots
from fairvision.report.panels import Panel
from fairvision.results import words
from fairvision.results.figures import Difference, Figure, Figures, difference_of
from fairvision.results.leaning import FEW, ranked

_DRAWN, _LISTED = 12, 30


@dataclass(frozen=True)
class LeaningFigure:
    """By how much one model leans on a thing.

    Attributes
    ----------
    rank : among the things in enough images, or None
    figure : `leaning`
    shown, few : whether its interval leaves out 0, and whether it rests on few images
    change, control, flips : further figures, written
    toward : the group for which seeing it speaks, or ""
    """

    rank: int | None
    figure: Figure
    shown: bool
    few: bool
    change: str
    control: str
    flips: str
    toward: str


@dataclass(frozen=True)
class Thing:
    """A thing that was hidden, with a figure and a difference of each model."""

    name: str
    task: str
    models: list[LeaningFigure | None]
    differences: list[Difference]

    @property
    def strength(self) -> float:
        """The furthest from 0 that any model leans; 0 where no model has enough images."""
        return max((abs(m.figure.value) for m in self.models if m and m.rank), default=0.0)

    @property
    def is_ranked(self) -> bool:
        """Whether any model has enough images of it."""
        return any(model and model.rank for model in self.models)


@dataclass(frozen=True)
class LeaningPart:
    """What the page shows of one attribute.

    Attributes
    ----------
    attribute, panel : its name and plot
    rows, more : the first things, and how many further ones there are
    shown, judged : per model, for how many things leaning is shown, of those in enough images
    """

    attribute: str
    panel: Panel | None
    rows: list[Thing]
    more: int
    shown: list[int]
    judged: list[int]


def section(metrics: pd.DataFrame, figures: Figures) -> list[LeaningPart]:
    """Return what the page shows: per attribute a plot, and a row per thing with all models."""
    parts = []
    for attribute in figures.attributes:
        tables = [ranked(metrics, model, attribute) for model in figures.models]
        if not any(len(table) for table in tables):
            continue
        ranks = [{thing: i for i, thing in enumerate(_things(table))} for table in tables]
        things = [
            Thing(
                label,
                task,
                [
                    _leaning(table.iloc[rank[task, label]], rank[task, label] + 1)
                    if (task, label) in rank
                    else None
                    for table, rank in zip(tables, ranks)
                ],
                [
                    _difference(figures, attribute, task, label, other)
                    for other in figures.models[1:]
                ],
            )
            for task, label in _things(next(table for table in tables if len(table)))
        ]
        parts.append(
            LeaningPart(
                attribute,
                _panel(things, figures.models, attribute, figures.attributes.index(attribute)),
                rows=things[:_LISTED],
                more=len(things[_LISTED:]),
                shown=[int(table["shown"].sum()) for table in tables],
                judged=[int((table["leaning"].notna() & ~table["few"]).sum()) for table in tables],
            )
        )
    return parts


def _things(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the task and label of each thing."""
    return list(zip(table["task"], table["label"]))


def _leaning(row: pd.Series, rank: int) -> LeaningFigure:
    """Return how a row of leaning is shown; it has no rank if undefined or of few images."""
    figure = Figure(row["leaning"], row["low"], row["high"], int(row["n"]), "difference")
    return LeaningFigure(
        rank=rank if figure.defined and not row["few"] else None,
        figure=figure,
        shown=bool(row["shown"]),
        few=bool(row["few"]),
        change=words.written(row["change"], "difference"),
        control=words.written(row["control"], "difference"),
        flips=words.written(row["flips"]),
        toward=row["toward"] if isinstance(row["toward"], str) else "",
    )


def _difference(figures: Figures, attribute: str, task: str, label: str, other: str) -> Difference:
    """Return another model's difference to the first in leaning, and whether it is shown."""
    name = difference_of(figures.models[0], other)
    figure = figures.get(name, "leaning", attribute, task, "", label)
    if figure is None or not figure.defined:
        return Difference(figure, "")
    return Difference(figure, "differs" if figure.n >= FEW and figure.sign else "not shown")


def _panel(things: list[Thing], models: Sequence[str], attribute: str, number: int) -> Panel | None:
    """Draw the things in enough images, those that some model leans on most."""
    in_enough = [thing for thing in things if thing.is_ranked]
    strongest = sorted(in_enough, key=lambda thing: thing.strength, reverse=True)[:_DRAWN]
    drawn = [thing for thing in in_enough if thing in strongest or not thing.task]
    if not drawn:
        return None
    return Panel(
        f"What seeing it adds to the probability of the annotated {attribute}",
        "Right of zero the model leans on it; left of zero it misleads the model, or other places "
        "matter more.",
        plots.panel(
            [
                plots.Category(
                    thing.name,
                    [model.figure if model else None for model in thing.models],
                    links=plots.links(models, attribute, label=thing.name) if thing.task else (),
                )
                for thing in drawn
            ],
            unit="difference",
            description=f"What the models lean on for {attribute}",
            key=f"leaning-{number}-0",
        ),
    )
