"""Two audits of one model, the last release and this one: what got worse."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.auditing.folder import audit
from fairvision.core.files import check_vacant, plain_name, whole_folder, write_json, write_text
from fairvision.core.version import __version__
from fairvision.errors import InputError, reading
from fairvision.results import changes
from fairvision.results.audit_folder import MARKERS, AuditFolder, read_audit
from fairvision.results.changes import NEW, OLD, PAGE, Change, Compared, Comparison, StatusChange
from fairvision.results.figures import Figures, read
from fairvision.results.findings import findings
from fairvision.results.folder import PAGE as REPORT
from fairvision.results.markdown import escaped

MARKER = "compare.json"
SUMMARY = "compare.md"


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

    Models are paired by name, or if each audit has one model, these two. Where the audits share
    most of their images, these are audited again from the samples tables, the old model beside the
    new one, so differences are paired: `MODEL/report.html` and `MODEL/metrics.csv` of the folder.
    Else the figures of both are subtracted, and their intervals widened. `compare.html` and
    `compare.md` list what is shown to be worse and better, `compare.json` all of it.

    Parameters
    ----------
    old, new : folders of finished audits, of models or of captions
    output : folder to write
    replicates, seed : of the intervals of paired differences
    overwrite : replace what an earlier call wrote in `output`

    Raises
    ------
    InputError
        If one is no such audit, no model is in both, or an image has another truth in the new one.
        Nothing is written then.

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
    ['Error on pet (pet): 15.0% → 45.0%, +0.300 (+0.100 to +0.500, n = 20)']
    """
    from fairvision.report.releases import render

    check_vacant(output, marker=MARKER, overwrite=overwrite)
    audits = read_audit(old), read_audit(new)
    figures = _figures(audits[0]), _figures(audits[1])
    listed = [
        findings(one.metrics, one.models, float(one.settings.get("smallest_difference", 0)))
        for one in audits
    ]
    compared: list[Compared] = []
    differences: list[Change] = []
    statuses: list[StatusChange] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        whole_folder(output, marker=MARKER, overwrite=overwrite) as folder,
    ):
        for name, names in _pairs(*audits):
            tables = [_samples(one, model) for one, model in zip(audits, names)]
            about = _overlap(audits, tables, name, names)
            if about.why_unpaired:
                differences += changes.unpaired(name, figures, names)
            else:
                files = _common(tables, Path(scratch), name)
                train = audits[1].folder / "train.parquet"
                with _called_as_the_user_does(files, audits, names):
                    done = audit(
                        predictions=files,
                        names=[OLD, NEW],
                        train=train if train.is_file() else None,
                        output=folder / plain_name(name),
                        replicates=replicates,
                        seed=seed,
                    )
                differences += changes.paired(name, read(done.metrics, [OLD, NEW]))
            compared.append(about)
            of_model = [[f for f in of if f.model == model] for of, model in zip(listed, names)]
            statuses += changes.status_changes(name, *of_model)
        made = Comparison(
            Path(output),
            tuple(compared),
            tuple(differences),
            tuple(statuses),
            *_apart(audits, figures, compared),
        )
        write_text(folder / SUMMARY, _summary(made, old, new))
        write_text(folder / PAGE, render(made, str(old), str(new), report=REPORT))
        write_json(folder / MARKER, _described(made, old, new))
    return made


