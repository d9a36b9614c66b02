"""The dataset folder: `dataset.json`, a table of images, images and masks; what is in one."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core.files import is_of_system, read_json, whole_file, write_json
from fairvision.core.moved import former_names
from fairvision.datasets import captions
from fairvision.datasets.dataset import SPLIT_NAMES, SPLITS, TEXT, Dataset
from fairvision.datasets.predicted_masks import parse_predicted
from fairvision.datasets.samples import read_samples
from fairvision.errors import InputError
from fairvision.schema import UNKNOWN, parse_schema

_UTKFACE = re.compile(r"\d{1,3}_[01]_(\d_)?\d{8,}.*\.(jpe?g|png)(\.chip\.jpg)?", re.IGNORECASE)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_LOOKED_AT = 50  # entries of a folder
FEW = 30
_NAMED = 8  # groups, in a warning
"""Below this number of images a share is called uncertain."""


def refuse_layouts(path: Path) -> None:
    """Raise `InputError` with what reads it where a path is the layout of a known data set.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for label in ("cat", "dog"):
    ...         Path(place, label).mkdir()
    ...         Path(place, label, "1.png").touch()
    ...     try:
    ...         refuse_layouts(Path(place))
    ...     except InputError as error:
    ...         print(str(error).removeprefix(place).partition(":")[0])
     looks like an ImageFolder, a folder of pictures per label
    """
    layout, reader = _layout(path)
    if layout:
        raise InputError(f"{path} looks like {layout}: fairvision data {reader} reads it")


def _layout(path: Path) -> tuple[str, str]:
    """Return what a path of images seems to be, in words, and its reader; "" if unknown."""
    if path.is_file():
        of_celeba = path.suffix == ".txt" and _is_celeba(path)
        return ("CelebA's list of attributes", "celeba") if of_celeba else ("", "")
    if not path.is_dir() or (path / "dataset.json").exists():
        return "", ""
    entries = _entries(path)
    if any(_UTKFACE.fullmatch(entry.name) for entry in entries):
        return "UTKFace, whose file names hold age, gender and race", "utkface"
    labels = [entry for entry in entries if entry.is_dir()]
    if labels and all(label.name.lower() in SPLIT_NAMES for label in labels):
        labels = [inner for split in labels for inner in _entries(split) if inner.is_dir()]
    if len(labels) > 1 and all(map(_holds_images, labels)):
        return "an ImageFolder, a folder of pictures per label", "folder"
    return "", ""


def _is_celeba(path: Path) -> bool:
    """Return whether a text begins with a count, a line of names, and an image with -1 and 1."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line[:10_000].split() for line in islice(file, 3)]
    except (OSError, UnicodeError):
        return False
    if len(lines) < 3 or len(lines[0]) != 1 or not lines[0][0].isdecimal():
        return False
    return len(lines[2]) == len(lines[1]) + 1 and set(lines[2][1:]) <= {"-1", "1"}


def _entries(folder: Path) -> list[Path]:
    """Return the first entries of a folder, sorted; none if it cannot be listed."""
    try:
        entries = (entry for entry in folder.iterdir() if not is_of_system(entry.name))
        return sorted(islice(entries, _LOOKED_AT))
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    """Return whether one of the first entries of a folder has the suffix of an image."""
    return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in _entries(folder))


