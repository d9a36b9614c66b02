"""The truth that a dataset gives for the images of a table, by their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.core.spellings import as_number
from fairvision.core.tables import PlaceOf
from fairvision.datasets import Dataset
from fairvision.datasets.counterfactuals import COLUMNS, ORIGINAL, is_counterfactual
from fairvision.datasets.folder import IMAGE_SUFFIXES
from fairvision.errors import shown
from fairvision.results.words import shares
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

    def rows(self, ids: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the rows of the dataset, (n,) int64, of ids (n,) of a table; −1 where none."""
        texts = pd.Series(ids, dtype=object)
        rows = texts.map(self._index(BY_TEXT)).fillna(-1).astype(np.int64).to_numpy().copy()
        for way, read in ((BY_NUMBER, as_number), (BY_NAME, _stem), (BY_FILE, _stem)):
            missing = np.flatnonzero(rows < 0)
            if not len(missing):
                break
            read_so = texts[missing].map(read, na_action="ignore")
            there = read_so.map(self._index(way)).fillna(-1).astype(np.int64)
            there[there.duplicated(keep=False) | there.isin(rows)] = -1
            rows[missing] = there
            if (there >= 0).any():
                self.ways.add(way)
        return rows

    def codes(
        self, head: str, schema: Schema, rows: npt.NDArray[np.int64], place_of: PlaceOf
    ) -> npt.NDArray[Any]:
        """Return the truth as `Schema.encode` does, for rows of the dataset; −1 where none."""
        labels, of_data = schema.labels(head), self.data.schema.labels(head)
        places = [labels.index(label) if label in labels else -2 for label in of_data]
        held = self.data.encoded(head)
        codes: npt.NDArray[Any]
        if schema.is_many(head):
            codes = np.full((len(held) + 1, len(labels)), -1, np.int8)
            codes[:-1][held[:, 0] >= 0] = 0
            for column, place in enumerate(places):
                if place >= 0:
                    codes[:-1, place] = held[:, column]
            foreign = held[:, [place < 0 for place in places]].max(axis=1, initial=0) > 0
        else:
            codes = np.append(np.array([*places, -1], np.int64)[held], -1)
            foreign = codes[:-1] == -2
        for row in np.flatnonzero(np.append(foreign, [False])[rows]):
            value = self.data.samples[head].iloc[rows[row]]
            raise place_of(int(row), head).error(
                f"{self.data.root} says {shown(value)} for its id, which is not one of "
                f"{', '.join(labels)}"
            )
        return np.asarray(codes[rows])

    def fill(
        self,
        ids: npt.NDArray[Any],
        codes: dict[str, npt.NDArray[Any]],
        schema: Schema,
        place_of: PlaceOf,
    ) -> None:
        """Add the truth that a table lacks to its codes; refuse what differs from the dataset.

        Parameters
        ----------
        ids : (n,) text
        codes : of the heads that the table has
        """
        for row in np.flatnonzero(pd.isna(ids)):
            raise place_of(int(row), "id").error("is empty")
        rows = self.rows(ids)
        splits = self.data.samples["split"].to_numpy(object)
        self.training += int((splits[rows[rows >= 0]] == "train").sum())
        self.foreign += int((rows < 0).sum())
        self._seen[rows[rows >= 0]] = True
        for head in schema:
            if head not in self.data.schema:
                continue
            if schema.is_many(head) != self.data.schema.is_many(head):
                continue
            of_data = self.codes(head, schema, rows, place_of)
            if head not in codes:
                for row in np.flatnonzero(rows < 0):
                    raise place_of(int(row), "id").error(
                        f"{shown(ids[row])} is not in {self.data.root}, and there is no column "
                        f"{shown(head)} with the truth"
                    )
                codes[head] = of_data
                continue
            of_table = codes[head]
            flat = [values.reshape(len(values), -1) for values in (of_table, of_data)]
            lacking = (flat[0][:, 0] < 0) & (flat[1][:, 0] >= 0)
            if lacking.any():
                codes[head] = of_table.copy()
                codes[head][lacking] = of_data[lacking]
                self.filled[head] += int(lacking.sum())
            both = (flat[0][:, 0] >= 0) & (flat[1][:, 0] >= 0)
            for row in np.flatnonzero(both & (flat[0] != flat[1]).any(axis=1)):
                here, there = (
                    _shown(schema.decode(head, values[row : row + 1]).names[0])
                    for values in (of_table, of_data)
                )
                raise place_of(int(row), head).error(
                    f"{here}, but {self.data.root} says {there} for the same id (answers of a "
                    f"model belong into a column answer/{head})"
                )

    def pairs(self, ids: npt.NDArray[Any]) -> dict[str, pd.Series]:
        """Return the columns of counterfactuals for ids (n,) of a table, missing where none.

        Originals are named as the table does; the dataset's name stays where it has no such row.
        """
        samples, rows = self.data.samples, self.rows(ids)
        is_made = np.append(is_counterfactual(samples), False)[rows]
        if not is_made.any():
            return {}
        called = dict(zip(samples["id"].to_numpy(object)[rows[rows >= 0]], ids[rows >= 0]))
        columns = {name: np.full(len(ids), None, object) for name in COLUMNS}
        for name, values in columns.items():
            values[is_made] = samples[name].to_numpy(object)[rows[is_made]]
        originals = columns[ORIGINAL]
        originals[is_made] = [called.get(name, name) for name in originals[is_made]]
        return {name: pd.Series(values, dtype=object) for name, values in columns.items()}

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
        samples = self.data.samples
        audited = (samples["split"] == split).to_numpy() & ~is_counterfactual(samples)
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
    return file.stem if file.suffix.lower() in IMAGE_SUFFIXES else text


def _shown(labels: Any) -> str:
    """Return one label, or several separated by semicolons, as messages show it."""
    return shown(";".join(labels) if isinstance(labels, tuple) else labels)


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
