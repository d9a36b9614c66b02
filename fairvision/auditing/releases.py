"""Two audits of one model, the last release and this one: what got worse."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.auditing.folder import audit
from fairvision.core.files import check_vacant, plain_name, whole_folder, write_json, write_text
from fairvision.core.version import __version__
from fairvision.errors import InputError, reading
from fairvision.results import words
from fairvision.results.audit_folder import AuditFolder, read_audit
from fairvision.results.figures import Key, difference_of, read

MARKER = "compare.json"
SUMMARY = "compare.md"
OLD, NEW = "old", "new"
WORSE, BETTER = ("worse", "further from 0"), ("better", "closer to 0")


@dataclass(frozen=True)
class Change:
    """A figure that differs between two audits of a model.

    Attributes
    ----------
    model : its name
    key : what the figure is about
    old, new : its values
    difference, low, high, n : new minus old, on the same images, with its 95% interval
    change : "worse", "better", "further from 0", "closer to 0" or "differs", as the interval shows;
        or "not shown"
    """

    model: str
    key: Key
    old: float
    new: float
    difference: float
    low: float
    high: float
    n: int
    change: str

    def __str__(self) -> str:
        about = ", ".join(filter(None, self.key[1:]))
        name = words.words_of(self.key.metric, self.key.attribute, self.key.task).title
        numbers = (words.written(value, "difference") for value in (self.low, self.high))
        low, high = numbers
        return (
            f"{name} ({about}): {words.written(self.difference, 'difference')} ({low} to {high}, "
            f"n = {self.n})"
        )


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    folder : where it is written
    changes : every figure that both audits have, of every model
    images : how many images both audits have, by model
    """

    folder: Path
    changes: tuple[Change, ...]
    images: dict[str, int]

    @property
    def worse(self) -> list[Change]:
        """What is shown to have become worse."""
        return [change for change in self.changes if change.change in WORSE]

    @property
    def better(self) -> list[Change]:
        """What is shown to have become better."""
        return [change for change in self.changes if change.change in BETTER]


def compare(
    old: str | Path,
    new: str | Path,
    *,
    output: str | Path,
    replicates: int = 1000,
    seed: int = 0,
    overwrite: bool = False,
) -> Comparison:
    """Compare two audits: the last release of a model with this one.

    Models are paired by name, or if each audit has one model, these two. The images that both
    audits have are audited again from the samples tables, the old model beside the new one, so
    differences are paired: `MODEL/report.html` and `MODEL/metrics.csv` of the folder. `compare.md`
    lists what is shown to be worse and better, `compare.json` all of it.

    Parameters
    ----------
    old, new : folders of finished audits with samples tables
    output : folder to write
    replicates, seed : of the intervals
    overwrite : replace what an earlier call wrote in `output`

    Raises
    ------
    InputError
        If one is no such audit, no model or image is in both, or an image has another truth in the
        new one. Nothing is written then.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, wrong in (("a", 3), ("b", 9)):
    ...     score = [0.1] * wrong + [0.9] * (20 - wrong)
    ...     rows = {"id": range(20), "pet": ["cat"] * 20, "score/pet/cat": score}
    ...     rows["score/pet/dog"] = [1 - value for value in score]
    ...     pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    ...     _ = audit(
    ...         predictions=folder / f"{name}.parquet", attributes=["pet"], output=folder / name
    ...     )
    >>> made = compare(folder / "a", folder / "b", output=folder / "compared")
    >>> [str(change) for change in made.worse if change.key.metric == "error"][:1]
    ['Error on pet (pet): +0.300 (+0.100 to +0.500, n = 20)']
    """
    check_vacant(output, marker=MARKER, overwrite=overwrite)
    audits = read_audit(old), read_audit(new)
    pairs = list(_pairs(*audits))
    changes: list[Change] = []
    images: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        whole_folder(output, marker=MARKER, overwrite=overwrite) as folder,
    ):
        for name, models in pairs:
            tables = [_samples(one, model) for one, model in zip(audits, models)]
            files = _common(tables, Path(scratch), name)
            train = audits[1].folder / "train.parquet"
            done = audit(
                predictions=files,
                names=[OLD, NEW],
                train=train if train.is_file() else None,
                output=folder / plain_name(name),
                replicates=replicates,
                seed=seed,
            )
            images[name] = pq.read_metadata(files[0]).num_rows
            changes += _changes(name, done.metrics)
        made = Comparison(Path(output), tuple(changes), images)
        write_text(folder / SUMMARY, _summary(made, old, new))
        write_json(folder / MARKER, _described(made, old, new))
    return made


