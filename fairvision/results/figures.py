"""The metrics table: the rows that results make, the file read back, figures looked up in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fairvision import metrics
from fairvision.core.csv_files import read_csv
from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError, check_file, shown
from fairvision.metrics import Result
from fairvision.results import words
from fairvision.results.metric import Words
from fairvision.results.registry import in_section, registered
from fairvision.results.sections import REPORT, Section
from fairvision.schema import UNKNOWN

CONFIDENCE = 0.95
"""Of every interval in the table."""
KEYS = ("model", "metric", "attribute", "task", "group", "label")
NUMBERS = ("value", "low", "high", "n")
COLUMNS = (*KEYS, *NUMBERS, "unit")


class Key(NamedTuple):
    """What a figure is about, whichever model it is of."""

    metric: str
    attribute: str = ""
    task: str = ""
    group: str = ""
    label: str = ""


Computed = Iterator[tuple[Key, Result]]
"""What computations yield, in the order of the table."""


def difference_of(first: str, other: str) -> str:
    """Return what stands in the column `model` for the difference of two models.

    >>> difference_of("A", "B")
    'B - A'
    """
    return f"{other} - {first}"


def differences(first: Mapping[Key, Result], other: Mapping[Key, Result]) -> Computed:
    """Yield the paired difference `other - first` of each figure that both have."""
    for key, result in first.items():
        if key in other:
            yield key, metrics.compare(result, other[key])


def tabulate(results: Iterable[tuple[str, Key, Result]]) -> pd.DataFrame:
    """Return the metrics table.

    Parameters
    ----------
    results : model (or difference of models), key and result of each figure, in order. A key
        without label gets those of the result's pairs of group and label.

    Returns
    -------
    the table of docs/design.md, with empty keys as "". Undefined figures are NaN.
    """
    by_name = registered()
    rows: list[dict[str, object]] = []
    for model, key, result in results:
        metric = by_name[key.metric]
        unit = "difference" if " - " in model else metric.unit
        row = {"model": model, **key._asdict(), "unit": unit}
        if metric.rows != "pairs":
            rows.append({**row, **{name: getattr(result, name) for name in NUMBERS}})
        if result.pairs is not None and metric.rows != "whole":
            rows += [
                {**row, **{name: pair[name] for name in pair if name in COLUMNS}}
                for pair in result.pairs.to_dict("records")
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read `metrics.csv` as an audit wrote it; `InputError` says that it is damaged, and where."""
    path = check_file(path, "a metrics table")
    try:
        table: pd.DataFrame = read_csv(path).to_pandas()
    except InputError as error:
        raise InputError(f"{path} is damaged: {str(error).removeprefix(f'{path} ')}") from None
    for column in COLUMNS:
        if column not in table:
            raise InputError(f"{path} is damaged: it has no column {column!r}")
    parsers: dict[str, Callable[[str], object]] = {"n": _count, "unit": _unit}
    for column in (*NUMBERS, "unit"):
        values: list[Any] = []
        for row, text in enumerate(table[column], 1):
            try:
                values.append(parsers.get(column, float)(text or "nan"))
            except ValueError:
                raise InputError(
                    f"{path} is damaged: row {row}, column {column!r} holds {shown(text)}"
                ) from None
        table[column] = values
    return table


def _count(text: str) -> int:
    """Return a number of images."""
    if not 0 <= int(text) < 2**53:
        raise ValueError(text)
    return int(text)


def _unit(text: str) -> str:
    """Return a unit, which is a word."""
    if not text.isalpha() or text == "nan":
        raise ValueError(text)
    return text


@dataclass(frozen=True)
class Figure:
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
    def sign(self) -> int:
        """The sign that the interval shows; 0 where it includes zero or has no width.

        An interval without width shows nothing: every resample gave the same, as with few images.
        """
        return (int(self.low > 0) - int(self.high < 0)) * (self.high > self.low)

    def sentence(self, before: str = "") -> str:
        """Write the figure with its interval and n."""
        return f"{self} ({before}{self.interval}, n = {self.n})"


class Recall(NamedTuple):
    """How often the groups are named right, averaged over them.

    Attributes
    ----------
    mean : over the known groups
    guess : what it is for answers that do not depend on the image, 1 / groups
    error : its standard error
    """

    mean: float
    guess: float
    error: float

    @property
    def sign(self) -> int:
        """Whether it is above (1) or below (-1) a guess by more than two standard errors."""
        beyond = self.mean - self.guess
        return (1 if beyond > 0 else -1) * (abs(beyond) > 2 * self.error + 1e-9)


class Difference(NamedTuple):
    """A difference from the first model, and what it shows in a word or two."""

    figure: Figure | None
    change: str


@dataclass(frozen=True)
class Row:
    """One metric in a comparison: every model's figure, then every difference from the first."""

    words: Words
    figures: list[Figure | None]
    differences: list[Difference]


