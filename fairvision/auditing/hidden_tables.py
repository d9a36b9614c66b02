"""Predictions with a row per image file, as `hidden_files` lays them out, read as a row per image.

The column `kind` says what a file shows; the answers to `hidden` files become the columns
`hidden/…` of the samples table, and so on. Errors name the row of the file that was filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fairvision.auditing.given_answers import Answers
from fairvision.auditing.probabilities import finite_numbers, fractions
from fairvision.auditing.swapped_columns import swapped_columns
from fairvision.core.tables import Place, Table
from fairvision.datasets import Dataset
from fairvision.datasets.label_columns import names
from fairvision.errors import InputError, shown, warn_caller

WHOLE, HIDDEN, PERSON = "whole", "hidden", "person"
SWAPS = {"swapped": "others", "same_swapped": "same", "pasted": "own"}
"""Kinds of swapped images, and what `swapped_columns` calls them."""
KIND = "kind"
_ONE_EACH = {WHOLE: "score", HIDDEN: "hidden", PERSON: "person"}
_OF_FILES = (KIND, "image", "attribute", "donor")


@dataclass(frozen=True, kw_only=True)
class HiddenTable(Table):
    """A table with a row per file, taken together to a row per image.

    Attributes
    ----------
    files : the table as it was filled in
    rows_in_file : (images,) row of each image's file, by kind; -1 for none
    swapped : of each swapped image its `row` (of the image whose person it shows), `donor` (row of
        the image whose surroundings), `kind`, `attribute`, and `file` (its row in the file)
    answers : (files,) what is filled in, by column
    """

    files: Table
    rows_in_file: Mapping[str, npt.NDArray[np.int64]]
    swapped: pd.DataFrame
    answers: Mapping[str, npt.NDArray[np.float64]]

    def place(self, row: int, column: str = "") -> Place:
        """Return the place in the file of an image's cell."""
        begins, slash, rest = column.partition("/")
        kind = next((k for k, name in _ONE_EACH.items() if name == begins), WHOLE)
        name = f"score/{rest}" if slash else column
        return self.files.place(int(self.rows_in_file[kind][row]), name)


def by_image(table: Table, logits: bool = False) -> Table:
    """Return a table with a row per file as one with a row per image, and other tables as they are.

    A table has a row per file where it has a column `kind` with the word `whole` in it, which is
    not what a model predicts.

    Parameters
    ----------
    logits : whether the answers may be any number

    Raises
    ------
    InputError
        One line naming row and column: an unknown kind, a file that is there twice, an answer that
        is no number from 0 to 1, a hidden image without its whole one; or nothing is filled in.
    """
    if KIND not in table.types or any(name.startswith(f"score/{KIND}/") for name in table.names):
        return table
    kinds = names(table.read([KIND])[KIND])
    if WHOLE not in kinds:
        return table
    held = table.read()
    _check_kinds(table, kinds)
    ids = names(held["id"])
    for row in np.flatnonzero(pd.isna(ids)):
        raise table.place(int(row), "id").error("is empty")
    swapped = _swapped(table, held, ids, kinds)
    _check_unique(table, ids, kinds, swapped)
    whole = np.flatnonzero(kinds == WHOLE)
    index = pd.Series(np.arange(len(whole)), index=ids[whole])
    rows_in_file = {}
    for kind in _ONE_EACH:
        files = np.flatnonzero(kinds == kind)
        rows_in_file[kind] = np.full(len(whole), -1, np.int64)
        rows_in_file[kind][_row_of(table, index, ids, files, "id")] = files
    swapped["row"] = _row_of(table, index, ids, swapped["file"].to_numpy(), "id")
    donors = np.full(len(ids), None, object)
    donors[swapped["file"]] = swapped["donor"]
    swapped["donor"] = _row_of(table, index, donors, swapped["file"].to_numpy(), "donor")
    answers = _answers(table, held, kinds, logits)
    columns = {
        name: held[name].take(whole)
        for name in table.names
        if name not in _OF_FILES and not name.startswith("score/")
    }
    for kind, begins in _ONE_EACH.items():
        files = rows_in_file[kind]
        for name, values in answers.items():
            of_kind = np.where(files >= 0, values[files], np.nan)
            if kind == WHOLE or not np.isnan(of_kind).all():
                columns[begins + name.removeprefix("score")] = pa.array(of_kind)
    content = pa.table(columns)
    return HiddenTable(
        path=table.path,
        parts=table.parts,
        rows_of=(len(whole),),
        types=dict(zip(content.column_names, content.schema.types)),
        content=content,
        files=table,
        rows_in_file=rows_in_file,
        swapped=swapped,
        answers=answers,
    )


