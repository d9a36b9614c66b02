"""The table: shards, kinds of columns, and no object per row."""

import json
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairvision import datasets
from fairvision.errors import InputError

SETTINGS = {
    "attributes": {"gender": ["female", "male"]},
    "tasks": {"things": {"labels": ["cup", "tie"], "many": True}},
}


def table(n, first=0, **columns):
    rows = range(first, first + n)
    made = {
        "id": [f"picture-{i:07d}" for i in rows],
        "image": [f"images/{i // 1000}/{i:07d}.jpg" for i in rows],
        "split": ["train" if i % 3 else "test" for i in rows],
        "gender": [["female", "male", None][i % 3] for i in rows],
        "things": pa.array([[["cup"], ["cup", "tie"], [], None][i % 4] for i in rows]),
    }
    return pa.table({**made, **columns})


def write(folder, *tables, shards="samples.parquet/part-{}.parquet"):
    for i, some in enumerate(tables):
        path = folder / ("samples.parquet" if len(tables) == 1 else shards.format(i))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(some, path, row_group_size=7)
    (folder / "dataset.json").write_text(json.dumps(SETTINGS))
    return folder


def test_shards_are_one_table(tmp_path):
    whole = datasets.load(write(tmp_path / "whole", table(50)))
    for i, shards in enumerate(("samples.parquet/part-{}.parquet", "samples-{}.parquet")):
        folder = write(tmp_path / str(i), table(20), table(30, 20), shards=shards)
        pd.testing.assert_frame_equal(datasets.load(folder).samples, whole.samples)
    mixed = table(30, 20).set_column(4, "things", pa.array(["cup;tie", None, ";"] * 10))
    things = datasets.load(write(tmp_path / "mixed", table(20), mixed)).samples["things"]
    assert things[20:23].tolist() == [("cup", "tie"), None, ()]
    assert things[:4].tolist() == [("cup",), ("cup", "tie"), (), None]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("gender", "men", r"part-1.parquet row 4 \(id 'picture-0000023'\), column 'gender': 'men'"),
        (
            "things",
            ["cup", "hat"],
            r"part-1.parquet row 4 \(id '.*23'\), column 'things': 'hat' is not one of",
        ),
        (
            "things",
            ["cup;tie"],
            r"part-1.parquet row 4 \(id '.*23'\), column 'things': 'cup;tie' is not one of",
        ),
        (
            "things",
            [None],
            r"part-1.parquet row 4 \(id '.*23'\), column 'things': None is not one of",
        ),
        (
            "things",
            [""],
            r"part-1.parquet row 4 \(id '.*23'\), column 'things': .* is not one of cup, tie",
        ),
        ("id", "picture-0000003", r"part-1.parquet row 4, column 'id': 'picture-0000003' is there"),
        ("image", "a/../../b", r"part-1.parquet row 4 .*path 'a/../../b' leaves its folder"),
    ],
)
def test_the_shard_and_its_row_are_named(tmp_path, column, value, message):
    bad = table(10, 20)
    at = bad.column_names.index(column)
    cells = bad[column].to_pylist()
    cells[3] = value
    folder = write(tmp_path, table(20), bad.set_column(at, column, pa.array(cells)))
    with pytest.raises(InputError, match=message):
        datasets.load(folder)


def test_a_shard_without_a_column_is_named(tmp_path):
    folder = write(tmp_path, table(5), table(5, 5).drop_columns("gender"))
    with pytest.raises(InputError, match=r"part-1\.parquet has no column 'gender': it has id,"):
        datasets.load(folder)
    (folder / "samples.parquet" / "part-1.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"part-1\.parquet cannot be read"):
        datasets.load(folder)
    with pytest.raises(InputError, match="has no rows"):
        datasets.load(write(tmp_path / "none", table(0)))


def test_columns_of_every_kind_are_text(tmp_path):
    plain = datasets.load(write(tmp_path / "plain", table(6)))
    coded = table(6).set_column(3, "gender", table(6)["gender"].dictionary_encode())
    pd.testing.assert_frame_equal(
        datasets.load(write(tmp_path / "coded", coded)).samples, plain.samples
    )
    numbers = table(6, id=pa.array(range(6))).set_column(
        3, "gender", pa.array([1.0, float("nan"), 0.0, None, 1.0, 0.0])
    )
    folder = write(tmp_path / "numbers", numbers)
    settings = {**SETTINGS, "attributes": {"gender": ["1.0", "0.0"]}}
    (folder / "dataset.json").write_text(json.dumps(settings))
    read = datasets.load(folder)
    assert read.samples["id"].tolist() == list("012345")
    assert read.codes("gender").tolist() == [0, -1, 1, -1, 0, 1]


def test_no_object_for_each_row(tmp_path):
    dataset = datasets.load(write(tmp_path, table(3000)))
    for column in ("gender", "split", "things"):
        cells = dataset.samples[column]
        assert len({id(cell) for cell in cells}) == cells.nunique(dropna=False)
    for column in ("id", "image", "mask"):
        assert dataset.samples[column].dtype == datasets.samples.TEXT
    held = dataset.samples.memory_usage(deep=False).sum()
    assert held / len(dataset) < 120 < sum(map(sys.getsizeof, dataset.samples.iloc[0][:3]))
    targets = dataset.targets("things")
    expected = [[1, 0], [1, 1], [0, 0], [-1, -1]]
    assert (targets == np.array([expected[i % 4] for i in range(3000)])).all()
    assert dataset.split("test").samples["id"].dtype == datasets.samples.TEXT


def test_a_real_table_is_what_pandas_reads(shared):
    for name in ("coco-gender", "utkface"):
        folder = shared / "data" / name
        dataset = datasets.load(folder)
        raw = pd.read_csv(folder / "samples.csv", dtype=object, keep_default_na=False)
        for column in dataset.samples:
            cells = raw[column] if column in raw else pd.Series([""] * len(raw), dtype=object)
            said = dataset.samples[column].tolist()
            said = [";".join(cell) if isinstance(cell, tuple) else cell for cell in said]
            assert ["" if pd.isna(cell) else cell for cell in said] == cells.tolist()