def load(folder: str | Path) -> Dataset:
    """Read and check a dataset folder.

    Raises
    ------
    InputError
        One line naming file, row and column of what cannot be used: missing files or columns,
        repeated ids, groups, labels or splits that `dataset.json` does not name, paths that leave
        the folder. That images can be read is checked when they are decoded.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give a dataset folder (see fairvision data)")
    path = root / "dataset.json"
    if not path.exists():
        refuse_layouts(root)
        raise InputError(
            f"{path} does not exist: fairvision data makes a dataset folder, of a table of "
            "pictures fairvision data csv"
        )
    settings = read_json(path)
    schema = parse_schema(path, settings)
    samples, columns = read_samples(root, schema)
    return Dataset.of_columns(
        schema,
        samples,
        columns,
        root=root,
        name=str(settings.get("name", root.resolve().name)),
        source=str(settings.get("source", "")),
        licence=str(settings.get("licence", "")),
        size=_size(path, settings.get("size")),
        predicted_masks=parse_predicted(path, settings),
    )


def save(dataset: Dataset, folder: str | Path) -> None:
    """Write `dataset.json` and `samples.parquet` into an existing folder."""
    folder = Path(folder)
    columns = {}
    for name, column in dataset.samples.items():
        if dataset.schema.is_many(str(name)):
            columns[str(name)] = pa.array(column, pa.list_(pa.string()), from_pandas=True)
        elif name == captions.COLUMN and name not in dataset.schema:
            columns[captions.COLUMN] = captions.as_arrow(column)
        else:
            columns[str(name)] = pa.array(column.astype(TEXT)).cast(pa.string())
    with whole_file(folder / "samples.parquet") as part:
        pq.write_table(pa.table(columns), part)
    write_json(folder / "dataset.json", dataset.settings)


def _size(path: Path, value: Any) -> tuple[int, int] | None:
    """Return width and height as read from dataset.json, and None if it gives no size."""
    if value is None:
        return None
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise InputError(
            f"{path}: size must be [width, height] in pixels, of every picture, not {value!r}"
        )
    return sides[0], sides[1]


__getattr__ = former_names(
    __name__,
    {
        "SEPARATOR": "fairvision.schema.SEPARATOR",
        "SPLITS": "fairvision.datasets.dataset.SPLITS",
        "Task": "fairvision.schema.Task",
        "UNKNOWN": "fairvision.schema.UNKNOWN",
    },
)


class CaptionCounts(TypedDict):
    """How many captions there are, and how long they are."""

    images: int
    captions: int
    words: dict[str, float]


class Description(TypedDict):
    """What is in a dataset, see `describe`."""

    name: str
    source: str
    licence: str
    folder: str
    counts: pd.DataFrame
    skew: pd.DataFrame
    captions: CaptionCounts | None
    warnings: list[str]


def describe(dataset: Dataset) -> Description:
    """Return what is in a dataset, as plain data.

    Returns
    -------
    dict with
        `name`, `source`, `licence`, `folder` : text
        `counts` : a row for `images`, for `masks`, where there are any for `captions` (images that
            have some), per attribute and group and per task and label, with the number of images
            per split and in `all`. The row `unknown` counts images whose group or label is not
            known; where many labels may hold, `none` counts those for which none does.
            Counterfactuals have a row of their own, where there are any, and are in no other
            number.
        `skew` : see `skew`
        `captions` : None without any; else how many `images` have captions, how many `captions`
            there are, and the `min`, `mean`, `median` and `max` of `words` (what stands between
            blanks) per caption, over all splits, without counterfactuals
        `warnings` : lines about what makes figures uncertain or impossible

    Both tables are `pandas.DataFrame`.
    """
    made, dataset = dataset.counterfactuals(), dataset.originals()
    return {
        "name": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        "folder": str(dataset.root),
        "counts": counts(dataset, made),
        "skew": skew(dataset),
        "captions": _captions(dataset),
        "warnings": cautions(dataset),
    }


def _captions(dataset: Dataset) -> CaptionCounts | None:
    """Return how many captions there are, and how long they are; None without any."""
    if not dataset.has_captions:
        return None
    column = dataset.samples[captions.COLUMN]
    words = captions.words_per_caption(column)
    return {
        "images": int(captions.captioned(column).sum()),
        "captions": len(words),
        "words": {
            "min": int(words.min()),
            "mean": float(words.mean()),
            "median": float(np.median(words)),
            "max": int(words.max()),
        },
    }


def counts(dataset: Dataset, made: Dataset | None = None) -> pd.DataFrame:
    """Count images per split.

    Parameters
    ----------
    dataset : the images
    made : counterfactuals of them

    Returns
    -------
    DataFrame with the columns `kind` (pictures, masks, captions, counterfactuals, attribute or
    task), `name` (of the attribute or task), `value` (group or label), one per split that has
    images, and `all`.
    """
    splits = dataset.samples["split"].to_numpy()
    columns = {s: splits == s for s in SPLITS if (splits == s).any()}
    columns["all"] = np.ones(len(dataset), bool)
    rows = []

    def count(kind: str, name: str, value: str, chosen: np.ndarray) -> None:
        numbers = {column: int((chosen & there).sum()) for column, there in columns.items()}
        rows.append({"kind": kind, "name": name, "value": value, **numbers})

    count("pictures", "", "", columns["all"])
    count("masks", "", "", dataset.samples["mask"].notna().to_numpy())
    if dataset.has_captions:
        count("captions", "", "", captions.captioned(dataset.samples[captions.COLUMN]))
    if made is not None and len(made):
        numbers = {s: int((made.samples["split"] == s).sum()) for s in columns} | {"all": len(made)}
        rows.append({"kind": "counterfactuals", "name": "", "value": "", **numbers})
    for kind, names in (("attribute", dataset.attributes), ("task", dataset.tasks)):
        for name in names:
            values, holds = _indicators(dataset, name)
            for value, column in zip(values, holds.T):
                count(kind, name, value, column == 1)
            unknown = (holds == -1).any(axis=1)
            if kind == "task" and dataset.tasks[name].many:
                count(kind, name, "none", (holds == 0).all(axis=1))
            if unknown.any():
                count(kind, name, UNKNOWN, unknown)
    return pd.DataFrame(rows)


def skew(dataset: Dataset) -> pd.DataFrame:
    """Say which labels go with which groups more, or less, than the groups' shares.

    Of the images with a label, `share` belong to the group; of all images whose group and
    label are known, `overall` do. `skew` is the difference: 0 where group and label are
    independent. All splits count.

    Returns
    -------
    DataFrame with the columns `attribute`, `group`, `task`, `label`, `share`, `overall`, `skew`,
    `n` (images with the label and a known group) and `few` (whether n is below 30). The largest
    skews come first, those of few images after all others. Labels without images have none.
    """
    tables = []
    for attribute in dataset.attributes:
        for task in dataset.tasks:
            groups, member = _indicators(dataset, attribute)
            labels, holds = _indicators(dataset, task)
            labelled = (member >= 0).all(axis=1) & (holds >= 0).all(axis=1)
            together = member[labelled].astype(int).T @ holds[labelled]
            n = together.sum(axis=0)
            if not n.any():
                continue
            overall = member[labelled].mean(axis=0)
            table = pd.DataFrame(
                {
                    "attribute": attribute,
                    "group": np.repeat(groups, len(labels)),
                    "task": task,
                    "label": np.tile(labels, len(groups)),
                    "share": (together / np.where(n, n, np.nan)).ravel(),
                    "overall": np.repeat(overall, len(labels)),
                    "n": np.tile(n, len(groups)),
                }
            )
            tables.append(table[table["n"] > 0])
    if not tables:
        columns = ["attribute", "group", "task", "label", "share", "overall", "skew", "n", "few"]
        return pd.DataFrame(columns=columns)
    every = pd.concat(tables, ignore_index=True)
    every.insert(6, "skew", every["share"] - every["overall"])
    every["few"] = every["n"] < FEW
    order = np.lexsort((-every["skew"].abs().round(9), every["few"]))
    return every.iloc[order].reset_index(drop=True)


def small_groups(dataset: Dataset) -> list[str]:
    """Return a line per attribute with groups of fewer than 30 images in some split."""
    table = counts(dataset)
    lines = []
    for attribute in dataset.attributes:
        part = table[(table["name"] == attribute) & (table["value"] != UNKNOWN)]
        small = [
            f"{row['value']} in {split} ({row[split]})"
            for row in part.to_dict("records")
            for split in SPLITS
            if split in part and row[split] < FEW
        ]
        if small:
            more = [f"… ({len(small) - _NAMED} more)"] if len(small) > _NAMED else []
            named = ", ".join([*small[:_NAMED], *more])
            lines.append(
                f"few pictures of {attribute} {named}: figures for fewer than {FEW} "
                "are very uncertain"
            )
    return lines


def cautions(dataset: Dataset) -> list[str]:
    """Return lines about what makes figures uncertain or impossible."""
    lines = small_groups(dataset)
    table = counts(dataset)
    for row in table[table["value"] == UNKNOWN].to_dict("records"):
        lines.append(f"{row['name']} is unknown for {row['all']} of {len(dataset)} pictures")
    absent = [split for split in SPLITS if split not in table]
    if absent:
        lines.append(f"no pictures in split {' or '.join(absent)}")
    for task in dataset.tasks:
        part = table[(table["kind"] == "task") & (table["name"] == task)]
        unused = part.loc[(part["all"] == 0) & part["value"].isin(dataset.tasks[task].labels)]
        if len(unused):
            lines.append(f"{len(unused)} labels of {task} have no pictures")
    if dataset.predicted_masks is not None:
        lines += dataset.predicted_masks.lines()
    if dataset.has_captions:
        uncaptioned = int((~captions.captioned(dataset.samples[captions.COLUMN])).sum())
        if uncaptioned:
            lines.append(f"{uncaptioned} pictures have no caption")
    without = int(dataset.samples["mask"].isna().sum())
    if without:
        lines.append(f"{without} pictures have no mask of a person: no evidence figures for them")
    return lines


def _indicators(dataset: Dataset, name: str) -> tuple[list[str], np.ndarray]:
    """Return an attribute's groups or a task's labels, and (n, values) of 0, 1 or -1 = unknown."""
    if name in dataset.tasks and dataset.tasks[name].many:
        return list(dataset.tasks[name].labels), dataset.targets(name)
    if name in dataset.tasks:
        values, codes = dataset.tasks[name].labels, dataset.targets(name)
    else:
        values, codes = dataset.attributes[name], dataset.codes(name)
    holds = (codes[:, None] == np.arange(len(values))).astype(np.int8)
    holds[codes < 0] = -1
    return list(values), holds