@dataclass(frozen=True)
class Figures:
    """All figures of an audit, and the names that occur in them, in order of appearance."""

    models: list[str]
    table: dict[tuple[str, Key], Figure]
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
        return self.table.get((model, Key(metric, attribute, task, group, label)))

    def defined(
        self,
        model: str,
        metric: str,
        attribute: str = "",
        task: str = "",
        group: str = "",
        label: str = "",
    ) -> Figure | None:
        """Return the figure of exactly these keys, or None where it is absent or undefined."""
        figure = self.get(model, metric, attribute, task, group, label)
        return figure if figure is not None and figure.defined else None

    def find(self, model: str, key: Key) -> Figure:
        """Return the figure of exactly these keys; `InputError` where the audit has none.

        Examples
        --------
        >>> table = {("m", Key("accuracy", "gender")): Figure(0.9, 0.8, 1.0, 50)}
        >>> Figures(["m"], table, ["gender"], []).find("m", Key("acuracy", "gender"))
        Traceback (most recent call last):
        fairvision.errors.InputError: m has no figure 'acuracy': did you mean accuracy?
        """
        if figure := self.table.get((model, key)):
            return figure
        models = {of for of, _ in self.table}
        if model not in models:
            raise InputError(f"no model {shown(model)} was audited{did_you_mean(model, models)}")
        keys = [of for name, of in self.table if name == model]
        for place, field in enumerate(Key._fields):
            names = sorted({of[place] for of in keys})
            if not key[place] and "" not in names:
                raise InputError(f"say of which {field} {key.metric} is: {', '.join(names)}")
            if key[place] not in names:
                subject = "figure" if field == "metric" else f"{key.metric} of {field}"
                meant = did_you_mean(key[place], names)
                raise InputError(f"{model} has no {subject} {shown(key[place])}{meant}")
            keys = [of for of in keys if of[place] == key[place]]
        raise AssertionError(key)  # each of its parts was there

    def has(self, metric: str, attribute: str = "", task: str = "", group: str = "") -> bool:
        """Whether any model has a defined figure of these keys."""
        return any(self.defined(model, metric, attribute, task, group) for model in self.models)

    @property
    def tasks_only(self) -> list[str]:
        """The models that name a task's labels, and no group of any attribute."""
        return [
            model
            for model in self.models
            if any(self.get(model, "accuracy", "", task) for task in self.tasks)
            and not any(self.get(model, "accuracy", name) for name in self.attributes)
        ]

    def groups(self, attribute: str) -> list[str]:
        """Return the groups of an attribute, `unknown` last."""
        names = {
            key.group: None for _, key in self.table if key.attribute == attribute and key.group
        }
        return [name for name in names if name != UNKNOWN] + [UNKNOWN] * (UNKNOWN in names)

    def labels(self, metric: str, attribute: str, task: str) -> list[tuple[str, str]]:
        """Return the pairs of group and label for which `metric` has figures."""
        return list(
            {
                (key.group, key.label): None
                for model, key in self.table
                if key[:3] == (metric, attribute, task) and key.label and model in self.models
            }
        )

    def row(self, metric: str, attribute: str = "", task: str = "") -> Row | None:
        """Return the comparison of all models on one metric, or None where none has it."""
        figures = [self.get(model, metric, attribute, task) for model in self.models]
        if not any(figures):
            return None
        differences = []
        for model, other in zip(self.models[1:], figures[1:], strict=True):
            figure = self.get(difference_of(self.models[0], model), metric, attribute, task)
            change = ""
            if figure and figure.defined and figures[0] and other:
                change = words.change(
                    metric, figures[0].value, other.value, figure.low, figure.high
                )
            differences.append(Difference(figure, change))
        return Row(words.words_of(metric, attribute, task), figures, differences)

    def rows(self, section: Section, attribute: str = "", task: str = "") -> list[Row]:
        """Return the rows of a section that some model has."""
        rows = (self.row(metric, attribute, task) for metric in in_section(section))
        return [row for row in rows if row is not None]

    def parts(self, attribute: str, *, folded: bool = False) -> dict[str, list[Row]]:
        """Return the comparison of one attribute: rows under headings; empty ones left out.

        Parameters
        ----------
        attribute : its name
        folded : the sections that stand folded away, instead of the others
        """
        parts = {
            section.heading.format(task=task): self.rows(section, attribute, task)
            for section in REPORT
            if section.folded is folded
            for task in (self.tasks if section.scope == "attribute and task" else [""])
        }
        return {heading: rows for heading, rows in parts.items() if rows}

    def recall(self, model: str, metric: str, attribute: str) -> Recall | None:
        """Return the mean of an accuracy over the known groups; None with fewer than two."""
        by_group = [
            figure
            for group in self.groups(attribute)
            if group != UNKNOWN and (figure := self.defined(model, metric, attribute, group=group))
        ]
        if len(by_group) < 2:
            return None
        guess = 1 / len(by_group)
        error = guess * math.sqrt(sum(f.value * (1 - f.value) / f.n for f in by_group))
        return Recall(sum(figure.value for figure in by_group) * guess, guess, error)

    def majority(self, attribute: str) -> float:
        """Return the share of the largest known group among images that have a person hidden."""
        counts = [
            figure.n
            for group in self.groups(attribute)
            if group != UNKNOWN
            and (figure := self.get(self.models[0], "hidden_accuracy", attribute, group=group))
        ]
        return max(counts) / sum(counts) if sum(counts) else math.nan


def read(metrics: pd.DataFrame, models: Sequence[str]) -> Figures:
    """Read a metrics table, in memory or as `metrics.csv` gives it back."""
    texts = {
        key: [
            str(name) if there else ""
            for name, there in zip(metrics[key].tolist(), metrics[key].notna().tolist())
        ]
        for key in KEYS
    }
    numbers = [metrics[name].astype(float).tolist() for name in ("value", "low", "high")]
    counts = metrics["n"].fillna(0).astype(int).tolist()
    figures = {
        (model, Key(*key)): Figure(*figure)
        for (model, *key), *figure in zip(
            zip(*texts.values()), *numbers, counts, metrics["unit"].tolist(), strict=True
        )
    }

    def names(key: str) -> list[str]:
        return [name for name in dict.fromkeys(texts[key]) if name]

    return Figures(list(models), figures, names("attribute"), names("task"))
