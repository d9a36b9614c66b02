"""Figures of several audits put together: mean and spread over the seeds, and what stands out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fairvision.results import words
from fairvision.results.figures import UNKNOWN, Figure, Figures
from fairvision.results.words import Word

WORST = "worst_group_accuracy"
REASON = words.REASONS[0]
PARTS = {
    "How often it is right": ("accuracy", WORST),
    "Does it amplify": words.AMPLIFICATION_ROWS,
    "Where the evidence lies": ("pointing_game", "relevance_mass", "reasons", "hidden_accuracy"),
}
_WORDS = {
    WORST: Word(
        "Worst group, {subject}",
        "accuracy of the group of {attribute} that is served worst",
        "higher",
        "needs pictures of known groups",
    ),
    "reasons": Word(
        "Right for the right reasons",
        "share of pictures answered right with the strongest evidence on the person",
        "higher",
        words.WORDS["pointing_game"].undefined,
    ),
}


class Column(NamedTuple):
    """One measure of the leaderboard, by the keys of the metrics table."""

    metric: str
    attribute: str = ""
    task: str = ""
    label: str = ""

    @property
    def word(self) -> Word:
        """What the page says about it."""
        known = _WORDS.get(self.metric)
        if known is None:
            return words.word(self.metric, self.attribute, self.task)
        names = {"attribute": self.attribute, "subject": self.task or self.attribute}
        return known._replace(
            name=known.name.format(**names), meaning=known.meaning.format(**names)
        )

    @property
    def unit(self) -> str:
        """Unit of the mean, as in the metrics table."""
        return "difference" if self.metric in words.AMPLIFICATION_ROWS else "fraction"

    @property
    def key(self) -> str:
        """Name in `leaderboard.csv`."""
        return "/".join(filter(None, (self.metric.replace(" ", "_"), self.attribute, self.task)))

    def of(self, figures: Figures, model: str) -> Figure | None:
        """Return a model's figure, or None where its audit has none."""
        return figures.get(model, self.metric, self.attribute, self.task, label=self.label)


class Cell(NamedTuple):
    """One method's figure over the seeds.

    Attributes
    ----------
    by_seed : the audits' figures; None where a run or its figure is not there
    mean, sd : over the seeds where it is defined; the sample's standard deviation, NaN for one
    """

    by_seed: Mapping[int, Figure | None]
    mean: float
    sd: float

    @property
    def values(self) -> list[float]:
        """The defined figures."""
        return [figure.value for figure in self.by_seed.values() if figure and figure.defined]

    @property
    def seeds(self) -> int:
        """Over how many seeds it is defined."""
        return len(self.values)

    @property
    def n(self) -> int:
        """Fewest images that a figure rests on; 0 where it is undefined."""
        return min((f.n for f in self.by_seed.values() if f and f.defined), default=0)


class Learnt(NamedTuple):
    """Whether a method tells the groups of an attribute apart at all.

    Attributes
    ----------
    recall : mean over the known groups of how often each is named, mean over the seeds
    guess : what it is for answers that do not depend on the image, 1 / groups
    shown, seeds : in how many seeds it is above that by more than two standard errors, of how many
    """

    recall: float
    guess: float
    shown: int
    seeds: int

    @property
    def little(self) -> bool:
        """Whether fewer than half of the seeds show that anything was learnt."""
        return self.seeds > 0 and 2 * self.shown < self.seeds


@dataclass(frozen=True)
class Board:
    """The leaderboard.

    Attributes
    ----------
    methods : the first is what the others are compared with
    seeds : how many were asked for
    cells : by method and column; columns in which no method has a figure are there too
    parts : columns under headings, by attribute; "" holds those of tasks without an attribute
    share : by attribute, the share of the largest group among images with the person hidden
    chance : by attribute, the chance level of the evidence
    learnt : by method and attribute
    shown, paired : by method and column, in how many seeds the audit's paired interval of the
        difference from the first method excludes zero, and in how many there is one
    """

    methods: tuple[str, ...]
    seeds: int
    cells: Mapping[tuple[str, Column], Cell]
    parts: Mapping[str, Mapping[str, Sequence[Column]]]
    share: Mapping[str, float]
    chance: Mapping[str, float]
    learnt: Mapping[tuple[str, str], Learnt]
    shown: Mapping[tuple[str, Column], int]
    paired: Mapping[tuple[str, Column], int]

    @property
    def columns(self) -> list[Column]:
        """All columns, each once."""
        return list(
            dict.fromkeys(
                column
                for parts in self.parts.values()
                for columns in parts.values()
                for column in columns
            )
        )

    def defined(self, column: Column) -> bool:
        """Whether any method has a figure."""
        return any(self.cells[method, column].seeds for method in self.methods)

    def score(self, method: str, column: Column) -> float:
        """Return how good a mean is, larger is better; NaN where it is undefined.

        The accuracy with the person hidden cannot be better than the share of the largest group:
        below it, answers still depend on what is visible.
        """
        mean = self.cells[method, column].mean
        if column.metric == "hidden_accuracy":
            share = self.share.get(column.attribute, math.nan)
            return -mean if math.isnan(share) else -max(0.0, mean - share)
        return {"higher": mean, "lower": -mean, "zero": -abs(mean)}[column.word.better]

    def compare(self, method: str, other: str, column: Column) -> int:
        """Return 1 where a method is better than another by more than the spread, -1 worse, else 0.

        The spread is that of the difference of two single runs, sqrt(sd² + sd²). Where either has
        fewer than two seeds nothing is known of it, and the answer is 0. It is 0 too where one of
        them is the first method and the images show the difference in fewer than half of the
        seeds: with few seeds a spread may be small by chance.
        """
        first = self.methods[0]
        pair = (other if method == first else method), column
        if first in (method, other) and 2 * self.shown[pair] < self.paired[pair]:
            return 0
        spread = math.hypot(self.cells[method, column].sd, self.cells[other, column].sd)
        gap = self.score(method, column) - self.score(other, column)
        if math.isnan(gap) or math.isnan(spread) or abs(gap) <= max(spread, 1e-9):
            return 0
        return 1 if gap > 0 else -1

    def best(self, column: Column) -> str | None:
        """Return the method that is better than every other by more than the spread, if any."""
        there = [method for method in self.methods if self.cells[method, column].seeds]
        for method in there:
            others = [other for other in there if other != method]
            if others and all(self.compare(method, other, column) == 1 for other in others):
                return method
        return None


