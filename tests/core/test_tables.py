"""Tables as people write them: read right, or refused in one line that says where."""

from __future__ import annotations

import bz2
import datetime
import gzip
import lzma

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.core.csv_files import read_csv, with_mark, without_mark, write_csv
from fairvision.core.tables import Place, not_text, open_table, read_parquet
from fairvision.errors import InputError

ROWS = [{"id": "1", "group": "b"}, {"id": "2", "group": ""}]
PLAIN = "id,group\n1,b\n2,\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ", ").replace("id", " id ").encode(),
        b"id,group,\n1,b,\n2,,\n",
        b"id,group\n1,b,\n2,,,\n",
        b"\n,id,group\n0,1,b\n1,2,\n\n",
        b'"id","group"\n"1","b"\n"2",""',
    ],
    ids=["plain", "bom", "utf16", "crlf", "blanks", "commas", "more-commas", "index", "quotes"],
)
def test_what_can_only_mean_one_thing_is_read(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert read_csv(tmp_path / "t.csv").to_pylist() == ROWS
    with gzip.open(tmp_path / "t.csv.gz", "wb") as file:
        file.write(content)
    assert read_csv(tmp_path / "t.csv.gz").to_pylist() == ROWS


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"id,group\n1,b\n2\n", "row 2 has 1 cells, but the header has 2: is it cut short"),
        (b"id,group\n1,b,c\n", "row 1 has 3 cells, but the header has 2"),
        (b"id,group,group\n1,b,c\n", "has 2 columns called 'group'"),
        (b"id,group, group\n1,b,c\n", "has 2 columns called 'group'"),
        (b"id;group\n1;b\n", "seems to be separated by ';', not by ','"),
        (b"id\tgroup\n1\tb\n", "seems to be separated by tabs"),
        (b'id,group\n1,"b\n', "cannot be read: unexpected end of data"),
        (b'id,group\n1,"b"c\n', "cannot be read: "),
        (b"id,group\n1,\xe9\n", "is not text in UTF-8"),
        (PLAIN.encode("utf-16") + b"x", "is not text in UTF-8"),
        (b"id,group\n1," + b"x" * 200_000, "cannot be read: field larger"),
    ],
)
def test_a_torn_csv_is_one_line(tmp_path, content, says):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=says) as error:
        read_csv(tmp_path / "t.csv")
    assert str(error.value).startswith(str(tmp_path / "t.csv"))
    assert str(error.value).count(str(tmp_path)) == 1


def test_packed_files_that_are_torn(tmp_path):
    packed = gzip.compress(PLAIN.encode() * 1000)
    for name, content in {"a.csv.gz": packed[:-20], "b.csv.gz": b"x", "c.csv.xz": packed}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read_csv(tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_csv(tmp_path / "folder.csv")


def test_columns_of_parquet_have_names_of_their_own(tmp_path):
    for names, says in [(["a", "a"], "2 columns called 'a'"), (["a", " b"], "has blanks around")]:
        pq.write_table(pa.table([[1], [2]], names=names), tmp_path / "t.parquet")
        with pytest.raises(InputError, match=says):
            read_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    with pytest.raises(InputError, match=r"t\.parquet cannot be read"):
        read_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "cell",
    [
        b"x",
        {"a": 1},
        [["a"]],
        datetime.datetime(2020, 1, 1),
        datetime.timedelta(1),
        {"bytes": b"1", "path": "1.png"},
    ],
)
def test_cells_that_are_no_text_are_named(cell):
    assert not_text(pa.array([cell]).type)


def test_text_numbers_and_dictionaries_are_text_enough():
    for kind in (pa.string(), pa.uint64(), pa.float16(), pa.bool_(), pa.decimal128(5), pa.null()):
        assert not not_text(kind)
        assert not not_text(pa.dictionary(pa.int8(), kind))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6).map(str.strip)


@given(st.lists(st.one_of(TEXT, st.sampled_from(["=1", "@a", "+x", "-x", "'=1", "a\rb"]))))
def test_text_is_read_back_as_it_was_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(pd.DataFrame({"id": range(len(texts)), "text": texts}), path)
    assert read_csv(path)["text"].to_pylist() == texts


