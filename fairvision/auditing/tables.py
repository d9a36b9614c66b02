"""The samples table: a row per image with the truth and what one model says about it.

Tables made elsewhere are read by the same rules as those that the audit writes; what a column
means is decided in `columns.py`. Tables too large to be held are in `streaming.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fairvision.auditing.columns import infer_schema, score_columns
from fairvision.auditing.counted_scores import Grids
from fairvision.auditing.given import Given, same_ids
from fairvision.auditing.given_answers import ANSWER, SCORES, SWAPPED, Answers, labels_of_answers
from fairvision.auditing.hidden_tables import HiddenTable, by_image, columns_of_swaps
from fairvision.auditing.layouts import PLAIN, Layout, plain
from fairvision.auditing.probabilities import fractions
from fairvision.core.files import whole_file
from fairvision.core.spellings import as_number
from fairvision.core.tables import Place, Table, open_table
from fairvision.datasets import Dataset, counterfactuals
from fairvision.datasets.counterfactuals import is_counterfactual
from fairvision.datasets.label_columns import look, names, read_labels
from fairvision.datasets.predicted_masks import parse_predicted
from fairvision.errors import InputError, reading, shown
from fairvision.schema import Schema

SHARES = ("holds", "swapped_right", "same_swapped_right")
MEASURES = ("pointing_game", "relevance_mass")
CHANCE = "evidence/chance"
COUNTERFACTUALS = "counterfactuals.parquet"
"""Beside the samples table that an audit writes."""
_NONE: Mapping[str, npt.NDArray[Any]] = MappingProxyType({})


@dataclass(frozen=True)
class Samples:
    """What one model says about the images of one split.

    Attributes
    ----------
    model : name of the model
    truth : the audited rows of the dataset, n of them; images need not exist
    scores : (n rows) float64 columns `score/…`, `hidden/…`, `person/…`, `evidence/…`, and those of
        `SWAPPED` and `SHARES`
    decided : what is predicted, by (kind, head), where there are no scores: labels alone are given,
        or tables were counted, and each row stands for many images
    counts : (n,) images that each row stands for; None for one each
    missing_wrong : whether images without an answer count as answered wrong
    counterfactuals : what it says about images that were made of these, or None
    grids : scores of tables that were counted, see `counted_scores.Of`
    maps : small maps of the images that a page shows, by attribute (`miniatures.rows_shown`); not
        in any table
    answers : what follows from scores, by (kind, head), once it was asked for (`inputs.predicted`)
    """

    model: str
    truth: Dataset
    scores: pd.DataFrame
    decided: Mapping[tuple[str, str], npt.NDArray[Any]] = field(default_factory=dict)
    counts: npt.NDArray[np.int64] | None = None
    missing_wrong: bool = False
    counterfactuals: Samples | None = None
    grids: Grids = field(default_factory=dict)
    maps: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    answers: dict[tuple[str, str], npt.NDArray[Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def images(self) -> int:
        """Number of images."""
        return self.count(np.ones(len(self.truth), bool))

    def count(self, rows: npt.NDArray[np.bool_]) -> int:
        """Return the number of images of some rows, (n,) bool."""
        return int(rows.sum() if self.counts is None else self.counts[rows].sum())

    def probabilities(self, kind: str, head: str) -> npt.NDArray[np.float64] | None:
        """Return (n, K) probabilities, rows of NaN where undefined; None without columns of them.

        None too where none is defined with something hidden, as without masks.
        """
        columns = score_columns(kind, head, self.truth.schema.labels(head))
        if not set(columns) <= set(self.scores):
            return None
        values = self.scores[columns].to_numpy(np.float64)
        return None if kind != "score" and np.isnan(values).all() else values

    def evidence(self, measure: str, head: str) -> npt.NDArray[np.float64] | None:
        """Return (n,) values in [0, 1], NaN where undefined; None where all are."""
        ending = evidence_column("", measure, head, self.truth).removeprefix("evidence/")
        for column, values in self.scores.items():
            if str(column).startswith("evidence/") and str(column).endswith(ending):
                return values.to_numpy(np.float64) if values.notna().any() else None
        return None


def evidence_column(method: str, measure: str, head: str, truth: Dataset) -> str:
    """Return the column of a measure: the first attribute's is plain, others add their name."""
    first = head == next(iter(truth.attributes), None)
    return f"evidence/{method}/{measure}" + ("" if first else f"/{head}")


