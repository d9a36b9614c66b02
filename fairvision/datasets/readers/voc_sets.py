"""Splits in the layout of Pascal VOC: a file for each, with the name of an image per line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairvision.datasets.dataset import SPLIT_NAMES
from fairvision.datasets.readers.importing import warn
from fairvision.errors import InputError, check_file, reading, shown

_DEFAULT, _BOTH = "Main", "trainval"


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file."""
    path = check_file(path, "a text file")
    with reading(path, "text"):
        return path.read_text(encoding="utf-8-sig").splitlines()


def read_sets(folder: Path, files: Mapping[str, Path]) -> tuple[dict[str, Path], list[str] | None]:
    """Return the files that are in a split, and the split of each; None where they are to be drawn.

    Parameters
    ----------
    folder : of train.txt, val.txt, test.txt, or some of them; trainval.txt is train where there is
        neither train.txt nor val.txt
    files : of annotations, by their names

    Raises
    ------
    InputError
        A name is in two splits, or no file is in any.

    Warns
    -----
    FairvisionWarning
        Files are in no split, or names are of no file.

    Examples
    --------
    >>> read_sets(Path("nowhere/ImageSets/Main"), {"a": Path("a.xml")})
    ({'a': PosixPath('a.xml')}, None)
    """
    if not folder.is_dir():
        if folder.name != _DEFAULT:
            raise InputError(f"{folder} is no folder")
        return dict(files), None
    lists = {
        path: SPLIT_NAMES[path.stem.lower()]
        for path in sorted(folder.glob("*.txt"))
        if path.stem.lower() in SPLIT_NAMES
    }
    both = folder / f"{_BOTH}.txt"
    if both.is_file() and not {"train", "val"} & set(lists.values()):
        lists[both] = "train"
    if not lists:
        return dict(files), None
    splits: dict[str, str] = {}
    without = 0
    for path, split in lists.items():
        for line in filter(str.strip, lines_of(path)):
            name = line.strip().strip('"')
            if splits.setdefault(name, split) != split:
                raise InputError(f"{path}: {shown(name)} is in the split {splits[name]} already")
            without += name not in files
    kept = {name: path for name, path in files.items() if name in splits}
    if not kept:
        raise InputError(f"{folder}: none of its names is of a file of annotations")
    if without:
        warn(f"{folder}: {without} names without annotations are left out")
    if len(kept) < len(files):
        warn(
            f"{folder}: {len(files) - len(kept)} of {len(files)} pictures are in no split, and "
            "left out"
        )
    return kept, [splits[name] for name in kept]
