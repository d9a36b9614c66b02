"""UTKFace: faces whose file names hold age, perceived gender and race."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Unpack

import pyarrow as pa

from fairvision.core.files import is_of_system
from fairvision.core.tables import Place
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.folder import IMAGE_SUFFIXES
from fairvision.datasets.readers.columns import Names, Roles, Rows, import_rows
from fairvision.datasets.readers.importing import Importing, first_few, locator, warn
from fairvision.datasets.readers.storing import Source
from fairvision.errors import InputError, reading

GENDERS = ("male", "female")
RACES = ("white", "black", "asian", "indian", "others")
_NAME = re.compile(
    r"(?P<id>(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d{8,20}) ?"
    r"\.(jpe?g|png)(\.chip\.(jpe?g|png))?",
    re.IGNORECASE,
)
_OLDEST = 130
_SAMPLES = "age_gender_race_date.jpg"


def from_utkface(
    source: str | Path,
    folder: str | Path,
    *,
    attributes: Names = ("gender", "race"),
    tasks: Names = (),
    ages: str | None = None,
    **importing: Unpack[Importing],
) -> Dataset:
    """Import UTKFace, whose file names hold age, gender and race.

    Names are age_gender_race_date.jpg or .jpg.chip.jpg: gender 0 is male and 1 female, race 0 to 4
    is white, black, asian, indian and others, all as perceived by a program and then by people.
    Names of another form, of which the published set has a few, end the command;
    --skip-broken leaves them out and counts them. There are no published splits.

    Parameters
    ----------
    source : folder of the images, or of folders of them
    folder : where to write the dataset folder
    attributes : gender, race or age; repeatable; NAME=COLUMN gives it another name
    tasks : the same, for what is classified; with --ages, age is a task unless it is named
    ages : the first year of each age group but the first, such as 20,40,60
    importing : see `Importing`

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If names are of another form, a name is there twice, or an image cannot be used; nothing is
        written.

    References
    ----------
    Z. Zhang, Y. Song & H. Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder",
    CVPR 2017.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from PIL import Image
    >>> folder = tempfile.TemporaryDirectory
    >>> with folder() as place, folder() as made:
    ...     for name in ("8_0_2_20170109150557335", "26_1_1_20170116174525125"):
    ...         Image.new("RGB", (8, 8)).save(f"{place}/{name}.jpg.chip.jpg")
    ...     with warnings.catch_warnings(action="ignore"):
    ...         faces = from_utkface(place, f"{made}/out", ages="20,40")
    >>> faces.samples[["gender", "race", "age"]].values.tolist()
    [['female', 'black', '20-39'], ['male', 'asian', '0-19']]
    >>> faces.tasks["age"].labels
    ('0-19', '20-39', '40+')
    """
    root, roles = Path(source), Roles.of(attributes, tasks)
    groups = None if ages is None else _age_groups(ages)
    if groups is not None and "age" not in roles.columns:
        roles = Roles(roles.attributes, roles.tasks | {"age": "age"}, roles.many)
    if groups is None and "age" in roles.columns:
        raise InputError("age is a number of years: say its groups by --ages, such as 20,40,60")
    roles.check(root, ["age", "gender", "race"])
    read, sources = _read_names(root, importing.get("skip_broken", False))
    columns = {
        "gender": [GENDERS[int(name["gender"])] for name in read],
        "race": [RACES[int(name["race"])] for name in read],
    }
    published: dict[str, Sequence[str]] = {"gender": sorted(GENDERS), "race": RACES}
    if groups is not None:
        columns["age"] = [groups[int(name["age"])] for name in read]
        published["age"] = list(dict.fromkeys(groups))
    rows = Rows(root, [name["id"] for name in read], pa.table(columns), None, sources, published)
    importing["name"] = importing.get("name") or "utkface"
    return import_rows(rows, roles, folder, source="UTKFace, as annotated", **importing)


def _age_groups(ages: str) -> list[str]:
    """Return the name of the group of each year, from 0 on.

    >>> _age_groups("1,20")[:3], _age_groups("1,20")[-1]
    (['0', '1-19', '1-19'], '20+')
    """
    firsts = [text.strip() for text in ages.split(",")]
    if not all(text.isdecimal() and len(text) <= 3 for text in firsts):
        raise InputError(f"--ages {ages} must be whole numbers between commas, such as 20,40,60")
    years = [0, *map(int, firsts), _OLDEST + 1]
    if any(first >= after for first, after in pairwise(years)):
        raise InputError(f"--ages {ages} must grow from number to number, from 1 to {_OLDEST}")
    groups = []
    for first, after in pairwise(years):
        last = f"{first}-{after - 1}" if after - first > 1 else f"{first}"
        groups += [f"{first}+" if after > _OLDEST else last] * (after - first)
    return groups


def _read_names(root: Path, skip: bool) -> tuple[list[re.Match[str]], list[Source]]:
    """Return what the names of the images say, and the images, in the order of their names."""
    read, sources, malformed = [], [], []
    paths: dict[str, Path] = {}
    for path in _files(root):
        name = _NAME.fullmatch(path.name)
        if name is None or int(name["age"]) > _OLDEST:
            malformed.append(path.name)
            continue
        if name["id"] in paths:
            raise InputError(
                f"{paths[name['id']]} and {path} are one image: give the folder of one of them"
            )
        paths[name["id"]] = path
        read.append(name)
        sources.append(Source(str(path), path, None))
    line = (
        f"{len(malformed)} of {len(malformed) + len(read)} file names in {root} are not "
        f"{_SAMPLES}: {first_few(malformed, root)}"
    )
    if not read:
        raise InputError(f"{line}" if malformed else f"{root} has no images called {_SAMPLES}")
    if malformed and not skip:
        raise InputError(f"{line} (--skip-broken leaves them out)")
    if malformed:
        warn(f"left out: {line}")
    return read, sources


def _files(root: Path) -> list[Path]:
    """Return the images in a folder and in the folders in it, by their names."""
    with reading(root, "a folder"):
        entries = [entry for entry in sorted(os.listdir(root)) if not is_of_system(entry)]
        folders = [root, *(root / entry for entry in entries if (root / entry).is_dir())]
        names = [(folder, name) for folder in folders for name in os.listdir(folder)]
    located = {folder: locator(folder, root) for folder in folders}
    files = [
        located[folder](name, Place(folder))
        for folder, name in names
        if Path(name).suffix.lower() in IMAGE_SUFFIXES and not is_of_system(name)
    ]
    return sorted(files, key=lambda path: (path.name, path))
