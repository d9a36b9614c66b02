"""Figures of several audits put together: mean and spread over the seeds, and what stands out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.entries.groups import BALANCED
from fairvision.results.figures import Figure, Figures, difference_of
from fairvision.results.metric import Unit, Words
from fairvision.results.registry import registered, unit_of
from fairvision.results.sections import BOARD_PARTS

RANKED_BY = ("worst_group_accuracy", "holds", T_TO_A, A_TO_T)
"""The metrics by which methods are ranked: the next one where the seeds tell nothing by one."""
LEAST = 0.05
"""Of the way from a guess to always right: who learns less of it than that, names nearly one group.
"""


class Column(NamedTuple):
    """One measure of the leaderboard, by the keys of the metrics table."""

    metric: str
    attribute: str = ""
    task: str = ""
    label: str = ""

    @property
    def words(self) -> Words:
        """What the page says about it."""
        metric = registered()[self.metric]
        entry = metric.leaderboard
        if entry is not None:
            metric = replace(
                metric,
                title=entry.title or metric.title,
                meaning=entry.meaning or metric.meaning,
                undefined=entry.undefined or metric.undefined,
            )
        return metric.words(self.attribute, self.task)

    @property
    def unit(self) -> Unit:
        """Unit of the mean, as in the metrics table."""
        return unit_of(self.metric)

    @property
    def key(self) -> str:
        """Name in `leaderboard.csv`."""
        return "/".join(filter(None, (self.metric.replace(" ", "_"), self.attribute, self.task)))

    def of(self, figures: Figures, model: str) -> Figure | None:
        """Return a model's figure, or None where its audit has none."""
        return figures.get(model, self.metric, self.attribute, self.task, label=self.label)


class Summary(NamedTuple):
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
    """Whether a method tells the groups of an attribute, or the labels of a task, apart at all.

    Attributes
    ----------
    figure : of an attribute, the mean over the known groups of how often each is named; of a task,
        the balanced accuracy; mean over the seeds
    guess : what it is for answers that do not depend on the image: 1 / groups, or 1 / 2
    shown, seeds : in how many seeds it is shown to be above that, of how many: by more than two
        standard errors, or by its interval
    noun : what the figure is called
    """

    figure: float
    guess: float
    shown: int
    seeds: int
    noun: str

    @property
    def little(self) -> bool:
        """Whether next to nothing was learnt.

        It is not shown in half of the seeds, or less than `LEAST` of the way from a guess to
        answers that are always right.
        """
        if not self.seeds:
            return False
        way = (self.figure - self.guess) / (1 - self.guess)
        return 2 * self.shown < self.seeds or way < LEAST


