"""Columns beside the truth that say more of each image, of tables or of a dataset's own table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.auditing.given import Given
from fairvision.auditing.hidden_tables import by_image
from fairvision.auditing.layouts import Layout, plain
from fairvision.core.tables import open_table
from fairvision.datasets import Dataset
from fairvision.datasets.label_columns import names as texts
from fairvision.datasets.samples import table_files
from fairvision.schema import UNKNOWN

Texts = npt.NDArray[np.object_]


def of_dataset(column: str, dataset: Dataset) -> Texts | None:
    """Return what a column of a dataset's table holds (n,), None where unknown; None without it."""
    parts = []
    for table in map(open_table, table_files(dataset.root)):
        if column in table.types:
            held = table.read(list(dict.fromkeys(["id", column])))
            parts.append(pd.Series(texts(held[column]), index=texts(held["id"])))
    if not parts:
        return None
    return _in_order(pd.concat(parts), dataset.samples["id"].to_numpy(object))


def of_tables(
    columns: Sequence[str],
    files: Sequence[Path],
    layout: Layout,
    data: Dataset | None,
    like: Dataset,
) -> Texts | None:
    """Return what a column says of images, (n,); the first table that has it counts.

    Parameters
    ----------
    columns : what it may be called in the tables; in the dataset it has the last of these names
    data : the dataset, if one was given
    like : the images
    """
    ids = like.samples["id"].to_numpy(object)
    for file in files:
        table = by_image(plain(open_table(file), layout, partly=True)[0], layout.logits)
        for name in columns:
            if name in table.types:
                held = table.read(list(dict.fromkeys(["id", name])))
                by_id = pd.Series(texts(held[name]), index=texts(held["id"]))
                return _in_order(by_id, ids)
    of_data = None if data is None else of_dataset(columns[-1], data)
    if data is None or of_data is None:
        return None
    held_of_images: Texts = np.append(of_data, [None])[Given(data).rows(ids)]
    return held_of_images


def _in_order(by_id: pd.Series, ids: Texts) -> Texts:
    """Return values (n,) by id; None where there is none."""
    values = by_id[~by_id.index.duplicated()].reindex(pd.Index(ids))
    held: Texts = values.where(values.notna() & (values != UNKNOWN), None).to_numpy(dtype=object)
    return held
