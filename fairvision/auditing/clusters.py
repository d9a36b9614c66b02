"""Pictures that are no independent evidence, such as all of one person: what is resampled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.auditing import more_columns
from fairvision.auditing.layouts import PLAIN, Layout, plain
from fairvision.core.suggestions import did_you_mean
from fairvision.core.tables import open_table
from fairvision.datasets import Dataset
from fairvision.datasets.samples import table_files
from fairvision.errors import InputError, shown
from fairvision.results.words import listed

FEW = 20  # clusters, below which an interval says little
KIND = "cluster"  # what the column of an audit's table begins with


@dataclass(frozen=True)
class Clusters:
    """Which pictures are resampled together.

    Attributes
    ----------
    column : what it was called where it was found
    of_image : (n,) the name of each picture's cluster, None where unknown
    """

    column: str
    of_image: npt.NDArray[np.object_]

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """The cluster of each picture as a number; an unknown one is one by itself."""
        codes, names = pd.factorize(pd.Series(self.of_image, dtype=object))
        unknown = np.flatnonzero(codes < 0)
        codes[unknown] = len(names) + np.arange(len(unknown))
        return codes

    def by_id(self, truth: Dataset) -> pd.Series:
        """Return the cluster of each image of a dataset, by its id."""
        return pd.Series(self.codes, index=truth.samples["id"].to_numpy(object))

    def as_json(self) -> dict[str, object]:
        """Return how many there are, as `audit.json` holds it."""
        sizes = np.bincount(self.codes)
        return {
            "column": self.column,
            "clusters": len(sizes),
            "pictures": len(self.of_image),
            "largest": int(sizes.max(initial=0)),
        }

    def cautions(
        self, groups: Mapping[str, tuple[Sequence[str], npt.NDArray[Any]]]
    ) -> Iterator[str]:
        """Yield what was resampled, and where that are few.

        Parameters
        ----------
        groups : names of each attribute, and the group of each picture, (n,) codes

        Examples
        --------
        >>> clusters = Clusters("person", np.array(["a", "a", "b", None], object))
        >>> for line in clusters.cautions({}):
        ...     print(line)
        intervals are over 3 clusters, of 'person', not over single pictures: of 4 pictures at most 2 are in one
        'person' is unknown for 1 of 4 pictures: each of them was taken for a cluster of its own
        only 3 clusters, of 'person', were resampled: with fewer than 20 intervals are rough
        """  # noqa: E501
        codes, column = self.codes, shown(self.column)
        sizes = np.bincount(codes)
        yield (
            f"intervals are over {len(sizes):,} clusters, of {column}, not over single pictures: "
            f"of {len(codes):,} pictures at most {sizes.max(initial=0):,} are in one"
        )
        unknown = int(pd.isna(self.of_image).sum())
        if unknown:
            yield (
                f"{column} is unknown for {unknown} of {len(codes)} pictures: each of them was "
                "taken for a cluster of its own"
            )
        if len(sizes) < FEW:
            yield (
                f"only {len(sizes)} clusters, of {column}, were resampled: with fewer than {FEW} "
                "intervals are rough"
            )
            return
        for attribute, (names, of_group) in groups.items():
            clusters = [len(np.unique(codes[of_group == code])) for code in range(len(names))]
            few = [f"{name} ({n})" for name, n in zip(names, clusters) if 0 < n < FEW]
            if few:
                yield (
                    f"{attribute}: pictures of {listed(few)} are of fewer than {FEW} clusters: "
                    "their intervals are rough"
                )


def of_dataset(column: str, dataset: Dataset) -> Clusters:
    """Return the clusters that a column of the table in a dataset's folder says."""
    check_column(column, [], PLAIN, dataset)
    of_image = more_columns.of_dataset(column, dataset)
    assert of_image is not None  # it has the column
    return Clusters(column, of_image)


def check_column(column: str, files: Sequence[Path], layout: Layout, data: Dataset | None) -> None:
    """Raise `InputError` where neither a table nor the dataset has the column of clusters."""
    there = [
        name for file in files for name in plain(open_table(file), layout, partly=True)[0].names
    ]
    there += (
        [] if data is None else [n for t in table_files(data.root) for n in open_table(t).names]
    )
    if not {column, f"{KIND}/{column}"} & {*there}:
        sources = " and ".join(map(str, [*files, *([] if data is None else [data.root])]))
        hint = did_you_mean(
            column, [name.removeprefix(f"{KIND}/") for name in dict.fromkeys(there)]
        )
        raise InputError(f"{sources}: no column {shown(column)}, which --cluster names{hint}")


def of_tables(
    column: str, files: Sequence[Path], layout: Layout, data: Dataset | None, like: Dataset
) -> Clusters:
    """Return the clusters of images that tables of predictions say, or the dataset does.

    The first table that has the column counts; `InputError` where nothing has it.

    Parameters
    ----------
    data : the dataset, if one was given
    like : the images whose clusters they are
    """
    check_column(column, files, layout, data)
    names = (f"{KIND}/{column}", column)
    of_image = more_columns.of_tables(names, files, layout, data, like)
    assert of_image is not None  # something has the column
    return Clusters(column, of_image)