@dataclass(frozen=True)
class Board:
    """The leaderboard.

    Attributes
    ----------
    methods : the first is what the others are compared with
    seeds : how many were asked for
    summaries : by method and column; columns in which no method has a figure are there too
    parts : columns under headings, by attribute; "" holds those of tasks without an attribute
    share : by attribute, the share of the largest group among images with the person hidden
    chance : by attribute, the chance level of the evidence
    learnt : by method, and attribute or task
    shown, paired : by method and column, in how many seeds the audit's paired interval of the
        difference from the first method excludes zero, and in how many there is one
    """

    methods: tuple[str, ...]
    seeds: int
    summaries: Mapping[tuple[str, Column], Summary]
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
        return any(self.summaries[method, column].seeds for method in self.methods)

    def score(self, method: str, column: Column) -> float:
        """Return how good a mean is, larger is better; NaN where it is undefined.

        The accuracy with the person hidden cannot be better than the share of the largest group:
        below it, answers still depend on what is visible.
        """
        mean = self.summaries[method, column].mean
        if column.metric == "hidden_accuracy":
            share = self.share.get(column.attribute, math.nan)
            return -mean if math.isnan(share) else -max(0.0, mean - share)
        return {"higher": mean, "lower": -mean, "zero": -abs(mean)}[column.words.better]

    def compare(self, method: str, other: str, column: Column) -> int:
        """Return 1 where a method is better than another by more than the spread, -1 worse, else 0.

        The spread is that of the difference of two single runs, sqrt(sd² + sd²). Where either has
        fewer than two seeds nothing is known of it, and the answer is 0. It is 0 too where one of
        them is the first method and the images show the difference in fewer than half of the
        seeds: with few seeds a spread may be small by chance. And it is 0 where the better one has
        learnt little of the column's attribute or task.
        """
        first = self.methods[0]
        pair = (other if method == first else method), column
        if first in (method, other) and 2 * self.shown[pair] < self.paired[pair]:
            return 0
        spread = math.hypot(self.summaries[method, column].sd, self.summaries[other, column].sd)
        gap = self.score(method, column) - self.score(other, column)
        if math.isnan(gap) or math.isnan(spread) or abs(gap) <= max(spread, 1e-9):
            return 0
        better, sign = (method, 1) if gap > 0 else (other, -1)
        return 0 if self.learnt_little(better, column.attribute, column.task) else sign

    def learnt_little(self, method: str, *names: str) -> list[str]:
        """Return the attributes and tasks, or which of some, that a method hardly tells apart."""
        return [
            name
            for (of_method, name), learnt in self.learnt.items()
            if of_method == method and (not names or name in names) and learnt.little
        ]

    def rank(self, method: str, attribute: str) -> int | None:
        """Return how many methods are better, and one more; None where a method has no rank.

        Better is what `compare` says by the first of `RANKED_BY` that tells two methods apart, so
        methods that none does share a rank. Where a method has learnt little, or has no such
        figure, it has no rank, and takes none from others: what always names the largest group
        neither amplifies nor turns with the surroundings.
        """
        columns = [
            column
            for metric in RANKED_BY
            for of_part in self.parts[attribute].values()
            for column in of_part
            if column.metric == metric and column.attribute == attribute
        ]
        ranked = [
            name
            for name in self._that_learnt(attribute, "")
            if any(self.summaries[name, column].seeds for column in columns)
        ]
        if method not in ranked:
            return None
        place = 1
        for other in ranked:
            if other != method:
                signs = (self.compare(other, method, column) for column in columns)
                place += next(filter(None, signs), 0) == 1
        return place

    def ranking(self, attribute: str) -> list[str]:
        """Return the methods by their rank, those without one last, else in their order."""
        ranks = {method: self.rank(method, attribute) for method in self.methods}
        return sorted(self.methods, key=lambda method: ranks[method] or math.inf)

    def _that_learnt(self, attribute: str, task: str) -> list[str]:
        """Return the methods that have learnt little of neither an attribute nor a task."""
        return [
            method for method in self.methods if not self.learnt_little(method, attribute, task)
        ]

    def best(self, column: Column) -> str | None:
        """Return the method that is better than every other by more than the spread, if any.

        Methods that have learnt little of the column's attribute or task are left out.
        """
        measured = [
            method
            for method in self._that_learnt(column.attribute, column.task)
            if self.summaries[method, column].seeds
        ]
        for method in measured:
            others = [other for other in measured if other != method]
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
    audits = list(by_seed.values())
    attributes = audits[0].attributes
    parts = _parts(audits[0], methods)
    columns = {c for by_part in parts.values() for columns in by_part.values() for c in columns}
    changes = {
        (method, column): [column.of(audit, difference_of(methods[0], method)) for audit in audits]
        for method in methods[1:]
        for column in columns
    }
    levels = {
        name: [
            figure.value
            for audit in audits
            for method in methods
            if (figure := audit.defined(method, "chance_level", name))
        ]
        for name in attributes
    }
    return Board(
        methods=tuple(methods),
        seeds=seeds,
        summaries={
            (method, column): _summary(
                {seed: column.of(audit, method) for seed, audit in by_seed.items()}
            )
            for method in methods
            for column in columns
        },
        parts=parts,
        share={name: _mean([audit.majority(name) for audit in audits]) for name in attributes},
        chance={name: _mean(values) for name, values in levels.items()},
        learnt={
            (method, name): learnt(audits, method, name)
            for learnt, names in ((_learnt, attributes), (_learnt_task, audits[0].tasks))
            for method in methods
            for name in names
        },
        shown={key: sum(bool(f and f.sign) for f in of) for key, of in changes.items()},
        paired={key: sum(bool(f and f.defined) for f in of) for key, of in changes.items()},
    )


