"""A dataset in memory: its schema and its table, not its images."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core import tars
from fairvision.core.suggestions import did_you_mean
from fairvision.datasets.captions import COLUMN as CAPTIONS
from fairvision.datasets.captions import as_tuples, caption_bytes, captioned
from fairvision.datasets.counterfactuals import COLUMNS, is_counterfactual
from fairvision.datasets.predicted_masks import PredictedMasks
from fairvision.errors import InputError
from fairvision.schema import Column, Schema, Task

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {s: s for s in SPLITS} | {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "testing": "test",
}
"""What people call a split, in lower case."""
TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
"""How ids and paths are held; missing ones are NaN."""

_PIECE = 10_000
_THREADS = 16  # what takes long, on a network's disk, is to wait


@dataclass(frozen=True)
class Dataset:
    """A dataset folder in memory: settings and the table, not the images.

    Attributes
    ----------
    root : folder in which the table's paths lie
    name, source, licence : text
    attributes : groups of each annotated, perceived attribute
    tasks : labels of each task
    samples : one row per image with the columns `id`, `image`, `mask` (missing where there is
        none), `split`, one per attribute (group, or None where unknown), one per task (label, or a
        tuple of labels where many may hold; None where unknown); and where there are
        counterfactuals, `counterfactual_of`, the id of the original, and `changed`, both missing
        in originals; and where the table has it, `captions`, lists of texts in arrow's memory
    size : (width, height) of the images in pixels, where all have the same and that is stated
    predicted_masks : what predicted the masks, where they were not drawn by people
    """

    root: Path
    name: str
    attributes: Mapping[str, tuple[str, ...]]
    tasks: Mapping[str, Task]
    samples: pd.DataFrame
    source: str = ""
    licence: str = ""
    size: tuple[int, int] | None = None
    predicted_masks: PredictedMasks | None = None
    _columns: dict[str, Column] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def of_columns(
        cls,
        schema: Schema,
        samples: pd.DataFrame,
        columns: Mapping[str, Column],
        *,
        root: Path,
        name: str,
        source: str = "",
        licence: str = "",
        size: tuple[int, int] | None = None,
        predicted_masks: PredictedMasks | None = None,
    ) -> Dataset:
        """Return a dataset of columns of groups and labels, which are read already.

        Parameters
        ----------
        schema : attributes and tasks
        samples : the table without the columns of these
        columns : of each attribute and task
        root, name, source, licence, size, predicted_masks : as in `Dataset`

        Examples
        --------
        >>> schema = Schema({"age": ("young", "old")})
        >>> table = pd.DataFrame({"id": ["a", "b"]})
        >>> ages = {"age": schema.column("age", ["old", None])}
        >>> dataset = Dataset.of_columns(schema, table, ages, root=Path("."), name="two")
        >>> dataset.samples["age"].tolist(), dataset.codes("age")
        (['old', None], array([ 1, -1]))
        """
        names = {head: pd.Series(columns[head].names, dtype=object) for head in schema}
        dataset = cls(
            root=root,
            name=name,
            attributes=schema.attributes,
            tasks=schema.tasks,
            samples=samples.assign(**names),
            source=source,
            licence=licence,
            size=size,
            predicted_masks=predicted_masks,
        )
        dataset._columns.update({head: columns[head] for head in schema})
        return dataset

    @property
    def schema(self) -> Schema:
        """The attributes and tasks."""
        return Schema(self.attributes, self.tasks)

    @property
    def has_masks(self) -> bool:
        """Whether any image has a mask of the person."""
        return bool(self.samples["mask"].notna().any())

    @property
    def has_captions(self) -> bool:
        """Whether any image has a caption.

        An attribute or task that is called `captions` is no column of captions.
        """
        there = CAPTIONS in self.samples and CAPTIONS not in self.schema
        return there and bool(captioned(self.samples[CAPTIONS]).any())

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """The captions of each image, n tuples of texts; empty where it has none.

        Examples
        --------
        >>> rows = {"id": ["a", "b"], "captions": [["A man.", "Somebody."], None]}
        >>> Dataset(Path("."), "two", {}, {}, pd.DataFrame(rows)).captions
        [('A man.', 'Somebody.'), ()]
        """
        if not self.has_captions:
            return [()] * len(self)
        return as_tuples(self.samples[CAPTIONS])

    def originals(self) -> Dataset:
        """Return the rows that are no counterfactuals of others: what is trained and measured on.

        Examples
        --------
        >>> rows = {"id": ["a", "b"], "counterfactual_of": [None, "a"], "changed": [None, "hat"]}
        >>> pair = Dataset(Path("."), "pair", {}, {}, pd.DataFrame(rows))
        >>> pair.originals().samples["id"].tolist(), pair.counterfactuals().samples["id"].tolist()
        (['a'], ['b'])
        """
        is_made = is_counterfactual(self.samples)
        return self.rows(np.flatnonzero(~is_made)) if is_made.any() else self

    def counterfactuals(self) -> Dataset:
        """Return the rows that were made of others by changing one thing; perhaps none."""
        return self.rows(np.flatnonzero(is_counterfactual(self.samples)))

    def split(self, name: str) -> Dataset:
        """Return the rows of one split; `InputError` names the splits that there are."""
        chosen = (self.samples["split"] == name).to_numpy(bool)
        if not chosen.any():
            there = ", ".join(s for s in SPLITS if (self.samples["split"] == s).any())
            hint = did_you_mean(name, SPLITS)
            raise InputError(f"{self.root} has no pictures in split {name!r}: it has {there}{hint}")
        return self.rows(np.flatnonzero(chosen))

    def rows(self, indices: npt.NDArray[np.int64]) -> Dataset:
        """Return some rows, in the order asked for."""
        samples = self.samples.iloc[indices].reset_index(drop=True)
        part = replace(self, samples=samples)
        part._columns.update({name: column.rows(indices) for name, column in self._columns.items()})
        return part

    def encoded(self, name: str) -> npt.NDArray[Any]:
        """Return the codes of an attribute or a task, as `codes` or `targets` do."""
        column, names = self._columns.get(name), self.samples[name]
        if column is None or not (
            _holds(column, names.to_numpy(object))
            or names.equals(pd.Series(column.names, dtype=object))
        ):
            column = self._columns[name] = self.schema.column(name, names)
        return column.codes

    def codes(self, attribute: str) -> npt.NDArray[np.int64]:
        """Return each image's group, (n,) int64 positions in its groups; -1 unknown."""
        return self.encoded(attribute)

    def targets(self, task: str) -> npt.NDArray[Any]:
        """Return each image's labels.

        Returns
        -------
        (n,) int64 positions in the task's labels, -1 unknown; or, where many labels may hold,
        (n, labels) int8 of 0 and 1, with rows of -1 where unknown.
        """
        return self.encoded(task)

    @property
    def settings(self) -> dict[str, object]:
        """What `dataset.json` says of it."""
        size = {} if self.size is None else {"size": list(self.size)}
        masks = self.predicted_masks
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            **self.schema.as_json(),
            **size,
            **({} if masks is None else {"masks": masks.as_json()}),
        }

    def fingerprint(self) -> str:
        """Return a digest of the settings, the table and the files' names, sizes and times."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        of_pairs = COLUMNS if is_counterfactual(self.samples).any() else ()
        for column in ("id", "split", *of_pairs):
            digest.update(b"".join(text_bytes(self.samples[column])))
        for name in self.schema:
            digest.update(self.encoded(name).tobytes())
        if self.has_captions:
            for piece in caption_bytes(self.samples[CAPTIONS]):
                digest.update(piece)
        for piece in self.file_stamps():
            digest.update(piece)
        return digest.hexdigest()[:16]

    def file_stamps(self) -> Iterator[bytes]:
        """Yield the paths, sizes in bytes and times of change in ns of every image and mask.

        By them one tells that files have changed, for millions of them.

        Raises
        ------
        InputError
            If a file is missing.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            for column in ("image", "mask"):
                yield from text_bytes(self.samples[column])
                starts = range(0, len(self), _PIECE)
                try:
                    stamps = pool.map(lambda start, name=column: self._stamps(name, start), starts)
                    for piece in stamps:
                        yield piece.tobytes()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def _stamps(self, column: str, start: int) -> npt.NDArray[np.int64]:
        """Return size and time of a piece of the files, (n, 2); -1 where there is none."""
        root = str(self.root)
        paths = self.samples[column].iloc[start : start + _PIECE]
        stamps = np.full((len(paths), 2), -1, np.int64)
        missing = paths.isna().to_numpy()
        for i, relative in enumerate(paths.tolist()):
            if missing[i]:
                continue
            try:
                stat = os.stat(f"{root}/{relative}")
                stamps[i] = stat.st_size, stat.st_mtime_ns
            except (OSError, ValueError):  # a path with a NUL is a ValueError
                in_archive = tars.stamp(self.root / relative)
                if in_archive is None:
                    raise InputError(
                        f"{column} {self.root / relative} is missing "
                        f"(sample {self.samples['id'].iloc[start + i]!r} of {self.root})"
                    ) from None
                stamps[i] = in_archive
        return stamps


def _holds(column: Column, names: npt.NDArray[np.object_]) -> bool:
    """Say whether names are the very objects of a column: much faster than to compare them."""
    if len(names) != len(column.index) or not len(names):
        return len(names) == len(column.index)
    there, of_cell = (
        np.frombuffer(np.ascontiguousarray(objects).data, np.intp)
        for objects in (names, column.cell_names)
    )
    return np.array_equal(there, of_cell[column.index])


def text_bytes(column: pd.Series) -> Iterator[bytes]:
    """Yield bytes that follow from the texts of a column alone.

    >>> b"".join(text_bytes(pd.Series(["ab", None]))).endswith(b"ab")
    True
    """
    for start in range(0, len(column), 1 << 20):
        text = pa.array(column.iloc[start : start + (1 << 20)].astype(TEXT))
        for chunk in getattr(text, "chunks", [text]):
            lengths = pc.fill_null(pc.binary_length(chunk), -1)
            yield lengths.to_numpy(zero_copy_only=False).astype(np.int64).tobytes()
            yield "".join(filter(None, chunk.to_pylist())).encode()
