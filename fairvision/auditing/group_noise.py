"""Attributes whose groups are predicted, or annotated with errors: what was validated of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing import more_columns
from fairvision.auditing.inputs import correct, predicted
from fairvision.auditing.layouts import Layout
from fairvision.auditing.tables import Samples
from fairvision.core.suggestions import did_you_mean
from fairvision.core.tables import Table, open_table
from fairvision.datasets import Dataset
from fairvision.datasets.samples import table_files
from fairvision.errors import InputError, shown
from fairvision.results.figures import Figures, read
from fairvision.results.words import listed

KIND = "validated"
"""What the column of an attribute's validated groups begins with."""
LONG = ("true", "observed", "count")
TIES = 0.05  # a p-value below which errors are said to go with answers
Given = Mapping[str, "str | Path | pd.DataFrame"] | str | Path | pd.DataFrame | None


@dataclass(frozen=True, eq=False)
class GroupNoise:
    """What is known of the errors in an attribute's groups.

    Attributes
    ----------
    source : the file or the column that says it
    confusion : numbers of images of another sample, of true groups (rows) and observed ones
    validated : (n,) true groups of the audited images, None where unknown; instead of `confusion`
    """

    source: str
    confusion: pd.DataFrame | None = None
    validated: npt.NDArray[np.object_] | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """What `fairvision.metrics.noisy_groups` takes."""
        if self.confusion is not None:
            return {"confusion": self.confusion}
        return {KIND: self.validated}

    def table(self, observed: Any) -> pd.DataFrame:
        """Return numbers of validated images, of true groups (rows) and observed ones."""
        if self.confusion is not None:
            return self.confusion
        return pd.crosstab(pd.Series(self.validated), pd.Series(np.asarray(observed, object)))

    def as_json(self) -> dict[str, object]:
        """Return the form in which `audit.json` holds it."""
        images = self.validated
        n = int(self.confusion.to_numpy().sum()) if self.confusion is not None else None
        return {
            "source": self.source,
            "validated": int(pd.notna(pd.Series(images)).sum()) if n is None else n,
        }


Noise = Mapping[str, GroupNoise]


def read_given(given: Given) -> dict[str, tuple[str, pd.DataFrame]]:
    """Return the name and the table of each attribute's confusion; "" where none is named.

    Raises
    ------
    InputError
        A file cannot be read, or does not hold numbers of images by true and observed group.
    """
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else {"": given}
    return {
        attribute: ("a table", table)
        if isinstance(table, pd.DataFrame)
        else (Path(table).name, read_confusion(table))
        for attribute, table in named.items()
    }


def read_confusion(path: str | Path) -> pd.DataFrame:
    """Read numbers of validated images, of true groups (rows) and observed ones (columns).

    The table has either the columns `true`, `observed` and `count`, or a row for each true group,
    named in the first column, and a column for each observed one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "noise.csv")
    ...     _ = path.write_text("true,female,male\\nfemale,95,5\\nmale,2,98\\n")
    ...     read_confusion(path)
            female  male
    female      95     5
    male         2    98
    """
    table = open_table(path)
    if {*LONG} <= {*table.names}:
        held = table.read(list(LONG)).to_pandas()
        rows, columns = (held[name].astype(str) for name in LONG[:2])
        counts = _whole(table, "count", held["count"])
        return pd.crosstab(rows, columns, counts, aggfunc="sum").fillna(0).astype(int)
    first, *observed = table.names
    if len(observed) < 2:
        raise InputError(
            f"{table.path} must have the columns true, observed and count, or a row for each true "
            "group and a column for each observed one"
        )
    held = table.read().to_pandas()
    columns = {name: _whole(table, name, held[name]) for name in observed}
    confusion = pd.DataFrame(columns).set_axis(held[first].astype(str), axis=0)
    return confusion.rename_axis(None).rename_axis(None, axis=1)


def _whole(table: Table, column: str, values: pd.Series) -> npt.NDArray[np.int64]:
    """Return numbers of images; `InputError` names the cell that holds something else."""
    numbers = pd.to_numeric(values.replace("", "0"), errors="coerce")
    wrong = np.flatnonzero(~(numbers >= 0) | (numbers % 1 != 0))
    if len(wrong):
        row = int(wrong[0])
        raise table.place(row, column).error(
            f"holds {shown(values.iloc[row])}, but a number of images is needed"
        )
    return numbers.to_numpy(np.int64)


def of_audit(
    given: Mapping[str, tuple[str, pd.DataFrame]],
    truth: Dataset,
    *,
    files: Sequence[Path] = (),
    layout: Layout | None = None,
    data: Dataset | None = None,
) -> Noise:
    """Return what is known of each attribute: what was given, or a column of validated groups.

    Parameters
    ----------
    given : as of `read_given`
    truth : the audited images
    files, layout, data : tables of predictions, how they are written, and the dataset; without
        them it is the table of `truth` that may have the column
    """
    noise: dict[str, GroupNoise] = {}
    for name, (source, table) in given.items():
        attribute = _attribute(name, truth, table)
        _check_groups(source, attribute, truth, [*table.index, *table.columns])
        noise[attribute] = GroupNoise(source, confusion=table)
    for attribute in truth.attributes:
        column = f"{KIND}/{attribute}"
        if layout is None:
            validated = more_columns.of_dataset(column, truth)
        else:
            validated = more_columns.of_tables([column], files, layout, data, truth)
        if validated is None:
            continue
        if attribute in noise:
            raise InputError(
                f"{attribute} has a column {column} and a table of --group-noise: give one of them"
            )
        _check_groups(
            f"column {column}", attribute, truth, pd.Series(validated).dropna().unique().tolist()
        )
        noise[attribute] = GroupNoise(f"column {column}", validated=validated)
    return noise


