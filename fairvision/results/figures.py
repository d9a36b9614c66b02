"""The metrics table, looked up by key."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fairvision.core.table_files import read_csv
from fairvision.errors import InputError, check_file, shown
from fairvision.results import words

KEYS = ["model", "metric", "attribute", "task", "group", "label"]
NUMBERS = ["value", "low", "high", "n"]
UNKNOWN = "unknown"


class Figure(NamedTuple):
    """One figure with its interval; a value that is NaN is undefined on its `n` images."""

    value: float
    low: float
    high: float
    n: int
    unit: str = "fraction"

    @property
    def defined(self) -> bool:
        """Whether there is a value to show."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        return words.written(self.value, self.unit)

    @property
    def interval(self) -> str:
        """The interval in words."""
        return f"{words.written(self.low, self.unit)} to {words.written(self.high, self.unit)}"

    @property
    def shown(self) -> int:
        """The sign that the interval shows; 0 where it includes zero or has no width."""
        return (int(self.low > 0) - int(self.high < 0)) * (self.high > self.low)

    def spoken(self, before: str = "") -> str:
        """Write the figure with its interval and n."""
        return f"{self} ({before}{self.interval}, n = {self.n})"


class Row(NamedTuple):
    """One metric in a comparison: every model's figure, then every difference from the first."""

    word: words.Word
    figures: list[Figure | None]
    differences: list[tuple[Figure | None, str]]


@dataclass(frozen=True)
class Figures:
    """All figures of an audit, and the names that occur in them, in order of appearance."""

    models: list[str]
    table: dict[tuple[str, ...], Figure]
    attributes: list[str]
    tasks: list[str]

    def get(
        self,
        model: str,
        metric: str,
        attribute: str = "",
        task: str = "",
        group: str = "",
        label: str = "",
    ) -> Figure | None:
        """Return the figure of exactly these keys, or None where the audit has none."""
        return self.table.get((model, metric, attribute, task, group, label))

    def has(self, metric: str, attribute: str = "", task: str = "", group: str = "") -> bool:
        """Whether any model has a defined figure of these keys."""
        found = (self.get(model, metric, attribute, task, group) for model in self.models)
        return any(figure is not None and figure.defined for figure in found)

    def groups(self, attribute: str) -> list[str]:
        """Return the groups of an attribute, `unknown` last."""
        names = {key[4]: None for key in self.table if key[2] == attribute and key[4]}
        return [name for name in names if name != UNKNOWN] + [UNKNOWN] * (UNKNOWN in names)

    def labels(self, metric: str, attribute: str, task: str) -> list[tuple[str, str]]:
        """Return the pairs of group and label for which `metric` has figures."""
        return list(
            {
                (key[4], key[5]): None
                for key in self.table
                if key[1:4] == (metric, attribute, task) and key[5] and key[0] in self.models
            }
        )

    def row(self, metric: str, attribute: str = "", task: str = "") -> Row | None:
        """Return the comparison of all models on one metric, or None where none has it."""
        figures = [self.get(model, metric, attribute, task) for model in self.models]
        if not any(figures):
            return None
        differences = []
        for model, other in zip(self.models[1:], figures[1:], strict=True):
            found = self.get(f"{model} - {self.models[0]}", metric, attribute, task)
            change = ""
            if found and found.defined and figures[0] and other:
                change = words.change(metric, figures[0].value, other.value, found.low, found.high)
            differences.append((found, change))
        return Row(words.word(metric, attribute, task), figures, differences)

    def rows(self, metrics: tuple[str, ...], attribute: str = "", task: str = "") -> list[Row]:
        """Return the rows of those metrics that some model has."""
        found = (self.row(metric, attribute, task) for metric in metrics)
        return [row for row in found if row is not None]

    def parts(self, attribute: str) -> dict[str, list[Row]]:
        """Return the comparison of one attribute: rows under headings; empty ones left out."""
        parts = {
            heading: self.rows(metrics, attribute)
            for heading, metrics in words.ATTRIBUTE_ROWS.items()
        }
        for task in self.tasks:
            parts[f"Together with {task}"] = self.rows(
                (
                    *words.CONTEXT_ROWS,
                    *words.VERSION_ROWS,
                    *words.AMPLIFICATION_ROWS,
                    *words.SPLIT_ROWS,
                    "accuracy_gap",
                ),
                attribute,
                task,
            )
        return {heading: rows for heading, rows in parts.items() if rows}

    def more(self, attribute: str) -> dict[str, list[Row]]:
        """Return the rows of one attribute that stand folded away, under headings."""
        parts = {
            heading: self.rows(metrics, attribute)
            for heading, metrics in words.MORE_ATTRIBUTE_ROWS.items()
        }
        for task in self.tasks:
            parts[f"Together with {task}"] = self.rows(words.MORE_TASK_ROWS, attribute, task)
        return {heading: rows for heading, rows in parts.items() if rows}

    def majority(self, attribute: str) -> float:
        """Return the share of the largest known group among images that have a person hidden."""
        counts = [
            figure.n
            for group in self.groups(attribute)
            if group != UNKNOWN
            and (figure := self.get(self.models[0], "hidden_accuracy", attribute, group=group))
        ]
        return max(counts) / sum(counts) if sum(counts) else math.nan


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read `metrics.csv` as an audit wrote it; `InputError` says that it is damaged, and where."""
    path = check_file(path, "a metrics table")
    try:
        table = read_csv(path).to_pandas()
    except InputError as error:
        raise InputError(f"{path} is damaged: {str(error).removeprefix(f'{path} ')}") from None
    for column in (*KEYS, *NUMBERS, "unit"):
        if column not in table:
            raise InputError(f"{path} is damaged: it has no column {column!r}")
    kinds: dict[str, Callable[[str], object]] = {"n": _count, "unit": _word}
    for column in (*NUMBERS, "unit"):
        read_as = []
        for row, text in enumerate(table[column], 1):
            try:
                read_as.append(kinds.get(column, float)(text or "nan"))
            except ValueError:
                raise InputError(
                    f"{path} is damaged: row {row}, column {column!r} holds {shown(text)}"
                ) from None
        table[column] = read_as
    return table


def _count(text: str) -> int:
    """Return a number of images."""
    if not 0 <= int(text) < 2**53:
        raise ValueError(text)
    return int(text)


def _word(text: str) -> str:
    """Return a unit, which is a word."""
    if not text.isalpha() or text == "nan":
        raise ValueError(text)
    return text


def read(metrics: pd.DataFrame, models: list[str]) -> Figures:
    """Read a metrics table, in memory or as `metrics.csv` gives it back."""
    table = metrics.copy()
    for key in KEYS:
        table[key] = table[key].astype(object).where(table[key].notna(), "").astype(str)
    columns = [*KEYS, "value", "low", "high", "unit"]
    counts = table["n"].fillna(0).astype(int)
    figures = {
        tuple(row[:6]): Figure(float(row[6]), float(row[7]), float(row[8]), n, row[9])
        for row, n in zip(table[columns].itertuples(index=False, name=None), counts, strict=True)
    }

    def names(key: str) -> list[str]:
        return [name for name in dict.fromkeys(table[key]) if name]

    return Figures(models, figures, names("attribute"), names("task"))