def write(samples: Samples, path: Path, more: Mapping[str, npt.NDArray[Any]] = _NONE) -> None:
    """Write a model's samples table as parquet, with more columns (n,)."""
    schema = samples.truth.schema
    labels = {
        f"{ANSWER}/{head}": schema.decode(head, codes).names
        for (_, head), codes in samples.decided.items()
    }
    _write(samples.truth, samples.scores.assign(**labels, **more), path)


def write_truth(truth: Dataset, path: Path) -> None:
    """Write `id`, `split` and the truth of a dataset as parquet: the training reference."""
    _write(truth, pd.DataFrame(index=truth.samples.index), path)


def read_predictions(
    paths: Sequence[Path],
    model_names: Sequence[str],
    *,
    split: str,
    data: Dataset | None = None,
    attributes: Sequence[str] = (),
    layout: Layout = PLAIN,
) -> tuple[list[Samples], Dataset | None, list[str]]:
    """Read the samples tables of several models, aligned by id.

    Parameters
    ----------
    paths : parquet or csv files, or folders of parquet files; the first sets the order of the rows
    model_names : a name for each model
    split : which rows are audited where there is a column `split`; otherwise all are
    data : a dataset that says what is an attribute and what a task
    attributes : names of columns that are attributes, where nothing else says so
    layout : how the tables are written

    Returns
    -------
    a `Samples` per table; the truth of the first table's rows of split train, or None where it has
    none; notes on what the columns were taken for

    Raises
    ------
    InputError
        One line naming file, row and column.
    """
    opened = [_with_beside(*open_predictions(path, layout), layout) for path in paths]
    tables = [by_image(table, layout.logits) for table, _ in opened]
    notes = [line for _, lines in opened for line in lines]
    held = tables[0].read()
    given = [None if data is None else Given(data) for _ in tables]
    covered = data is not None and covers(given[0], names(held["id"]))
    schema, guesses = infer_schema(
        tables[0],
        lambda name: look_at(tables[0], name, held[name]),
        data=data,
        attributes=attributes,
        covered=covered,
        answered=labels_of_answers(
            tables, lambda table, name: look_at(table, name, table.read([name])[name])
        ),
    )
    kinds = (*SCORES, *SWAPPED)
    answers = [Answers.of(table, schema, kinds, layout.logits) for table in tables]
    models = [
        _samples(name, held if i == 0 else table.read(), table, answers[i], given[i])
        for i, (table, name) in enumerate(zip(tables, model_names))
    ]
    notes += [*guesses, *notes_of(tables, given, split, answers)]
    is_made = [is_counterfactual(model.truth.samples) for model in models]
    splits = models[0].truth.samples["split"]
    training = np.flatnonzero((splits == "train") & ~is_made[0])
    reference = models[0].truth.rows(training) if len(training) and split != "train" else None
    audited = [np.arange(len(model.truth)) for model in models]
    if splits.notna().any():
        audited = [_of_split(table, model, split) for table, model in zip(tables, models)]
    made = [rows[made[rows]] for rows, made in zip(audited, is_made)]
    audited = [rows[~made[rows]] for rows, made in zip(audited, is_made)]
    aligned = _align(tables, models, audited, notes)
    if any(map(len, made)):
        pairs = _align(tables, models, made, notes)
        aligned = [replace(m, counterfactuals=pair) for m, pair in zip(aligned, pairs)]
    return aligned, reference, notes


