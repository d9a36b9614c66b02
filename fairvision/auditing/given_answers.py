"""What tables say that a model answered: probabilities, logits, or labels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fairvision.auditing.columns import labelled_columns, score_columns
from fairvision.auditing.probabilities import (
    PERCENT,
    finite_numbers,
    fractions,
    from_logits,
    like_parts_of,
    normalised,
    together,
)
from fairvision.core.tables import Place, PlaceOf, Table
from fairvision.datasets.label_columns import read_labels
from fairvision.errors import InputError, shown
from fairvision.schema import Schema

SCORES = ("score", "hidden", "person")
SWAPPED = ("swapped", "same_swapped", "pasted", "others_here")
ANSWER = "answer"
_ENOUGH = 20  # rows of numbers from 0 to 1, or that sum to 1: logits do not
_NO_LOGIT = 20  # where no number is below 0, some above are percentages

Values = npt.NDArray[np.float64]
Head = tuple[str, str]
"""What was shown, such as `score` or `hidden`, and an attribute or a task."""


@dataclass(frozen=True)
class _Seen:
    """What was noticed of numbers that are called logits: whether they may be something else.

    Attributes
    ----------
    rows, largest : how many were read, and the largest number in them
    wholes : 1 where all are such as probabilities are, 100 where they are such as percentages
    sum_up : whether that is known by their sums, so that there is no doubt
    """

    rows: int = 0
    largest: float = 0.0
    wholes: frozenset[int] = frozenset({1, PERCENT})
    sum_up: bool = False

    def with_rows(self, scores: Values, one_holds: bool) -> _Seen:
        """Return what is noticed with more rows (n, labels)."""
        given = scores[~np.isnan(scores[:, 0])]
        fitting = [whole for whole in self.wholes if like_parts_of(given, whole, one_holds)]
        largest = max(self.largest, float(given.max(initial=0)))
        sum_up = one_holds and scores.shape[1] > 1
        return _Seen(self.rows + len(given), largest, frozenset(fitting), sum_up)

    def mistake(self) -> str:
        """Return what they are instead of logits, and what to do; "" where they may be logits."""
        if 1 in self.wholes and self.sum_up:
            return "probabilities, not logits: leave out --logits"
        if PERCENT in self.wholes and self.largest > _NO_LOGIT:
            return f"percentages, not logits: divide by {PERCENT}, and leave out --logits"
        return ""


@dataclass
class Answers:
    """Which columns of a table say what a model answers, and what was noticed in reading them.

    Attributes
    ----------
    table, schema : the table, and the attributes and tasks that are read
    scored : columns of scores of each label, or of one of two
    labelled : the column of predicted labels of heads without scores
    logits : whether scores are logits
    rounded : heads of which rows were divided by their sum
    seen_logits : by head, what was noticed of what is called logits
    """

    table: Table
    schema: Schema
    scored: dict[Head, list[str]]
    labelled: dict[str, str]
    logits: bool = False
    rounded: set[str] = field(default_factory=set)
    seen_logits: dict[Head, _Seen] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table, schema: Schema, kinds: Sequence[str], logits: bool) -> Answers:
        """Return what a table has of some kinds; `InputError` where it has no answers at all."""
        if logits and table.note is not None:
            raise InputError(f"{table.path} was written by an audit, as probabilities: no --logits")
        scored = {
            (kind, head): columns
            for kind in kinds
            for head in schema
            if (columns := _scored(table, schema, kind, head))
        }
        labelled = {
            head: column
            for head, column in labelled_columns(table.path, table.names).items()
            if head in schema and ("score", head) not in scored
        }
        if not scored and not labelled:
            raise _none(table)
        for head, column in labelled.items():
            table.check_text(column, lists=schema.is_many(head))
        return cls(table, schema, scored, labelled, logits)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are read."""
        scored = [name for names in self.scored.values() for name in names]
        return [*scored, *self.labelled.values()]

    def probabilities(self, rows: Any, start: int = 0) -> dict[Head, Values]:
        """Return probabilities (n, labels), rows of NaN where there is no answer.

        Parameters
        ----------
        rows : some rows of the table, a table or batch of arrow
        start : the first of them in the table
        """

        def place_of(row: int, column: str) -> Place:
            return self.table.place(start + row, column)

        values = {}
        for (kind, head), columns in self.scored.items():
            read = finite_numbers if self.logits and kind in SCORES else fractions
            numbers = {column: read(rows.column(column), column, place_of) for column in columns}
            values[kind, head] = self.of_labels(kind, head, numbers, place_of)
        return values

    def decisions(self, rows: Any, start: int = 0) -> dict[Head, npt.NDArray[Any]]:
        """Return the codes of predicted labels where there are no scores; see `probabilities`."""
        codes = {}
        for head, column in self.labelled.items():

            def place_of(row: int, _: str, column: str = column) -> Place:
                return self.table.place(start + row, column)

            answers = read_labels(self.schema, head, rows.column(column), place_of)
            codes["score", head] = answers.codes
        return codes

    def notes(self) -> Iterator[str]:
        """Yield what to know of how the columns were read; `InputError` if they are no logits."""
        path = self.table.path
        for (kind, head), seen in self.seen_logits.items():
            if seen.rows < _ENOUGH:
                continue
            if mistake := seen.mistake():
                raise InputError(
                    f"{path}: columns {kind}/{head}/… are {mistake}, and do not mix both"
                )
            if 1 in seen.wholes and kind == "score":
                yield (
                    f"{path.name}: all logits of {shown(head)} are from 0 to 1: if these are "
                    "probabilities, leave out --logits"
                )
        for (kind, head), columns in self.scored.items():
            if len(columns) == 1:
                (other,) = {*score_columns(kind, head, self.schema.labels(head))} - {*columns}
                yield f"{path.name}: {shown(other)} was taken to be 1 − {shown(columns[0])}"
        for kind, head in self.scored:
            if kind == "score" and f"predicted/{head}" in self.table.types:
                name = shown(f"predicted/{head}")
                yield f"{path.name}: {name} was not read: the scores of {shown(head)} decide"

    def of_labels(
        self, kind: str, head: str, numbers: Mapping[str, Values], place_of: PlaceOf
    ) -> Values:
        """Return the probability of each label, (n, labels), given the numbers in columns."""
        many, columns = self.schema.is_many(head), self.scored[kind, head]
        scores, logits = together(numbers, place_of), self.logits and kind in SCORES
        if logits:
            seen = self.seen_logits.get((kind, head), _Seen())
            self.seen_logits[kind, head] = seen.with_rows(scores, one_holds=not many)
        labels = score_columns(kind, head, self.schema.labels(head))
        if len(columns) == 1:
            is_scored = np.array([label == columns[0] for label in labels])
            if logits:
                return from_logits(np.where(is_scored, scores, -scores), many=True)
            return np.where(is_scored, scores, 1 - scores)
        if logits:
            return np.ascontiguousarray(from_logits(scores, many))
        if not many:
            scores, divided = normalised(scores, f"{kind}/{head}/…", place_of)
            if divided:
                self.rounded.add(head)
        return np.ascontiguousarray(scores)