def table(board: Board) -> pd.DataFrame:
    """Return `leaderboard.csv`: a row per method, with its ranks; see docs/sweep.md."""
    rows: list[dict[str, str | float | bool | None]] = []
    for method in board.methods:
        row: dict[str, str | float | bool | None] = {"method": method}
        for attribute in filter(None, board.parts):
            row[f"rank/{attribute}"] = board.rank(method, attribute)
        for column in board.columns:
            summary = board.summaries[method, column]
            row[f"{column.key} mean"] = summary.mean
            row[f"{column.key} sd"] = summary.sd
            row[f"{column.key} seeds"] = summary.seeds
            row[f"{column.key} n"] = summary.n
            row[f"{column.key} best"] = board.best(column) == method
        rows.append(row)
    return pd.DataFrame(rows).astype(
        {name: "Int64" for name in rows[0] if name.startswith("rank/")}
    )


def figures(board: Board) -> pd.DataFrame:
    """Return `figures.csv`, a row per run and figure: the leaderboard can be computed from it."""
    names = ["method", "seed", "metric", "attribute", "task", "label"]
    return pd.DataFrame(
        [
            (method, seed, *column, figure.value, figure.low, figure.high, figure.n, column.unit)
            for method in board.methods
            for column in board.columns
            for seed, figure in board.summaries[method, column].by_seed.items()
            if figure is not None
        ],
        columns=[*names, "value", "low", "high", "n", "unit"],
    )


def _parts(audit: Figures, methods: Sequence[str]) -> dict[str, dict[str, tuple[Column, ...]]]:
    """Return the columns under the headings of parts, by attribute."""
    if not audit.attributes:
        columns = tuple(Column("accuracy", "", task) for task in audit.tasks)
        return {"": {BOARD_PARTS[0]: columns}}
    return {
        attribute: {part: tuple(_columns(part, attribute, audit, methods)) for part in BOARD_PARTS}
        for attribute in audit.attributes
    }


def _columns(part: str, attribute: str, audit: Figures, methods: Sequence[str]) -> Iterator[Column]:
    """Yield the columns of a part: those of the attribute, then those of each task.

    Those that are there only where they are defined come first.
    """
    entries = [
        (metric.name, metric.leaderboard)
        for metric in registered().values()
        if metric.leaderboard is not None and metric.leaderboard.part == part
    ]
    entries.sort(key=lambda entry: entry[1].rank)
    for is_optional in (True, False):
        for task in ("", *audit.tasks):
            for name, entry in entries:
                for scope in entry.scopes if entry.only_where_defined is is_optional else ():
                    if (scope == "attribute") is bool(task):
                        continue
                    column = Column(name, "" if scope == "task" else attribute, task, entry.label)
                    if not is_optional or any(column.of(audit, method) for method in methods):
                        yield column


def _learnt(audits: Sequence[Figures], method: str, attribute: str) -> Learnt:
    """Return a method's recall averaged over groups and seeds, beside that of a guess."""
    recalls = [
        recall
        for audit in audits
        if (recall := audit.recall(method, "accuracy", attribute)) is not None
    ]
    guess = recalls[-1].guess if recalls else math.nan
    shown = sum(recall.sign == 1 for recall in recalls)
    return Learnt(
        _mean([recall.mean for recall in recalls]),
        guess,
        shown,
        len(recalls),
        "mean recall over the groups",
    )


def _learnt_task(audits: Sequence[Figures], method: str, task: str) -> Learnt:
    """Return a method's balanced accuracy on a task averaged over seeds."""
    figures = [figure for audit in audits if (figure := audit.defined(method, BALANCED, task=task))]
    shown = sum(figure.low > 0.5 + 1e-9 for figure in figures)
    return Learnt(
        _mean([figure.value for figure in figures]), 0.5, shown, len(figures), "balanced accuracy"
    )


def _summary(by_seed: dict[int, Figure | None]) -> Summary:
    """Return the figures of all seeds with their mean and standard deviation."""
    values = [figure.value for figure in by_seed.values() if figure and figure.defined]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Summary(by_seed, _mean(values), sd)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN, and NaN if there are none."""
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan
