"""Data sets of Hugging Face: parquet files that hold images, or images and a metadata file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Unpack

from fairvision.core.extras import need
from fairvision.core.files import inside, is_of_system, resolved
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.readers.arrow_files import ARROW, as_parquet, saved_files
from fairvision.datasets.readers.columns import Columns, Names, Roles, import_rows
from fairvision.datasets.readers.importing import Importing, first_few, warn
from fairvision.datasets.readers.metadata_rows import METADATA, metadata_rows
from fairvision.datasets.readers.parquet_rows import parquet_rows
from fairvision.datasets.readers.split_names import split_of
from fairvision.errors import InputError, shown

_PARQUET = ".parquet"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def from_huggingface(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = (),
    tasks: Names = (),
    many: Names = (),
    captions: Columns = (),
    image: str | None = None,
    mask: str | None = None,
    id: str | None = None,
    files: str | None = None,
    revision: str | None = None,
    unknown: Iterable[str] = (),
    separator: str | None = None,
    **importing: Unpack[Importing],
) -> Dataset:
    """Import a data set of Hugging Face.

    SOURCE is a folder of parquet files, a single one, a folder that save_to_disk wrote, or a folder
    of images with a metadata.csv or metadata.jsonl that has a column file_name. What is no folder
    but looks like OWNER/NAME is downloaded from huggingface.co, parquet files only; that needs
    fairvision[hf]. No code of the data set is run, and the package datasets is not needed.

    Splits are what the names of files or folders say, such as train-00000-of-00002.parquet; where
    none says so they are drawn at random. Integers that the data set names (ClassLabel) become
    names, and -1 of them is unknown.

    Parameters
    ----------
    source : folder, file, or OWNER/NAME on huggingface.co
    folder : where to write the dataset folder
    attributes : column of groups of people; repeatable; NAME=COLUMN gives it another name
    tasks : column of labels to be classified, one per picture; repeatable; NAME=COLUMN
    many : column of labels of which any number may hold; repeatable; NAME=COLUMN
    captions : column of captions, texts or lists of texts; repeatable
    image : column of pictures; by default the only one, or file_name of a metadata file
    mask : column of masks of the people; by default mask, if it holds pictures
    id : column of unique names; by default the pictures' file names, if they are unique, else
        split and row
    files : pattern of the files to read, where there are several configurations or splits of other
        names, such as '0.25/*'
    revision : of a data set that is downloaded: a branch, a tag or a commit
    unknown : text that means not known, besides an empty cell and unknown; repeatable
    separator : between the labels of a many column that holds text, by default ;
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there are no such files, they hold several configurations, a file says no split while
        others do, columns are missing, or a picture cannot be used; nothing is written.

    Examples
    --------
    >>> import tempfile, warnings
    >>> import pandas as pd
    >>> from io import BytesIO
    >>> from PIL import Image
    >>> bytes_of = BytesIO()
    >>> Image.new("RGB", (8, 8)).save(bytes_of, "PNG")
    >>> cell = {"bytes": bytes_of.getvalue(), "path": None}
    >>> folder = tempfile.TemporaryDirectory
    >>> with folder() as place, folder() as made:
    ...     table = pd.DataFrame({"image": [cell] * 4, "age": ["old", "young"] * 2})
    ...     table.to_parquet(f"{place}/train-00000-of-00001.parquet")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         few = from_huggingface(place, f"{made}/few", attributes=["age"])
    >>> few.samples["id"].tolist(), few.attributes
    (['train-1', 'train-2', 'train-3', 'train-4'], {'age': ('old', 'young')})
    """
    roles = Roles.of(attributes, tasks, many, captions)
    root = Path(source)
    origin = root.name
    if not root.exists():
        root, origin = _downloaded(str(source), files, revision)
    elif revision is not None:
        raise InputError(f"{source} is here already: --revision is for what is downloaded")
    outermost = root.parent if root.is_file() else root
    chosen = _files(root, files)
    splits = _splits(outermost, chosen)
    if importing.get("name") is None:
        importing["name"] = Path(origin.partition(" ")[0]).stem
    with as_parquet(chosen) as readable:
        if readable[0].suffix == _PARQUET:
            rows = parquet_rows(root, readable, splits, roles, image=image, mask=mask, id=id)
        else:
            rows = metadata_rows(
                root, _reachable(outermost), chosen, splits, roles, image=image, mask=mask, id=id
            )
        return import_rows(
            rows,
            roles,
            folder,
            source=f"imported from {origin}",
            unknown=unknown,
            separator=separator,
            **importing,
        )


def _downloaded(name: str, files: str | None, revision: str | None) -> tuple[Path, str]:
    """Return the folder into which a data set was downloaded, and its name and version."""
    if not _ID.fullmatch(name) or Path(name).parent.exists():
        raise InputError(f"{name} does not exist")
    hub = need("huggingface_hub", "hf")
    warn(f"{name} is no folder here: it is downloaded from huggingface.co")
    try:
        place = hub.snapshot_download(
            name, repo_type="dataset", revision=revision, allow_patterns=files or f"*{_PARQUET}"
        )
    except Exception as error:  # of networks, of servers, of the disk
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{name} is no folder, and cannot be downloaded from huggingface.co: {reason}"
        ) from None
    if not any(Path(place).rglob(f"*{_PARQUET}")):
        raise InputError(
            f"{name} has no parquet files on huggingface.co: --revision refs/convert/parquet has "
            "those that are made of many data sets there"
        )
    return Path(place), f"{name} at {Path(place).name}"


def _files(root: Path, pattern: str | None) -> list[Path]:
    """Return the parquet files at a path, else those of Arrow or of metadata, by their paths."""
    if root.is_file():
        if root.suffix not in (_PARQUET, ARROW):
            raise InputError(f"{root} is no parquet file: give one, or a folder")
        return [root]
    every: list[Path] = []
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_of_system(name))
        every += [Path(place, name) for name in sorted(names) if not is_of_system(name)]
    wanted = [path for path in every if path.suffix == _PARQUET] or saved_files(every)
    wanted = wanted or [path for path in every if path.name in METADATA]
    if not wanted:
        raise InputError(f"{root} {_without_files(every)}")
    chosen = [path for path in wanted if fnmatch(path.relative_to(root).as_posix(), pattern or "*")]
    if not chosen:
        raise InputError(
            f"{root} has no file that is called {shown(pattern)}: it has "
            f"{first_few([path.relative_to(root).as_posix() for path in wanted], root)}"
        )
    for path in chosen:
        _check_reachable(root, path)
    return chosen


def _without_files(every: Sequence[Path]) -> str:
    """Return what to do with a folder that has neither parquet nor metadata."""
    suffixes = {path.suffix for path in every}
    if {".tar", ".zip"} & suffixes:
        return "holds archives and no parquet files: unpack them"
    return (
        f"has neither parquet files nor {' or '.join(METADATA)}: folders of pictures are read by "
        "fairvision data folder"
    )


def _reachable(root: Path) -> Path:
    """Return the folder out of which no link may lead; in the cache of the hub, where blobs lie."""
    root = resolved(root)
    return root.parent.parent if root.parent.name == "snapshots" else root


def _check_reachable(root: Path, path: Path) -> None:
    """Raise `InputError` for a link out of the folder."""
    if path.is_symlink():
        allowed = _reachable(root)
        inside(allowed, os.path.relpath(resolved(root) / path.relative_to(root), allowed))


def _splits(root: Path, files: Sequence[Path]) -> list[str] | None:
    """Return the split of each file by its name or folder; None where none says one."""
    splits = [split_of(path.relative_to(root)) for path in files]
    if not any(splits):
        _check_configurations(root, files)
        return None
    for path, split in zip(files, splits):
        if split is None:
            raise InputError(
                f"{path} is of no split by its name, as others are: rename it, or leave it out by "
                "--files PATTERN"
            )
    _check_configurations(root, files)
    return [split for split in splits if split is not None]


def _check_configurations(root: Path, files: Sequence[Path]) -> None:
    """Raise `InputError` where files lie in folders that are no splits, of several names."""
    folders = dict.fromkeys(
        "/".join(
            part
            for part in path.relative_to(root).parts[:-1]
            if part != "data" and split_of(Path(part)) is None
        )
        for path in files
    )
    if len(folders) > 1:
        names = [name or "." for name in folders]
        example = next(name for name in names if name != ".")
        raise InputError(
            f"{root} has several configurations: {first_few(names, root)}: say which by --files, "
            f"such as --files '{example}/*'"
        )