def labels_of_answers(
    tables: Sequence[Table], look: Callable[[Table, str], tuple[bool, set[str] | None]]
) -> dict[str, list[tuple[str, set[str]]]]:
    """Return the labels that columns of predicted labels hold, by head: column and labels of each.

    Parameters
    ----------
    look : says of a column of a table whether it holds lists, and which labels
    """
    answered: dict[str, list[tuple[str, set[str]]]] = {}
    for table in tables:
        for head, column in labelled_columns(table.path, table.names).items():
            labels = look(table, column)[1]
            if labels is None:
                table.check_text(column, lists=True)
                raise InputError(f"{Place(table.path, column)} has too many different labels")
            answered.setdefault(head, []).append((f"{table.path}, column {shown(column)}", labels))
    return answered


def _scored(table: Table, schema: Schema, kind: str, head: str) -> list[str]:
    """Return the columns of scores of a head, none, one of two, or one for each of its labels."""
    columns = score_columns(kind, head, schema.labels(head))
    prefix = f"{kind}/{head}/"
    there = [column for column in table.names if column.startswith(prefix)]
    if other := [column for column in there if column not in columns]:
        label = shown(other[0].removeprefix(prefix))
        raise InputError(
            f"{table.path}: column {shown(other[0])} scores {label}, which is none of the names in "
            f"column {shown(head)}: remove or rename it"
        )
    if len(columns) == 2 and len(there) == 1 and not schema.is_many(head):
        of_whole = [column for column in table.names if column.startswith(f"score/{head}/")]
        if len(of_whole) == 1:
            return there
    for column in columns if there else ():
        if column not in table.types:
            raise InputError(f"{table.path} has {shown(there[0])} but no column {shown(column)}")
    return columns if there else []


def _none(table: Table) -> InputError:
    """Return the error that a table does not say what a model answered."""
    single = [name for name in table.names if name.count("/") == 1 and name.startswith("score/")]
    hint = "; labels alone are called predicted/<attribute>"
    if single:
        hint = (
            f"; {shown(single[0])} names no label: call it {single[0]}/<label> after the label "
            "that it scores"
        )
    return InputError(
        f"{table.path} has no probabilities: columns are called score/<attribute>/<group>, with "
        f"one for every group{hint}"
    )
