"""Names of the models that are compared: unique, and safe as names of folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fairvision.core.files import resolved
from fairvision.errors import InputError, shown

RESERVED = (
    "report.html",
    "metrics.csv",
    "train.parquet",
    "counts.parquet",
    "train_counts.parquet",
    "audit.json",
    "captions.json",
    "captions.parquet",
)
_BYTES = 200  # of a name; systems allow 255 for that of a folder


def model_names(sources: Sequence[Path], given: Sequence[str] | None = None) -> list[str]:
    """Return a name for each run folder or table.

    Runs are called by their folder, tables by their file, or by their folder where the file is
    the `samples.parquet` of an audit. Where two would be alike, the folders above are added, and
    the same source twice is numbered.

    Parameters
    ----------
    sources : run folders, or files or folders of tables
    given : names to use instead, one for each

    Raises
    ------
    InputError
        If given names are too few, not unique, or cannot be names of folders.

    Examples
    --------
    >>> model_names([Path("runs/baseline"), Path("runs/equalizer")])
    ['baseline', 'equalizer']
    >>> model_names([Path("a/run"), Path("b/run"), Path("b/run")])
    ['a_run', 'b_run', 'b_run_2']
    >>> model_names([Path("audit/baseline/samples.parquet"), Path("other.csv")])
    ['baseline', 'other']
    """
    if given is not None:
        return _checked(list(given), len(sources))
    parts = [_parts(source) for source in sources]
    depth = 1
    names = [_safe("_".join(folders[-depth:])) for folders in parts]
    while len(set(names)) < len(set(map(tuple, parts))) and depth < max(map(len, parts)):
        depth += 1
        names = [
            _safe("_".join(folders[-depth:])) if names.count(name) > 1 else name
            for folders, name in zip(parts, names)
        ]
    return _numbered(names)


def _parts(source: Path) -> list[str]:
    """Return the parts of a path from which a model is named; ["model"] if there are none."""
    path = resolved(source)
    if path.suffix in (".parquet", ".csv"):
        path = path.parent if path.stem == "samples" else path.with_suffix("")
    return [part for part in path.parts if part != path.anchor] or ["model"]


def _safe(name: str) -> str:
    """Return `name` without what a folder's name, or `B - A` as a name of rows, cannot hold."""
    name = re.sub(r'[\x00-\x1f\ud800-\udfff/\\:*?"<>|]', "_", name).replace(" - ", "-").strip(" .")
    name = name[:120].encode()[:_BYTES].decode(errors="ignore").strip(" .")
    return f"{name}_model" if name.lower() in RESERVED else name or "model"


def _numbered(names: list[str]) -> list[str]:
    """Return the names with _2, _3, … added to those that are taken, whatever their case."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate.lower() in map(str.lower, unique):
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _checked(names: list[str], count: int) -> list[str]:
    """Return the names; raise `InputError` unless they are `count` usable, different ones."""
    if len(names) != count:
        raise InputError(f"{count} models need {count} names, not {len(names)}")
    for name in names:
        if name != _safe(name) or not name:
            raise InputError(f"{shown(name)} cannot be the name of a model: it also names a folder")
    if _numbered(names) != names:
        raise InputError(f"the names of the models must differ: {', '.join(names)}")
    return names