def open_predictions(
    path: Path, layout: Layout = PLAIN, *, partly: bool = False
) -> tuple[Table, list[str]]:
    """Open a table in the plain form, see `layouts.plain`; `InputError` without an `id` of text."""
    table, notes = plain(open_table(path), layout, partly=partly)
    table.check_columns(["id"])
    for name in ("id", "split"):
        if name in table.types:
            table.check_text(name)
    return table, notes


def _with_beside(table: Table, notes: list[str], layout: Layout) -> tuple[Table, list[str]]:
    """Return a table that an audit wrote with the counterfactuals that lie beside it, and notes."""
    beside = table.path.with_name(COUNTERFACTUALS)
    if table.note is None or table.path == beside or not beside.is_file():
        return table, notes
    other, _ = open_predictions(beside, layout)
    with reading(beside):
        rows = [table.read(), other.read()]
        content = pa.concat_tables(rows, promote_options="permissive")
    types = dict(zip(content.column_names, content.schema.types))
    rows_of = (table.rows, other.rows)
    parts = (*table.parts, beside)
    return replace(table, parts=parts, rows_of=rows_of, types=types, content=content), notes


def look_at(table: Table, name: str, column: Any) -> tuple[bool, set[str] | None]:
    """Return whether a column of truth holds lists, and its labels; None where it is none."""
    return (False, None) if table.not_text(name, lists=True) else look(column)


def covers(given: Given | None, ids: npt.NDArray[np.object_]) -> bool:
    """Say whether a dataset has all images of some ids."""
    return given is not None and bool((given.rows(ids) >= 0).all())


def notes_of(
    tables: Sequence[Table],
    given: Sequence[Given | None],
    split: str,
    answers: Sequence[Answers],
) -> list[str]:
    """Return what to know of how tables were read."""
    notes = [
        note
        for table, dataset in zip(tables, given)
        if dataset is not None
        for note in dataset.notes(table.path, split, "split" in table.types)
    ]
    notes += [note for of_table in answers for note in of_table.notes()]
    if rounded := {head for of_table in answers for head in of_table.rounded}:
        notes.append(
            f"probabilities of {', '.join(sorted(rounded))} are rounded: rows that do not sum to 1 "
            "were divided by their sum"
        )
    return notes


def read_truth(
    path: Path,
    like: Dataset,
    layout: Layout = PLAIN,
) -> Dataset:
    """Read the truth of a training table that has the groups and labels of `like`.

    Attributes and tasks for which the table has no column are left out of the result.
    """
    table, _ = open_predictions(path, layout, partly=True)
    return _truth(table, table.read(), schema_of_truth(table, like.schema))


def schema_of_truth(table: Table, like: Schema) -> Schema:
    """Return the attributes and tasks for which a table has a column."""
    schema = like.subset(table.types)
    if not len(schema):
        raise InputError(
            f"{table.path} has none of the columns {', '.join(like)}: it has "
            f"{', '.join(table.names)}"
        )
    return schema