def columns_of_swaps(
    table: HiddenTable,
    truth: Dataset,
    scores: Mapping[tuple[str, str], npt.NDArray[np.float64]],
    answers: Answers,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns of swapped surroundings, see `swapped_columns`.

    Parameters
    ----------
    truth : the images of the table, n of them
    scores : (n, labels) of what models say of whole images, by ("score", head)
    answers : how the columns of the table are read
    """
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for attribute in truth.attributes:
        pairs = table.swapped[table.swapped["attribute"] == attribute]
        if not len(pairs) or ("score", attribute) not in scores:
            continue
        files = pairs["file"].to_numpy()
        names_of = answers.scored["score", attribute]
        given = {name: table.answers[name][files] for name in names_of}
        place_of = partial(_place, table.files, files)
        values = answers.of_labels("score", attribute, given, place_of)
        named = pd.DataFrame(values, columns=[f"{i}" for i in range(values.shape[1])])
        pairs = pd.concat([pairs[["row", "donor", "kind"]].reset_index(drop=True), named], axis=1)
        columns |= swapped_columns(pairs, truth, scores["score", attribute], attribute)
    return columns


def _place(table: Table, files: npt.NDArray[np.int64], row: int, column: str) -> Place:
    """Return the place of a cell, given which rows of a table are looked at."""
    return table.place(int(files[row]), column)


def _check_kinds(table: Table, kinds: npt.NDArray[np.object_]) -> None:
    """Raise `InputError` for a kind that there is not."""
    allowed = [*_ONE_EACH, *SWAPS]
    for row in np.flatnonzero(~pd.Series(kinds).isin(allowed)):
        value = "is empty" if kinds[row] is None else f"{shown(kinds[row])}"
        raise table.place(int(row), KIND).error(f"{value}: one of {', '.join(allowed)}")


def _swapped(
    table: Table, held: pa.Table, ids: npt.NDArray[np.object_], kinds: npt.NDArray[np.object_]
) -> pd.DataFrame:
    """Return `file`, `kind`, `attribute` and `donor` (an id) of swapped images."""
    files = np.flatnonzero(pd.Series(kinds).isin(list(SWAPS)))
    swapped = pd.DataFrame({"file": files, "kind": [SWAPS[kind] for kind in kinds[files]]})
    for column in ("attribute", "donor"):
        values = np.full(len(ids), None, object)
        if len(files):
            table.check_columns([column])
            values = names(held[column])
        for row in files[pd.isna(values[files])]:
            raise table.place(int(row), column).error("is empty, as it is of no swapped picture")
        swapped[column] = values[files]
    return swapped


def _check_unique(
    table: Table,
    ids: npt.NDArray[np.object_],
    kinds: npt.NDArray[np.object_],
    swapped: pd.DataFrame,
) -> None:
    """Raise `InputError` for what is there twice."""
    keys = pd.DataFrame({"id": ids, KIND: kinds, "attribute": "", "donor": ""})
    keys.loc[swapped["file"], ["attribute", "donor"]] = swapped[["attribute", "donor"]].to_numpy()
    for row in np.flatnonzero(keys.duplicated()):
        raise table.place(int(row), "id").error(
            f"{shown(ids[row])} is there twice with kind {shown(kinds[row])}"
        )


def _row_of(
    table: Table,
    index: pd.Series,
    ids: npt.NDArray[np.object_],
    files: npt.NDArray[np.int64],
    column: str,
) -> npt.NDArray[np.int64]:
    """Return the image of each of some files, by the id in a column."""
    rows = pd.Series(ids[files], dtype=object).map(index)
    for place in np.flatnonzero(rows.isna()):
        row = int(files[place])
        raise table.place(row, column).error(
            f"{shown(ids[row])} has no row of kind {WHOLE}: the figures compare with it"
        )
    return rows.to_numpy(np.int64)


def _answers(
    table: Table, held: pa.Table, kinds: npt.NDArray[np.object_], logits: bool
) -> dict[str, npt.NDArray[np.float64]]:
    """Return what is filled in, by column, of the heads of which anything is."""
    columns = [name for name in table.names if name.startswith("score/")]
    read = finite_numbers if logits else fractions
    answers = {name: read(held[name], name, table.place) for name in columns}
    if columns and all(np.isnan(values).all() for values in answers.values()):
        raise InputError(f"{table.path}: no probability is filled in: see README.txt beside it")
    heads: dict[str, list[str]] = {}
    for name in columns:
        heads.setdefault(name.split("/")[1], []).append(name)
    for head, of_head in heads.items():
        empty = np.array([np.isnan(answers[name]) for name in of_head]).all(axis=0)
        if empty.all():
            for name in of_head:
                del answers[name]
            continue
        lacking = {kind: int((empty & (kinds == kind)).sum()) for kind in dict.fromkeys(kinds)}
        named = [
            f"{n} of {(kinds == kind).sum()} of kind {kind}"
            for kind, n in lacking.items()
            if n and kind != WHOLE  # which the audit counts by group
        ]
        if named:
            warn_caller(f"{table.path.name}: {head} has no answer for {', '.join(named)}")
    return answers
