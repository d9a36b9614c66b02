"""Random rows of images, as plain values for the loops and in containers for the measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import any_container
import brute_force as brute
import numpy as np
from any_container import Random, one_of

from fairvision import metrics

WIDTH = 3  # labels of a table


@dataclass
class Draw:
    """Random rows, and how they are given to a measure."""

    random: Random
    rows: int
    spoil: Callable[[Random, dict[str, Any]], dict[str, Any]] | None = None
    plain: dict[str, list[Any]] = field(default_factory=dict)  # None where unknown
    given: dict[str, tuple[str, Sequence[Any]]] = field(default_factory=dict)  # kind, declared
    counts: list[int] | None = None
    weights: list[float] | None = None

    def column(
        self, name: str, values: Sequence[Any], kind: str, declared: Sequence[Any] = ()
    ) -> list[Any]:
        """Draw a column, some of it unknown perhaps, and remember in which kind of container."""
        unknown = one_of(self.random, [0, 0.1, 0.3, 0.3, 1 if self.random.random() < 0.2 else 0.1])
        if kind == "bits":
            unknown = 0
        used = [v for v in values if self.random.random() < 0.8] or list(values)[:1]
        self.plain[name] = [
            None if self.random.random() < unknown else one_of(self.random, used)
            for _ in range(self.rows)
        ]
        self.given[name] = kind, declared
        return self.plain[name]

    def sampled(self, weights: bool = True) -> None:
        """Draw how often rows count, and what images weigh."""
        if self.random.random() < 0.5:
            self.counts = self.random.integers(0, 4, self.rows).tolist()
        if weights and self.random.random() < 0.4:
            weigh = one_of(self.random, [[0.25, 1.0, 2.5], [0.0, 0.5, 3.0], [0.5]])
            self.weights = [one_of(self.random, weigh) for _ in range(self.rows)]

    def images(self, **names: str) -> list[brute.Image]:
        """The images; `names` are of columns, under which the loops look for them."""
        columns = {name: self.plain[of] for name, of in names.items()}
        columns["weight"] = self.weights or [1] * self.rows
        if "where" not in columns:
            columns["where"] = [True] * self.rows
        return brute.repeated(columns, self.counts or [1] * self.rows)

    def contained(self, name: str, rows: Sequence[int]) -> Any:
        kind, declared = self.given[name]
        values = [self.plain[name][row] for row in rows]
        if kind in ("table", "scores"):
            entries = [
                None if held is None else [label in held for label in range(WIDTH)]
                for held in (values if kind == "table" else ())
            ]
            width = WIDTH if kind == "table" else len(declared)
            named = declared if kind == "scores" and isinstance(declared[0], str) else None
            return any_container.table(
                self.random, entries or values, width, named, labels=kind == "table"
            )
        contain = getattr(any_container, kind)
        if kind in ("names", "codes"):
            return contain(self.random, values, declared)
        return contain(self.random, values)

    def arguments(self, keyword: str = "counts", **names: str) -> dict[str, Any]:
        """The columns in containers, or counted in batches, with counts and weights."""
        if self.counts is not None and keyword == "counts" and self.random.random() < 0.1:
            self.plain["strata"] = self.random.integers(0, 2, self.rows).tolist()
            self.given["strata"] = "codes", ()
            names["strata"] = "strata"
        for name, values in ((keyword, self.counts), ("weights", self.weights)):
            if values is not None:
                self.plain[name], names[name] = values, name
                self.given[name] = "numbers" if name == "weights" else "codes", ()
        if not self.rows or self.random.random() < 0.6:
            return {name: self.contained(of, range(self.rows)) for name, of in names.items()}
        whole = metrics.Counts(keyword)
        cuts = sorted(self.random.integers(0, self.rows + 1, int(self.random.integers(3))).tolist())
        order = self.random.permutation(self.rows).tolist()
        for start, stop in zip([0, *cuts], [*cuts, self.rows]):
            batch = {name: self.contained(of, order[start:stop]) for name, of in names.items()}
            if self.random.random() < 0.5:
                whole.update(**batch)
            else:
                other = metrics.Counts(keyword)
                other.update(**batch)
                whole.merge(other)
        return dict(whole)

    def call(self, function: Callable[..., Any], arguments: dict[str, Any], **more: Any) -> Any:
        more["replicates"] = one_of(self.random, [0, 0, 3])
        if more["replicates"] and self.random.random() < 0.3:
            more["interval"] = "bca"
        if self.spoil is not None:
            arguments = self.spoil(self.random, arguments)
        return function(**arguments, **more)


def labels_of(draw: Draw, *names: str) -> tuple[str, list[Any]]:
    """Draw columns of labels; return of what kind they are, and the labels there may be."""
    kind = one_of(draw.random, ["names", "codes", "binary", "table"])
    if kind == "table":
        sets = [frozenset(np.flatnonzero([i & 1, i & 2, i & 4]).tolist()) for i in range(8)]
        for name in names:
            draw.column(name, sets, "table")
        return kind, list(range(WIDTH))
    values: list[Any] = ["cat", "dog", "elk"] if kind == "names" else [0, 1, 2, 40]
    values = [0, 1] if kind == "binary" else values
    more = [*values, "zebra"] if kind == "names" else values
    for name in names:
        declared = more if kind != "binary" and draw.random.random() < 0.2 else ()
        draw.column(name, values, "codes" if kind == "binary" else kind, declared)
    return kind, [label for name in names for label in draw.given[name][1]]


def groups_of(draw: Draw, *names: str, declare: bool = True) -> list[Any]:
    """Draw columns of groups; return those that are declared."""
    kind = one_of(draw.random, ["names", "codes"])
    values: list[Any] = ["f", "m", "x"] if kind == "names" else [0, 1, 2]
    for name in names:
        declared = values if declare and draw.random.random() < 0.2 else ()
        draw.column(name, values, kind, declared)
    return [group for name in names for group in draw.given[name][1]]