def _pairs(old: AuditFolder, new: AuditFolder) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield a name and the names in both audits of each model that is compared."""
    shared = [name for name in new.models if name in old.models]
    if not shared and len(old.models) == len(new.models) == 1:
        yield new.models[0], (old.models[0], new.models[0])
        return
    if not shared:
        raise InputError(
            f"no model is in both audits: {old.folder} has {', '.join(old.models)}, and "
            f"{new.folder} has {', '.join(new.models)}: audit them under the same names (--name)"
        )
    yield from ((name, (name, name)) for name in shared)


def _samples(one: AuditFolder, model: str) -> pa.Table:
    """Return the samples table of a model of an audit."""
    path = one.folder / model / "samples.parquet"
    if not path.is_file():
        raise InputError(
            f"{one.folder} has no samples table of {model!r}: what was only counted, and captions, "
            "cannot be compared"
        )
    with reading(path, "a parquet table"):
        return pq.read_table(path)


def _common(tables: Sequence[pa.Table], scratch: Path, name: str) -> list[Path]:
    """Write the rows of images that are in both tables, in one order; return the files."""
    ids = [pd.Index(table["id"].to_pandas()) for table in tables]
    shared = ids[0].intersection(ids[1], sort=False)
    if not len(shared):
        raise InputError(f"no picture is in both audits of {name!r}: their ids differ")
    files = []
    for label, table, index in zip((OLD, NEW), tables, ids):
        file = scratch / f"{plain_name(name)}-{label}.parquet"
        pq.write_table(table.take(pa.array(index.get_indexer(shared))), file)
        files.append(file)
    return files


def _changes(model: str, metrics: pd.DataFrame) -> Iterator[Change]:
    """Yield the difference of each figure of the whole and of groups."""
    figures = read(metrics, [OLD, NEW])
    for (of, key), figure in figures.table.items():
        before, after = (figures.table.get((name, key)) for name in (OLD, NEW))
        if of != difference_of(OLD, NEW) or before is None or after is None or not figure.defined:
            continue
        yield Change(
            *(model, key, before.value, after.value, figure.value, figure.low, figure.high),
            figure.n,
            words.change(key.metric, before.value, after.value, figure.low, figure.high),
        )


def _summary(made: Comparison, old: str | Path, new: str | Path) -> str:
    """Return what changed, in Markdown."""
    lines = ["# What changed", "", f"From `{old}` to `{new}`, 95% intervals, paired.", ""]
    for model, count in made.images.items():
        lines += [f"## {words.plain(model)}", "", f"{count} pictures are in both audits.", ""]
        for title, changes in (("Worse", made.worse), ("Better", made.better)):
            of_model = [str(change) for change in changes if change.model == model]
            lines += [f"**{title}**: {'' if of_model else 'nothing was shown.'}", ""]
            lines += [f"- {words.plain(line)}" for line in of_model] + [""] * bool(of_model)
    return "\n".join(lines)


def _described(made: Comparison, old: str | Path, new: str | Path) -> dict[str, Any]:
    """Return what `compare.json` holds."""
    return {
        "fairvision": __version__,
        "old": str(old),
        "new": str(new),
        "images": made.images,
        "changes": [
            {"model": change.model, **change.key._asdict()}
            | {
                name: None if math.isnan(value) else value
                for name in ("old", "new", "difference", "low", "high", "n")
                if (value := getattr(change, name)) is not None
            }
            | {"change": change.change}
            for change in made.changes
        ],
    }
