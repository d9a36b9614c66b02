"""What differs between two audits, the last release of a model and this one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from fairvision.results import words
from fairvision.results.figures import NUMBERS, Figure, Figures, Key, difference_of
from fairvision.results.findings import Finding
from fairvision.results.registry import registered
from fairvision.schema import UNKNOWN

OLD, NEW = "old", "new"
PAGE = "compare.html"
WORSE, BETTER = ("worse", "further from 0"), ("better", "closer to 0")
_BY_CHANCE = 0.05


@dataclass(frozen=True)
class Change:
    """A figure that two audits of a model have.

    Attributes
    ----------
    model : its name
    key : what the figure is about
    old, new : the figures
    difference : new minus old, with its interval; its n is that of the images of both, or of the
        smaller audit
    change : "worse", "better", "further from 0", "closer to 0" or "differs", as the interval shows;
        or "not shown"
    """

    model: str
    key: Key
    old: Figure
    new: Figure
    difference: Figure
    change: str

    @property
    def title(self) -> str:
        """What it is about, in words."""
        about = ", ".join(filter(None, self.key[1:]))
        name = words.words_of(self.key.metric, self.key.attribute, self.key.task).title
        return f"{name} ({about})" if about else name

    def __str__(self) -> str:
        return f"{self.title}: {self.old} → {self.new}, {self.difference.sentence()}"

    def as_json(self) -> dict[str, Any]:
        """Return the form in which `compare.json` holds it; undefined numbers are null."""
        numbers = {"old": self.old.value, "new": self.new.value}
        numbers |= {"difference": self.difference.value}
        numbers |= {name: getattr(self.difference, name) for name in ("low", "high")}
        return {
            "model": self.model,
            **self.key._asdict(),
            **{name: v if math.isfinite(v) else None for name, v in numbers.items()},
            "n": self.difference.n,
            "n_old": self.old.n,
            "n_new": self.new.n,
            "change": self.change,
        }


@dataclass(frozen=True)
class StatusChange:
    """A finding whose status is not what it was.

    Attributes
    ----------
    model : its name
    question, metric, attribute, task : what it is about
    old, new : "concern", "shown small", "none shown" or "cannot say"
    """

    model: str
    question: str
    metric: str
    attribute: str
    task: str
    old: str
    new: str

    @property
    def is_worse(self) -> bool:
        """Whether there is a concern now that was not there."""
        return self.new == "concern"

    def __str__(self) -> str:
        about = ", ".join(filter(None, (self.metric, self.attribute, self.task)))
        return f"{self.question} {self.old} → {self.new} ({about})"


_OfModel = TypeVar("_OfModel", Change, StatusChange)


@dataclass(frozen=True)
class Compared:
    """A model that both audits have.

    Attributes
    ----------
    name, old_name : what it is called, and was
    old, new, shared : how many images the audits have, and how many of them are in both
    why_unpaired : empty where differences are of the images that both have, in pairs; else why not
    """

    name: str
    old_name: str
    old: int
    new: int
    shared: int
    why_unpaired: str = ""

    @property
    def basis(self) -> str:
        """On what the differences rest, in a sentence."""
        if self.why_unpaired:
            return (
                f"Not paired, for {self.why_unpaired}: {self.old:,} pictures of the old audit, "
                f"{self.new:,} of the new one."
            )
        others = [
            f"{count:,} {verb}"
            for count, verb in (
                (self.new - self.shared, "only in the new one"),
                (self.old - self.shared, "only in the old one"),
            )
            if count
        ]
        rest = f" ({', '.join(others)}, which take no part)" if others else ""
        return f"Paired: the same {self.shared:,} pictures in both audits{rest}."


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    folder : where it is written
    models : those that are compared
    changes : every figure that both audits have, of every model
    statuses : the findings that are now a concern, or no longer, or cannot be said
    added, removed : models and groups that only the new audit has, and only the old one
    """

    folder: Path
    models: tuple[Compared, ...]
    changes: tuple[Change, ...]
    statuses: tuple[StatusChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def worse(self) -> list[Change]:
        """What is shown to have become worse."""
        return [change for change in self.changes if change.change in WORSE]

    @property
    def better(self) -> list[Change]:
        """What is shown to have become better."""
        return [change for change in self.changes if change.change in BETTER]

    def of(self, listed: Sequence[_OfModel], model: Compared) -> list[_OfModel]:
        """Return what is of one model."""
        return [entry for entry in listed if entry.model == model.name]

    def caution(self, model: Compared) -> str:
        """Return how many differences chance alone would show, in a sentence."""
        intervals = len(self.of(self.changes, model))
        chance = round(intervals * _BY_CHANCE)
        return f"Of {intervals:,} intervals about {chance:,} miss zero by chance alone."

    @property
    def page(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE


def paired(model: str, figures: Figures) -> Iterator[Change]:
    """Yield the changes of a model from an audit of its two releases on the same images.

    Parameters
    ----------
    model : its name
    figures : of an audit whose models are `OLD` and `NEW`
    """
    for (of, key), figure in figures.table.items():
        before, after = (figures.table.get((name, key)) for name in (OLD, NEW))
        if of == difference_of(OLD, NEW) and before and after and figure.defined:
            yield _change(model, key, before, after, figure)


def unpaired(
    model: str, figures: tuple[Figures, Figures], names: tuple[str, str]
) -> Iterator[Change]:
    """Yield the changes of a model from two audits on other images.

    The interval of a difference is made of those of both figures, as if the images had nothing in
    common (Zou and Donner: the differences of the ends from the values are added as squares). Where
    they have, it is too wide.

    Parameters
    ----------
    model : its name
    figures : of the old and of the new audit
    names : what the model is called in each

    Examples
    --------
    >>> key = Key("accuracy", "gender")
    >>> old = Figures(["m"], {("m", key): Figure(0.9, 0.84, 0.94, 100)}, ["gender"], [])
    >>> new = Figures(["m"], {("m", key): Figure(0.7, 0.6, 0.78, 100)}, ["gender"], [])
    >>> (change,) = unpaired("m", (old, new), ("m", "m"))
    >>> str(change), change.change
    ('Accuracy on gender (gender): 90.0% → 70.0%, −0.200 (−0.308 to −0.100, n = 100)', 'worse')
    """
    old, new = figures
    for (of, key), after in new.table.items():
        before = old.table.get((names[0], key))
        if of != names[1] or before is None or not (before.defined and after.defined):
            continue
        value = after.value - before.value
        low = value - math.hypot(after.value - after.low, before.high - before.value)
        high = value + math.hypot(after.high - after.value, before.value - before.low)
        n = min(before.n, after.n)
        yield _change(model, key, before, after, Figure(value, low, high, n, "difference"))


def _change(model: str, key: Key, old: Figure, new: Figure, difference: Figure) -> Change:
    """Return a change with its word."""
    word = words.change(key.metric, old.value, new.value, difference.low, difference.high)
    metric = registered()[key.metric]
    if metric.rows == "pairs" and word in (*WORSE, *BETTER):
        board = metric.leaderboard  # of several shares only this one has a better way
        word = word if board is not None and key.label == board.label else "differs"
    return Change(model, key, old, new, difference, word)


def status_changes(
    model: str, old: Sequence[Finding], new: Sequence[Finding]
) -> list[StatusChange]:
    """Return the findings of a model whose status is not what it was.

    Parameters
    ----------
    model : its name
    old, new : the findings about it of both audits
    """
    before = {(f.metric, f.attribute, f.task): f.status for f in old}
    return [
        StatusChange(model, f.question, *key, before[key], f.status)
        for f in new
        if (key := (f.metric, f.attribute, f.task)) in before and before[key] != f.status
    ]


def as_metrics(changes: Sequence[Change]) -> pd.DataFrame:
    """Return differences as a metrics table, for rules on them."""
    rows = [
        {"model": change.model, **change.key._asdict()}
        | {name: getattr(change.difference, name) for name in NUMBERS}
        | {"unit": "difference"}
        for change in changes
    ]
    return pd.DataFrame(rows, columns=["model", *Key._fields, *NUMBERS, "unit"])


def groups_of(figures: Figures) -> set[str]:
    """Return the groups, as "attribute: group", that an audit has figures of."""
    return {
        f"{attribute}: {group}"
        for attribute in figures.attributes
        for group in figures.groups(attribute)
        if group != UNKNOWN
    }