def unread(files: Sequence[Path], truth: Dataset, data: Dataset | None) -> Iterator[str]:
    """Yield which columns of validated groups there are in tables of which images are counted."""
    of_data = [] if data is None else table_files(data.root)
    for attribute in truth.attributes:
        column = f"{KIND}/{attribute}"
        for table in map(open_table, [*files, *of_data]):
            if column in table.types:
                yield (
                    f"{table.path.name}: column {column} was not read: pictures of tables so large "
                    "are counted, and it is about each of them. Give their numbers by true and "
                    "observed group with --group-noise"
                )
                break


def _attribute(name: str, truth: Dataset, table: pd.DataFrame) -> str:
    """Return the attribute that a table is about: the one that is named, or that has its groups."""
    if name:
        if name not in truth.attributes:
            hint = did_you_mean(name, list(truth.attributes))
            raise InputError(f"--group-noise: {shown(name)} is no attribute of the data{hint}")
        return name
    fitting = [of for of, groups in truth.attributes.items() if {*groups} == {*table.index}]
    fitting = fitting or list(truth.attributes)
    if len(fitting) != 1:
        raise InputError(
            "--group-noise: say of which attribute the table is, as in "
            f"{next(iter(fitting), 'ATTRIBUTE')}=FILE"
        )
    return fitting[0]


def _check_groups(source: str, attribute: str, truth: Dataset, names: Sequence[Any]) -> None:
    """Raise where something holds a name that is no group of an attribute."""
    groups = truth.attributes[attribute]
    for name in names:
        if name not in groups:
            hint = did_you_mean(str(name), list(groups))
            raise InputError(f"{source}: {shown(name)} is no group of {attribute}{hint}")


def cautions(models: Sequence[Samples], table: pd.DataFrame, noise: Noise) -> Iterator[str]:
    """Yield how well groups were observed, and what that does to the gaps between them.

    Parameters
    ----------
    table : the metrics table
    """
    figures = read(table, [model.model for model in models])
    for attribute, of in noise.items():
        counts = of.table(_names(models[0].truth, attribute))
        errors = [
            f"{int(row.sum() - row.get(group, 0))} of {int(row.sum())} of {group}"
            for group, row in counts.iterrows()
        ]
        yield (
            f"{attribute} is observed with errors: of the validated pictures {listed(errors)} were "
            f"taken for others ({of.source}). Accuracy and error by group, and the gap between "
            "groups, are of the true groups, with intervals that carry these errors, given that "
            "errors have nothing to do with the answers; all other figures, also those of all "
            "pictures together, are of the groups as observed"
        )
        for model in models:
            for task in ("", *models[0].truth.tasks):
                yield from _of_gap(figures, model, attribute, task, of)


def _of_gap(
    figures: Figures, model: Samples, attribute: str, task: str, noise: GroupNoise
) -> Iterator[str]:
    """Yield what a gap is as observed, for true groups, and at least and at most."""
    names = ("accuracy_gap", "observed_accuracy_gap", "accuracy_gap_least", "accuracy_gap_most")
    corrected, observed, least, most = (
        figures.get(model.model, name, attribute, task) for name in names
    )
    if corrected is None or observed is None:
        return
    about = f"{attribute}, {model.model}" + (f", {task}" if task else "")
    if not corrected.defined:
        yield f"{about}: the validated pictures do not tell the groups apart: no gap can be said"
        return
    bounded = ""
    if least is not None and most is not None:
        bounded = (
            f"; whatever the errors have to do with the answers, it is between {least} and {most}"
        )
    carried = " once the errors are carried" if observed.low > 0 else ""
    shown_so = "" if corrected.low > 0 else f", which is not shown{carried}"
    yield (
        f"{about}: the gap in accuracy is {observed} ({observed.interval}) between groups as "
        f"observed, and {corrected} ({corrected.interval}) between true groups{shown_so}{bounded}"
    )
    p = _dependence(model, attribute, task, noise)
    if p < TIES:
        yield (
            f"{about}: in the validated pictures errors do go with right and wrong answers "
            f"(p = {p:.2g}): the correction assumes that they do not, so trust the bounds"
        )


def _dependence(model: Samples, attribute: str, task: str, noise: GroupNoise) -> float:
    """Return a p-value that errors have nothing to do with the answers of a task; else NaN."""
    predictions = predicted(model, task) if task else None
    if noise.validated is None or predictions is None:
        return float("nan")
    right = correct(model, model.truth.targets(task), predictions)
    groups = _names(model.truth, attribute)
    return metrics.noisy_groups(right, groups, replicates=0, **noise.keywords).dependence


def _names(truth: Dataset, attribute: str) -> npt.NDArray[np.object_]:
    """Return the observed group of each image, (n,), None where unknown."""
    groups = np.array([*truth.attributes[attribute], None], dtype=object)
    return groups[truth.codes(attribute)]