@given(st.text())
def test_a_mark_can_be_taken_away(text):
    assert without_mark(with_mark(text)) == text


def test_no_text_is_a_formula_and_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame(
        {"=name": ["=1+1", "@a", "+b", "-c", "-0.5"], "value": [-0.5, 1.0, None, 2.0, 3.0]}
    )
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        *("'=name,value", "'=1+1,-0.5", "'@a,1.0", "'+b,", "'-c,2.0", "-0.5,3.0"),
    ]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_table_that_unpacks_to_far_more_than_tables_do_is_refused(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("fairvision.core.csv_files.FREE", 2**20)
    packed = {"gz": gzip, "bz2": bz2, "xz": lzma}[suffix].compress
    for name, row in (("rows", b"a,b\n"), ("one", b"a")):
        path = tmp_path / f"{name}.csv.{suffix}"
        path.write_bytes(packed(b"id,group\n" + row * (2**24 // len(row))))
        with pytest.raises(InputError, match=r"unpacks to more than 300 times its \d+ bytes"):
            read_csv(path)
    path.write_bytes(packed(b"id,group\n" + b"".join(b"%d,a\n" % row for row in range(20_000))))
    assert read_csv(path).num_rows == 20_000


def test_parquet_that_promises_more_rows_than_it_can_hold_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    alike = pa.array([1]).take(pa.array(np.zeros(5_000_000, np.int8)))
    pq.write_table(pa.table({"id": alike}), path, row_group_size=5_000_000)
    with pytest.raises(InputError, match="promises 5,000,000 rows, more than so small a file"):
        read_parquet(path)


def test_utf_16_without_its_mark_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("id,group\n1,a\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="looks like UTF-16: save it as UTF-8"):
        read_csv(tmp_path / "t.csv")


def test_every_kind_of_table_is_read_by_one_reader(tmp_path):
    (tmp_path / "t.csv").write_text(PLAIN)
    (tmp_path / "t.TSV").write_text(PLAIN.replace(",", "\t"))
    with bz2.open(tmp_path / "t.tab.bz2", "wt") as file:
        file.write(PLAIN.replace(",", "\t"))
    (tmp_path / "parts").mkdir()
    for i, row in enumerate(ROWS):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "parts" / f"{i}.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    for name in ("t.csv", "t.TSV", "t.tab.bz2", "parts", "t.parquet"):
        table = open_table(tmp_path / name)
        assert (table.rows, table.names) == (2, ["id", "group"])
        assert table.read().to_pylist() == ROWS
        assert table.read(["group"]).column_names == ["group"]
        assert table.types["id"] == pa.large_string()
    with pytest.raises(InputError, match=r"t\.csv has no column 'x': it has id, group"):
        open_table(tmp_path / "t.csv").check_columns(["id", "x"])


def test_the_file_and_the_row_in_it_are_told(tmp_path):
    for i, rows in enumerate((3, 0, 2)):
        path = tmp_path / f"{i}.parquet"
        pq.write_table(pa.table({"a": pa.array(range(rows), pa.int8())}), path)
    table = open_table(tmp_path)
    places = [str(table.place(row, "a")).removeprefix(f"{tmp_path}/") for row in range(5)]
    assert places[2:4] == ["0.parquet row 3, column 'a'", "2.parquet row 1, column 'a'"]
    assert str(Place("t", "a", 1, "x\ny")) == "t row 1 (id 'x y'), column 'a'"
    for start, batch in table.batches(["a"], 2):
        assert batch.column("a").to_pylist() == table.read()["a"].to_pylist()[start:][: len(batch)]


def test_tables_without_rows_and_what_is_none(tmp_path):
    (tmp_path / "t.csv").write_text("id\n")
    with pytest.raises(InputError, match="has no rows"):
        open_table(tmp_path / "t.csv")
    assert open_table(tmp_path / "t.csv", may_be_empty=True).rows == 0
    (tmp_path / "t.xlsx").touch()
    with pytest.raises(InputError, match=r"not a table that can be read: give \.csv, \.tsv or"):
        open_table(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="does not exist"):
        open_table(tmp_path / "absent")