def collect(by_seed: Mapping[int, Figures], methods: Sequence[str], seeds: int) -> Board:
    """Put audits together.

    Parameters
    ----------
    by_seed : figures of one audit per seed, whose models are methods
    methods : rows of the leaderboard
    seeds : how many seeds were asked for, of which some may have no audit
    """
    first = next(iter(by_seed.values()))
    parts = _parts(first, methods)
    columns = {c for by_name in parts.values() for some in by_name.values() for c in some}
    cells = {
        (method, column): _cell({seed: column.of(own, method) for seed, own in by_seed.items()})
        for method in methods
        for column in columns
    }
    shown, paired = {}, {}
    for method in methods[1:]:
        for column in columns:
            name = f"{method} - {methods[0]}"
            found = [column.of(own, name) for own in by_seed.values()]
            shown[method, column] = sum(bool(figure and figure.shown) for figure in found)
            paired[method, column] = sum(bool(figure and figure.defined) for figure in found)
    return Board(
        methods=tuple(methods),
        seeds=seeds,
        cells=cells,
        parts=parts,
        share={
            name: _mean([own.majority(name) for own in by_seed.values()])
            for name in first.attributes
        },
        chance={
            name: _mean(
                [
                    figure.value
                    for own in by_seed.values()
                    for method in methods
                    if (figure := own.get(method, "chance_level", name)) and figure.defined
                ]
            )
            for name in first.attributes
        },
        learnt={
            (method, name): _learnt(list(by_seed.values()), method, name)
            for method in methods
            for name in first.attributes
        },
        shown=shown,
        paired=paired,
    )


def table(board: Board) -> pd.DataFrame:
    """Return `leaderboard.csv`: a row per method; per column mean, sd, seeds, n and best."""
    rows: list[dict[str, Any]] = []
    for method in board.methods:
        row: dict[str, Any] = {"method": method}
        for column in board.columns:
            cell = board.cells[method, column]
            row[f"{column.key} mean"] = cell.mean
            row[f"{column.key} sd"] = cell.sd
            row[f"{column.key} seeds"] = cell.seeds
            row[f"{column.key} n"] = cell.n
            row[f"{column.key} best"] = board.best(column) == method
        rows.append(row)
    return pd.DataFrame(rows)


def figures(board: Board) -> pd.DataFrame:
    """Return `figures.csv`, a row per run and figure: the leaderboard can be computed from it."""
    names = ["method", "seed", "metric", "attribute", "task", "label"]
    return pd.DataFrame(
        [
            (method, seed, *column, figure.value, figure.low, figure.high, figure.n, column.unit)
            for method in board.methods
            for column in board.columns
            for seed, figure in board.cells[method, column].by_seed.items()
            if figure is not None
        ],
        columns=[*names, "value", "low", "high", "n", "unit"],
    )


def _parts(audit: Figures, methods: Sequence[str]) -> dict[str, dict[str, tuple[Column, ...]]]:
    right, amplifies, evidence = PARTS
    found: dict[str, dict[str, tuple[Column, ...]]] = {}
    tasks = audit.tasks
    for name in audit.attributes:
        in_versions = [
            column
            for task in tasks
            for metric in words.VERSION_ROWS
            if any((column := Column(metric, name, task)).of(audit, method) for method in methods)
        ]
        found[name] = {
            right: (
                *(Column(metric, name) for metric in PARTS[right]),
                *(
                    column
                    for task in tasks
                    for column in (Column("accuracy", "", task), Column(WORST, name, task))
                ),
            ),
            amplifies: (
                *in_versions,
                *(Column(metric, name, task) for task in tasks for metric in PARTS[amplifies]),
            ),
            evidence: tuple(
                Column(metric, name, "", REASON if metric == "reasons" else "")
                for metric in PARTS[evidence]
            ),
        }
    if not audit.attributes:
        found[""] = {right: tuple(Column("accuracy", "", task) for task in tasks)}
    return found


def _learnt(audits: Sequence[Figures], method: str, attribute: str) -> Learnt:
    recalls, shown, guess = [], 0, math.nan
    for audit in audits:
        named = [
            figure
            for group in audit.groups(attribute)
            if group != UNKNOWN
            and (figure := audit.get(method, "accuracy", attribute, group=group))
            and figure.defined
        ]
        if len(named) < 2:
            continue
        guess = 1 / len(named)
        recall = sum(figure.value for figure in named) * guess
        error = guess * math.sqrt(sum(f.value * (1 - f.value) / f.n for f in named))
        recalls.append(recall)
        shown += recall > guess + 2 * error + 1e-9
    return Learnt(_mean(recalls), guess, shown, len(recalls))


def _cell(by_seed: dict[int, Figure | None]) -> Cell:
    values = [figure.value for figure in by_seed.values() if figure and figure.defined]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Cell(by_seed, _mean(values), sd)


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan
