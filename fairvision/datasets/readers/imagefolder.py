"""ImageFolder: pictures in folders that say what they show, such as `train/female/1.jpg`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import pyarrow as pa

from fairvision.core.files import inside, is_of_system
from fairvision.datasets.dataset import SPLIT_NAMES, Dataset
from fairvision.datasets.folder import IMAGE_SUFFIXES
from fairvision.datasets.readers.columns import Names, Roles, Rows, import_rows
from fairvision.datasets.readers.importing import Importing, warn
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, reading, shown

SPLIT, ANY, LABEL = "split", "*", "label"
_DEEPEST = 8
_NAMED = 3


def from_folder(
    source: str | Path,
    folder: str | Path,
    *,
    levels: str | None = None,
    attributes: Names = (),
    tasks: Names = (),
    **importing: Unpack[Importing],
) -> Dataset:
    """Import folders of pictures, as ImageFolder has them.

    Levels that no option names are guessed where that can be done in one way: `label/picture`, and
    `train/label/picture` where all folders of the first level are called as splits are. A folder
    called unknown holds pictures of which the label is not known.

    Parameters
    ----------
    source : the outermost folder
    folder : where to write the dataset folder
    levels : what the folders of each level are, from the outermost on, such as split/gender,
        profession/gender or split/gender/*: `split` (train, val, test), `*` (passed over), or a
        name that is given by --attribute or --task; `label` is a task
    attributes : levels of groups of people; repeatable; NAME=LEVEL gives it another name. Without
        --levels, the name of the innermost level.
    tasks : the same for levels of labels to be classified
    importing : see `Importing`

    Returns
    -------
    Dataset
        The `id` of a picture is its path in the outermost folder.

    Raises
    ------
    InputError
        If the levels could be read in two ways, a picture lies deeper or less deep than they say,
        a link leads out of the folder, or a picture cannot be used; nothing is written.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for i, label in enumerate(["nurse/female", "nurse/male", "pilot/female"]):
    ...         Path(place, "photos", label).mkdir(parents=True)
    ...         Image.new("RGB", (8, 8)).save(f"{place}/photos/{label}/{i}.png")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         people = from_folder(
    ...             f"{place}/photos",
    ...             f"{place}/people",
    ...             levels="profession/gender",
    ...             attributes=["gender"],
    ...             tasks=["profession"],
    ...         )
    >>> people.attributes, people.samples["profession"].tolist()
    ({'gender': ('female', 'male')}, ['nurse', 'nurse', 'pilot'])
    """
    root, roles = Path(source), Roles.of(attributes, tasks)
    images = _images(root)
    given = None if levels is None else levels.strip("/").split("/")
    named = _guessed(root, images, roles) if given is None else given
    if given is None and not roles.names:
        roles = Roles.of([], [LABEL])
    roles = _checked(named, roles)
    _check_depths(images, named)
    columns = {
        name: [image.folders[level] for image in images]
        for level, name in enumerate(named)
        if name not in (SPLIT, ANY)
    }
    splits = None
    if SPLIT in named:
        splits = _splits(root, images, named.index(SPLIT))
    rows = Rows(
        root,
        [image.id for image in images],
        pa.table(columns),
        splits,
        [Source(str(image.path), image.path, None) for image in images],
    )
    origin = f"imported from the folders {'/'.join(named)} of {root.resolve().name}"
    return import_rows(rows, roles, folder, source=origin, **importing)


@dataclass(frozen=True)
class _Image:
    """A picture, and the names of the folders in which it lies, from the outermost on."""

    path: Path
    folders: tuple[str, ...]

    @property
    def id(self) -> str:
        """Its path in the outermost folder."""
        return "/".join((*self.folders, self.path.name))


@dataclass
class _PassedOver:
    """What holds no picture."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def tell(self, root: Path) -> None:
        """Warn of each kind once."""
        for names, kind in (
            (self.files, "files that are no pictures by their names are passed over"),
            (self.folders, "folders hold no picture, so they give no label"),
        ):
            if names:
                few = [*names[:_NAMED], *["…"] * (len(names) > _NAMED)]
                warn(f"{root}: {len(names)} {kind}: {', '.join(few)}")


def _images(root: Path) -> list[_Image]:
    """Return all pictures below a folder, in the order of their paths."""
    passed_over = _PassedOver()
    images = list(_walk(root, (), passed_over))
    if not images:
        raise InputError(f"{root} has no pictures in folders of it ({', '.join(IMAGE_SUFFIXES)})")
    passed_over.tell(root)
    return images


def _walk(root: Path, folders: tuple[str, ...], passed_over: _PassedOver) -> Iterator[_Image]:
    """Yield the pictures in a folder and below."""
    folder = root.joinpath(*folders)
    with reading(folder, "a folder"):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    empty = True
    for entry in entries:
        if is_of_system(entry.name):
            continue
        path = Path(entry.path)
        _check_entry(root, path)
        if entry.is_dir():
            if len(folders) == _DEEPEST:
                raise InputError(f"{path} lies more than {_DEEPEST} folders deep in {root}")
            yield from _walk(root, (*folders, entry.name), passed_over)
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            passed_over.files.append(path.relative_to(root).as_posix())
            continue
        else:
            yield _Image(path, folders)
        empty = False
    if empty:
        passed_over.folders.append("/".join(folders))


def _check_entry(root: Path, path: Path) -> None:
    """Raise `InputError` for a link out of the folder, and for a name that is no text."""
    if path.is_symlink():
        try:
            inside(root, os.path.relpath(path, root))
        except InputError:
            raise InputError(
                f"{path} is a link that leads out of {root}: copy what it leads to, or write a "
                "table for fairvision data csv, which follows links"
            ) from None
    if any("\ud800" <= letter <= "\udfff" for letter in path.name):
        raise InputError(f"{path} has a name that is not text in UTF-8: rename it")


def _guessed(root: Path, images: Sequence[_Image], roles: Roles) -> list[str]:
    """Return the levels where they can be meant in one way only."""
    last = roles.columns or [LABEL]
    depths = {len(image.folders) for image in images}
    are_splits = all(image.folders[0].lower() in SPLIT_NAMES for image in images if image.folders)
    if len(last) == 1 and depths == {1} and not are_splits:
        return last
    if len(last) == 1 and depths == {2} and are_splits:
        return [SPLIT, *last]
    deepest = max(images, key=lambda image: len(image.folders))
    if 0 in depths or (depths == {1} and are_splits):
        raise InputError(
            f"{min(images, key=lambda image: len(image.folders)).path} lies in no folder that says "
            "what it shows: move it into one, or write a table for fairvision data csv"
        )
    if len(depths) > 1:
        raise InputError(
            f"pictures of {root} lie {' or '.join(map(str, sorted(depths)))} folders deep, such as "
            f"{images[0].id} and {deepest.id}: bring them to one depth"
        )
    example = {1: "gender", 2: "profession/gender"}.get(len(deepest.folders), "split/gender/*")
    raise InputError(
        f"{root} has pictures such as {shown(deepest.id)}, whose folders may mean several things: "
        f"say what each level is, such as --levels {example}, and --attribute or --task for each "
        "name"
    )


def _checked(levels: Sequence[str], roles: Roles) -> Roles:
    """Return the roles of levels; `InputError` where one has none."""
    text = "/".join(levels)
    named = [level for level in levels if level not in (SPLIT, ANY)]
    for level in levels:
        if not level:
            raise InputError(f"--levels {text} has a level without a name: write * to pass it over")
        if level != ANY and levels.count(level) > 1:
            raise InputError(f"--levels {text} names {level!r} twice: write * to pass one over")
    for column in roles.columns:
        if column not in named:
            raise InputError(
                f"--levels {text} has no level {shown(column)}: what --attribute and --task name "
                "must be among them"
            )
    if LABEL in named and LABEL not in roles.columns:
        roles = Roles(roles.attributes, roles.tasks | {LABEL: LABEL}, roles.many)
    for level in named:
        if level not in roles.columns:
            raise InputError(
                f"level {shown(level)} of --levels {text}: add --attribute {level} if it is groups "
                f"of people, --task {level} if it is what is classified, or write * instead"
            )
    if not named:
        raise InputError(f"--levels {text} names no attribute or task, such as split/gender")
    roles.check(Path(text), named)
    return roles


def _check_depths(images: Sequence[_Image], levels: Sequence[str]) -> None:
    """Raise `InputError` for a picture that does not lie as deep as there are levels."""
    for image in images:
        if len(image.folders) != len(levels):
            raise InputError(
                f"{image.path} lies {len(image.folders)} folders deep, but --levels "
                f"{'/'.join(levels)} has {len(levels)}: write * for folders that mean nothing"
            )


def _splits(root: Path, images: Sequence[_Image], level: int) -> list[str]:
    """Return the split of each picture, which is the name of a folder."""
    names: dict[str, str] = {}
    for image in images:
        name = image.folders[level]
        if name in names:
            continue
        split = SPLIT_NAMES.get(name.lower())
        if split is None:
            raise InputError(
                f"{root}: folder {shown(name)}, such as of {image.id}, is no split: its name must "
                "be train, val or test"
            )
        if split in names.values():
            others = [other for other, meant in names.items() if meant == split]
            raise InputError(f"{root}: folders {shown(others[0])} and {shown(name)} are one split")
        names[name] = split
    return [names[image.folders[level]] for image in images]