def _pairs(old: AuditFolder, new: AuditFolder) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield a name and the names in both audits of each model that is compared."""
    if old.marker != new.marker:
        raise InputError(
            f"{old.folder} and {new.folder} are an audit of models and one of captions: compare "
            "two of a kind"
        )
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


def _figures(one: AuditFolder) -> Figures:
    """Return the figures of an audit."""
    return read(one.metrics, one.models)


def _samples(one: AuditFolder, model: str) -> pa.Table | None:
    """Return the samples table of a model of an audit, if it has one."""
    path = one.folder / model / "samples.parquet"
    if not path.is_file():
        return None
    with reading(path, "a parquet table"):
        return pq.read_table(path)


def _overlap(
    audits: tuple[AuditFolder, AuditFolder],
    tables: Sequence[pa.Table | None],
    name: str,
    names: tuple[str, str],
) -> Compared:
    """Return how many images the audits of a model share, and whether it is compared on them."""
    old, new = (int(one.settings.get("n") or 0) for one in audits)
    if any(table is None for table in tables):
        kept = "captions are" if audits[0].marker != MARKERS[0] else "what was only counted is"
        return Compared(name, names[0], old, new, 0, f"{kept} not kept for each picture")
    first, other = (pd.Index(table["id"].to_pandas()) for table in tables if table is not None)
    shared = len(first.intersection(other))
    scores = [
        {column for column in table.column_names if column.startswith(("score/", "answer/"))}
        for table in tables
        if table is not None
    ]
    reason = "" if scores[0] == scores[1] else "their groups or labels differ"
    if shared * 2 < min(len(first), len(other)):
        reason = f"{shared:,} pictures are in both audits" if shared else "no picture is in both"
    return Compared(name, names[0], len(first), len(other), shared, reason)


def _common(tables: Sequence[pa.Table], scratch: Path, name: str) -> list[Path]:
    """Write the rows of images that are in both tables, in one order; return the files."""
    ids = [pd.Index(table["id"].to_pandas()) for table in tables]
    shared = ids[0].intersection(ids[1], sort=False)
    files = []
    for label, table, index in zip((OLD, NEW), tables, ids):
        file = scratch / f"{plain_name(name)}-{label}.parquet"
        pq.write_table(table.take(pa.array(index.get_indexer(shared))), file)
        files.append(file)
    return files


@contextmanager
def _called_as_the_user_does(
    files: Sequence[Path], audits: Sequence[AuditFolder], names: Sequence[str]
) -> Iterator[None]:
    """Let errors name the tables of the audits in place of files that are gone by then."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for file, one, name in zip(files, audits, names):
            text = text.replace(str(file), str(one.folder / name / "samples.parquet"))
        raise InputError(text) from None


def _apart(
    audits: tuple[AuditFolder, AuditFolder],
    figures: Sequence[Figures],
    compared: Sequence[Compared],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the models and groups that only the new audit has, and those only of the old one."""
    taken = {model.old_name for model in compared}, {model.name for model in compared}
    names = [
        {f"model {model}" for model in one.models if model not in in_both}
        | {f"group {group}" for group in changes.groups_of(of)}
        for one, of, in_both in zip(audits, figures, taken)
    ]
    return tuple(sorted(names[1] - names[0])), tuple(sorted(names[0] - names[1]))


def _summary(made: Comparison, old: str | Path, new: str | Path) -> str:
    """Return what changed, in Markdown."""
    lines = ["# What changed", "", f"From {escaped(str(old))} to {escaped(str(new))}.", ""]
    for title, names in (("Only in the new audit", made.added), ("No longer there", made.removed)):
        if names:
            lines += [f"{title}: {escaped(', '.join(names))}.", ""]
    for model in made.models:
        lines += [f"## {escaped(model.name)}", "", f"{model.basis} 95% intervals.", ""]
        for title, texts in (
            ("Answers", made.of(made.statuses, model)),
            ("Worse", made.of(made.worse, model)),
            ("Better", made.of(made.better, model)),
        ):
            lines += [f"**{title}**: {'' if texts else 'nothing was shown.'}", ""]
            lines += [f"- {escaped(str(text))}" for text in texts] + [""] * bool(texts)
        lines += [made.caution(model), ""]
    return "\n".join(lines)


def _described(made: Comparison, old: str | Path, new: str | Path) -> dict[str, Any]:
    """Return what `compare.json` holds."""
    return {
        "fairvision": __version__,
        "old": str(old),
        "new": str(new),
        "models": [{**asdict(model), "paired": not model.why_unpaired} for model in made.models],
        "added": list(made.added),
        "removed": list(made.removed),
        "findings": [asdict(status) for status in made.statuses],
        "changes": [change.as_json() for change in made.changes],
    }
