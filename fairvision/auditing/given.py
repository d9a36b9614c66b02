"""The truth that a dataset gives for the images of a table, by their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from fairvision.auditing.parts import Refuse
from fairvision.auditing.shares import shares
from fairvision.core.ids import as_number
from fairvision.datasets import Dataset
from fairvision.datasets.readers.layouts import PICTURES
from fairvision.errors import shown
from fairvision.schema import UNKNOWN, Schema

BY_TEXT, BY_NUMBER, BY_NAME, BY_FILE = range(4)
_WAYS = {
    BY_NUMBER: "reading them as numbers (01 = 1)",
    BY_NAME: "leaving out folders and suffixes of files",
    BY_FILE: "the names of the picture files",
}


@dataclass
class Given:
    """A dataset and how the ids of tables are found in it.

    Attributes
    ----------
    data : the dataset
    ways : how ids were found but for being the same, filled as they are looked up
    training : images of tables that are of the training split
    foreign : images of tables that are not in the dataset
    filled : images of which a table's cell of truth was empty, by head
    """

    data: Dataset
    ways: set[int] = field(default_factory=set)
    training: int = 0
    foreign: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    _places: dict[int, pd.Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seen = np.zeros(len(self.data), bool)

    def rows(self, ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """Return the rows of the dataset, (n,) int64, of ids (n,) of a table; −1 where none."""
        texts = pd.Series(ids, dtype=object)
        rows = texts.map(self._index(BY_TEXT)).fillna(-1).astype(np.int64).to_numpy().copy()
        for way, read in ((BY_NUMBER, as_number), (BY_NAME, _stem), (BY_FILE, _stem)):
            open_ = np.flatnonzero(rows < 0)
            if not len(open_):
                break
            read_so = texts[open_].map(read, na_action="ignore")
            there = read_so.map(self._index(way)).fillna(-1).astype(np.int64)
            there[there.duplicated(keep=False) | there.isin(rows)] = -1
            rows[open_] = there
            if (there >= 0).any():
                self.ways.add(way)
        return rows

    def heads(self) -> dict[str, tuple[str, ...]]:
        """Return the groups or labels of every attribute and task of the dataset."""
        return self.data.schema.heads

    def codes(self, head: str, schema: Schema, rows: np.ndarray, refuse: Refuse) -> np.ndarray:
        """Return the truth as `cells.positions` does, for rows of the dataset; −1 where none."""
        mine, theirs = schema.heads[head], self.heads()[head]
        places = [mine.index(label) if label in mine else None for label in theirs]
        if schema.is_many(head):
            held = self.data.targets(head)
            codes: np.ndarray = np.zeros((len(held) + 1, len(mine)), np.int8)
            for column, place in enumerate(places):
                if place is not None:
                    codes[:-1, place] = held[:, column]
            codes[:-1][held[:, 0] < 0] = -1
            codes[-1] = -1
            foreign = held[:, [place is None for place in places]].max(axis=1, initial=0) > 0
        else:
            truth = self.data.codes if head in self.data.attributes else self.data.targets
            moved = np.array([-2 if place is None else place for place in places] + [-1])
            codes = np.append(moved[truth(head)], -1)
            foreign = codes[:-1] == -2
        for row in np.flatnonzero(np.append(foreign, [False])[rows]):
            value = self.data.samples[head].iloc[rows[row]]
            refuse(
                row,
                head,
                f"{self.data.root} says {shown(value)} for its id, which is not one of "
                f"{', '.join(mine)}",
            )
        return codes[rows]

    def fill(
        self, ids: np.ndarray, codes: dict[str, np.ndarray], schema: Schema, refuse: Refuse
    ) -> None:
        """Add the truth that a table lacks to its codes; refuse what differs from the dataset.

        Parameters
        ----------
        ids : (n,) text
        codes : of the heads that the table has
        """
        for row in np.flatnonzero(pd.isna(ids)):
            refuse(row, "id", "is empty")
        rows = self.rows(ids)
        splits = self.data.samples["split"].to_numpy(object)
        self.training += int((splits[rows[rows >= 0]] == "train").sum())
        self.foreign += int((rows < 0).sum())
        self._seen[rows[rows >= 0]] = True
        for head, labels in schema.heads.items():
            if head not in self.heads() or schema.is_many(head) != self._many(head):
                continue
            theirs = self.codes(head, schema, rows, refuse)
            mine = codes.get(head)
            if mine is None:
                for row in np.flatnonzero(rows < 0):
                    refuse(
                        row,
                        "id",
                        f"{shown(ids[row])} is not in {self.data.root}, and there is no column "
                        f"{shown(head)} with the truth",
                    )
                codes[head] = theirs
                continue
            flat = [cells.reshape(len(cells), -1) for cells in (mine, theirs)]
            lacking = (flat[0][:, 0] < 0) & (flat[1][:, 0] >= 0)
            if lacking.any():
                codes[head] = mine.copy()
                codes[head][lacking] = theirs[lacking]
                self.filled[head] += int(lacking.sum())
            both = (flat[0][:, 0] >= 0) & (flat[1][:, 0] >= 0)
            for row in np.flatnonzero(both & (flat[0] != flat[1]).any(axis=1)):
                here, there = (_named(some[row], labels) for some in (mine, theirs))
                refuse(
                    row,
                    head,
                    f"{here}, but {self.data.root} says {there} for the same id (answers of a "
                    f"model belong into a column answer/{head})",
                )

    def notes(self, path: Path, split: str, has_split: bool) -> list[str]:
        """Return what to know of how ids were found, and of images that are in one only."""
        notes = [
            f"{path.name}: ids were found in {self.data.root} by {_WAYS[way]}"
            for way in sorted(self.ways)
        ]
        notes += [
            f"{path.name}: {shown(head)} is empty for {n} pictures: {self.data.root} says it"
            for head, n in self.filled.items()
        ]
        if self.foreign:
            notes.append(
                f"{path.name}: {self.foreign} ids are not in {self.data.root}: their truth was not "
                "compared with it"
            )
        notes += self._absent(path, split)
        if self.training and not has_split:
            notes.append(
                f"{path.name} has no column 'split': all rows are audited, and {self.training} of "
                f"them are of the training split of {self.data.root}"
            )
        return notes

    def _absent(self, path: Path, split: str) -> list[str]:
        """Return which images of the audited split have no row, if others of it have one."""
        audited = (self.data.samples["split"] == split).to_numpy()
        absent = audited & ~self._seen
        if not absent.any() or (absent == audited).all():
            return []
        groups = {}
        for attribute, names in self.data.attributes.items():
            codes = self.data.codes(attribute)
            parts = {
                group: (
                    int((absent & (codes == code)).sum()),
                    int((audited & (codes == code)).sum()),
                )
                for code, group in zip((*range(len(names)), -1), (*names, UNKNOWN))
            }
            groups[attribute] = f"{attribute}: {shares(parts)}"
        listed = f" ({'; '.join(groups.values())})" if groups else ""
        return [
            f"{path.name} has no row for {absent.sum()} of {audited.sum()} pictures of split "
            f"{shown(split)} of {self.data.root}{listed}: they are in no figure"
        ]

    def _many(self, head: str) -> bool:
        return head in self.data.tasks and self.data.tasks[head].many

    def _index(self, way: int) -> pd.Series:
        """Return the row of each text that ids may be, where only one row has it."""
        if way not in self._places:
            samples = self.data.samples
            texts = samples["id"].astype(object)
            if way == BY_NUMBER:
                texts = texts.map(as_number)
            elif way == BY_NAME:
                texts = texts.map(_stem)
            elif way == BY_FILE:
                files = samples.get("image", texts)
                texts = files.astype(object).map(lambda file: PurePosixPath(file).stem)
            rows = pd.Series(np.arange(len(texts)), index=pd.Index(texts))
            self._places[way] = rows[~rows.index.duplicated(keep=False)]
        return self._places[way]


def _stem(text: str) -> str:
    """Return the name of an image file without folders and suffix, other ids as they are.

    >>> _stem("test/p1.JPG"), _stem("a\\\\p1.png"), _stem("v1.0")
    ('p1', 'p1', 'v1.0')
    """
    file = PurePosixPath(text.replace("\\", "/"))
    return file.stem if file.suffix.lower() in PICTURES else text


def _named(codes: np.ndarray, labels: Sequence[str]) -> str:
    if codes.ndim == 0:
        return shown(labels[int(codes)])
    return shown(";".join(label for label, holds in zip(labels, codes) if holds))


def same_ids(first: Sequence[str], other: Sequence[str]) -> Mapping[str, str] | None:
    """Return the id of `first` that each of `other` is when read as a number.

    None where they are not the same numbers, or two ids are one number.

    >>> same_ids(["1", "2"], ["02", "01"])
    {'02': '2', '01': '1'}
    """
    numbers = {as_number(text): text for text in first}
    if len(numbers) < len(first) or len(first) != len(other):
        return None
    there = {text: as_number(text) for text in other}
    if {*there.values()} != {*numbers}:
        return None
    return {text: numbers[number] for text, number in there.items()}