def truth_of(
    table: Table, rows: Any, schema: Schema, given: Given | None = None, start: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """Return the codes of truth of each head.

    Parameters
    ----------
    rows : some rows of the table, a table or batch of arrow
    given : the dataset that has the truth which the table lacks
    start : the first of the rows in the table
    """

    def place_of(row: int, column: str) -> Place:
        return table.place(start + row, column)

    codes = {
        head: read_labels(schema, head, rows.column(head), place_of).codes
        for head in schema
        if head in table.types
    }
    if given is not None:
        given.fill(names(rows.column("id")), codes, schema, place_of)
    return codes


def check_truth(table: Table, schema: Schema, given: Given | None = None) -> None:
    """Raise `InputError` unless there is truth, as labels, for everything in the schema."""
    for head in schema:
        if head in table.types:
            table.check_text(head, lists=schema.is_many(head))
        elif given is None or head not in given.data.schema:
            raise InputError(f"{table.path} has no column {shown(head)} with the truth")


def _write(truth: Dataset, scores: pd.DataFrame, path: Path) -> None:
    """Write ids, splits, annotations and scores as parquet, with the schema as metadata."""
    of_pairs = counterfactuals.COLUMNS if is_counterfactual(truth.samples).any() else ()
    columns = ["id", "split", *truth.schema, *of_pairs]
    table = pd.concat([truth.samples[columns], scores], axis=1)
    masks = truth.predicted_masks
    noted = {} if masks is None else {"masks": masks.as_json()}
    table.attrs["fairvision"] = truth.schema.as_json() | noted
    few = [name for head in ("split", *truth.schema) for name in (head, f"{head}.list.element")]
    with whole_file(path) as part:  # ids and scores are all different: without a dictionary
        table.to_parquet(part, index=False, use_dictionary=few)


def _samples(
    name: str, held: pa.Table, table: Table, answers: Answers, given: Given | None
) -> Samples:
    """Return a table of predictions as samples: truth, probabilities and evidence."""
    schema = answers.schema
    truth = _truth(table, held, schema, given)
    values = answers.probabilities(held)
    scores = {
        column: of_label
        for (kind, head), of_head in values.items()
        for column, of_label in zip(score_columns(kind, head, schema.labels(head)), of_head.T)
    }
    shares = {f"{kind}/{attribute}" for kind in SHARES for attribute in schema.attributes}
    for column in table.names:
        if column.startswith("evidence/") or column in shares:
            scores[column] = fractions(held[column], column, table.place)
    if isinstance(table, HiddenTable):
        scores |= columns_of_swaps(table, truth, values, answers)
    table_of_scores = pd.DataFrame(scores, index=truth.samples.index)
    return Samples(name, truth, table_of_scores, answers.decisions(held))


def _truth(table: Table, held: pa.Table, schema: Schema, given: Given | None = None) -> Dataset:
    """Return ids, splits and annotations of a table as a dataset without images."""
    check_truth(table, schema, given)
    ids = pd.Series(names(held["id"]), dtype=object)
    for row in np.flatnonzero(ids.isna()):
        raise table.place(int(row), "id").error("is empty")
    for row in np.flatnonzero(ids.duplicated()):
        raise table.place(int(row), "id").error(f"{shown(ids[row])} is there twice")
    codes = truth_of(table, held, schema, given)
    splits = names(held["split"]) if "split" in table.types else np.full(table.rows, None)
    samples = pd.DataFrame({"id": ids, "split": pd.Series(splits, dtype=object)})
    samples = _with_pairs(table, held, samples, given)
    columns = {head: schema.decode(head, codes[head]) for head in schema}
    predicted = parse_predicted(table.path, table.note)
    if predicted is None and given is not None:
        predicted = given.data.predicted_masks
    named: dict[str, Any] = {"name": table.path.stem, "predicted_masks": predicted}
    return Dataset.of_columns(schema, samples, columns, root=table.path, **named)


def _with_pairs(
    table: Table, held: pa.Table, samples: pd.DataFrame, given: Given | None
) -> pd.DataFrame:
    """Return ids and splits with what each row is a counterfactual of, if the table or data say."""
    if counterfactuals.ORIGINAL in table.types:
        table.check_columns(counterfactuals.COLUMNS)
        pairs = {
            name: pd.Series(names(held[name]), dtype=object) for name in counterfactuals.COLUMNS
        }
    else:
        pairs = {} if given is None else given.pairs(samples["id"].to_numpy(object))
    if not any(column.notna().any() for column in pairs.values()):
        return samples

    def refuse(wrong: npt.NDArray[np.bool_], column: str, problem: Callable[[int], str]) -> None:
        for row in np.flatnonzero(wrong):
            place = replace(table.place(int(row), column), id=samples["id"][row])
            raise place.error(problem(int(row)))

    samples = samples.assign(**pairs)
    counterfactuals.check_originals(samples, refuse)
    return samples


def _of_split(table: Table, model: Samples, split: str) -> npt.NDArray[np.int64]:
    """Return the row indices of a split; raise `InputError` if there are none."""
    splits = model.truth.samples["split"]
    rows = np.flatnonzero(splits == split)
    if not len(rows):
        raise no_split(table, split, set(splits.dropna()))
    return rows


def no_split(table: Table, split: str, there: set[str]) -> InputError:
    """Return the error that a table has no rows of a split."""
    return InputError(
        f"{table.path} has no rows of split {split!r}: it has {', '.join(sorted(there))}; "
        "choose by --split"
    )


def check_same_truth(
    schema: Schema,
    first: Mapping[str, npt.NDArray[Any]],
    other: Mapping[str, npt.NDArray[Any]],
    first_path: Path,
    table: Table,
    rows: npt.NDArray[np.int64],
) -> None:
    """Raise `InputError` where two tables have another truth for the same images.

    Parameters
    ----------
    first, other : codes of both, of the same n images
    first_path : file of the first
    table, rows : the other, and where the images are in it
    """
    for head in schema:
        here, there = other[head], first[head]
        differ = (here != there).reshape(len(here), -1).any(axis=1)
        for row in np.flatnonzero(differ):
            names_here, names_there = (
                shown(schema.decode(head, codes[row : row + 1]).names[0]) for codes in (here, there)
            )
            raise table.place(int(rows[row]), head).error(
                f"{names_here} but {first_path} says {names_there} for the same id: the truth must "
                "be the same"
            )


def _align(
    tables: Sequence[Table],
    models: Sequence[Samples],
    audited: Sequence[npt.NDArray[np.int64]],
    notes: list[str],
) -> list[Samples]:
    """Bring the audited rows of every table into the order of the first; the truth is the same."""
    truth = models[0].truth.rows(audited[0])
    ids = truth.samples["id"]
    codes = {head: truth.encoded(head) for head in truth.schema}
    aligned = [_rows(models[0], truth, audited[0])]
    for table, model, rows in zip(tables[1:], models[1:], audited[1:]):
        other = model.truth.samples["id"].iloc[rows]
        if not np.array_equal(other.to_numpy(), ids.to_numpy()):
            rows = rows[_places(tables[0], ids, table, other, notes)]
        other_codes = {head: model.truth.encoded(head)[rows] for head in truth.schema}
        check_same_truth(truth.schema, codes, other_codes, tables[0].path, table, rows)
        aligned.append(_rows(model, truth, rows))
    return aligned


def _places(
    first: Table, ids: pd.Series, table: Table, other: pd.Series, notes: list[str]
) -> npt.NDArray[np.int64]:
    """Return where each id of the first table is among those of another, with the same images."""
    if not other.isin(ids).all() and (same := same_ids([*ids], [*other])):
        other = other.map(same)
        notes.append(by_number(table.path.name))
    for a, b, lacking in ((ids, other, table), (other, ids, first)):
        missing = a[~a.isin(b)]
        if len(missing):
            raise InputError(
                f"{lacking.path} has no row for id {shown(missing.iloc[0])} (and "
                f"{len(missing) - 1} more) that another table has"
                f"{_as_written(missing.iloc[0], b)}: tables are compared on the same pictures"
            )
    places: npt.NDArray[np.int64] = pd.Index(other).get_indexer(pd.Index(ids))
    return places


def _as_written(missing: str, ids: pd.Series) -> str:
    """Return the id that is the same number as one that is missing, for a message; else ""."""
    alike = ids[ids.map(as_number) == as_number(missing)]
    return f" (it has {shown(alike.iloc[0])}, which is another id)" if len(alike) else ""


def by_number(name: str) -> str:
    """Return the note that the ids of a table are those of the first as numbers only."""
    return f"ids of {name} were found by reading them as numbers (01 = 1)"


def _rows(model: Samples, truth: Dataset, rows: npt.NDArray[np.int64]) -> Samples:
    """Return what a model says of some rows, numbered from 0, beside their truth."""
    scores = model.scores.iloc[rows].reset_index(drop=True)
    decided = {key: codes[rows] for key, codes in model.decided.items()}
    return replace(model, truth=truth, scores=scores, decided=decided)
