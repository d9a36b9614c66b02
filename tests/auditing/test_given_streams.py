"""Audits of tables that other libraries hold, and of queries: the figures are those of files."""

from __future__ import annotations

import decimal
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from fairvision import audit
from fairvision.auditing import streaming
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def tables(answers):
    return {name: answers(300, seed=seed) for seed, name in enumerate("AB")}


@pytest.fixture
def files(tables, tmp_path):
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    return [tmp_path / "A.parquet", tmp_path / "B.parquet"]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert not list(place.iterdir())


def run(sources, output, **options):
    return audit(predictions=sources, output=output, replicates=30, **options)


KINDS = {
    "polars": lambda file: pl.read_parquet(file),
    "duckdb": lambda file: duckdb.connect().sql(f"FROM '{file}'"),
    "reader": lambda file: pq.read_table(file).to_reader(max_chunksize=17),
    "pandas": lambda file: pd.read_parquet(file),
    "query": lambda file: f"duckdb:?FROM '{file}'",
}


@pytest.mark.parametrize("kind", KINDS)
def test_streams_give_the_audit_of_the_files(kind, files, tmp_path):
    from_files = run(files, tmp_path / "files")
    done = run({file.stem: KINDS[kind](file) for file in files}, tmp_path / "streams")
    pd.testing.assert_frame_equal(done.metrics, from_files.metrics, check_exact=True)
    if kind != "pandas":  # which has no None
        assert done.verdict.warnings == from_files.verdict.warnings
    assert str(tmp_path / "temporary") not in (done.folder / "audit.json").read_text()
    assert str(tmp_path / "temporary") not in done.report.read_text()


def test_decimals_are_read_as_their_digits_say(tables, tmp_path):
    scores = [name for name in tables["A"] if name.startswith("score/")]
    floats = tables["A"].assign(**{name: tables["A"][name].round(9) for name in scores})
    held = pa.Table.from_pandas(floats, preserve_index=False)
    for name in scores:
        numbers = [decimal.Decimal(repr(value)) for value in floats[name]]
        place = held.column_names.index(name)
        held = held.set_column(place, name, pa.array(numbers, pa.decimal128(30, 18)))
    made = [run({"A": of}, tmp_path / f"{i}").metrics for i, of in enumerate((floats, held))]
    pd.testing.assert_frame_equal(*made, check_exact=True)


def test_a_dataset_of_pyarrow_is_a_stream(files, tmp_path):
    from_files = run(files[:1], tmp_path / "files")
    done = run({"A": pyarrow.dataset.dataset(files[0])}, tmp_path / "stream")
    pd.testing.assert_frame_equal(done.metrics, from_files.metrics, check_exact=True)


def test_a_reader_is_read_once_wherever_it_is_given(files, tmp_path):
    from_files = run([files[0]] * 2, tmp_path / "files", train=files[0], names=["A", "B"])
    reader = pq.read_table(files[0]).to_reader(max_chunksize=17)
    done = run({"A": reader, "B": reader}, tmp_path / "streams", train=reader)
    pd.testing.assert_frame_equal(done.metrics, from_files.metrics, check_exact=True)


def test_large_streams_are_counted(files, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 20)
    monkeypatch.setattr(streaming, "BATCH", 97)
    from_files = run(files, tmp_path / "files")
    done = run([pl.read_parquet(file) for file in files], tmp_path / "streams", names=["A", "B"])
    assert (done.folder / "counts.parquet").is_file()
    pd.testing.assert_frame_equal(done.metrics, from_files.metrics, check_exact=True)


def test_files_and_streams_are_compared_and_train_may_be_one(files, tables, tmp_path):
    training = tables["A"][["id", "group", "sport"]]
    training.to_parquet(tmp_path / "train.parquet")
    from_files = run(files, tmp_path / "files", train=tmp_path / "train.parquet", names=["A", "B"])
    mixed = [files[0], pl.read_parquet(files[1])]
    done = run(mixed, tmp_path / "mixed", train=pl.from_pandas(training), names=["A", "B"])
    pd.testing.assert_frame_equal(done.metrics, from_files.metrics, check_exact=True)


def test_streams_without_names_are_called_by_position(files, tmp_path):
    done = run(pl.read_parquet(files[0]), tmp_path / "one")
    assert set(done.metrics["model"]) == {"model_1"}
    runs = json.loads((done.folder / "audit.json").read_text())["settings"]["runs"]
    assert runs == [{"name": "model_1", "file": "model_1"}]


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (pl.DataFrame({"id": ["a"]}).lazy(), "model_1: LazyFrame is neither a path nor a stream"),
        ([3], "model_1: int is neither"),
        ({"a/b": pl.DataFrame({"id": ["a"]})}, "cannot be the name of a model"),
        (pl.DataFrame({"x": [1]}), "^model_1 has no column 'id'"),
        (pl.DataFrame({"id": ["a"], "g": ["x"]}), "^model_1: column .g. needs at least two"),
        (pa.table({"id": pa.array([], pa.string())}), "^model_1 has no rows"),
        ("duckdb:answers", "write duckdb:FILE"),
        ("duckdb:?", "write duckdb:FILE"),
        ("duckdb:/nowhere.duckdb?SELECT 1", "^/nowhere.duckdb does not exist"),
        ("duckdb:?SELECT", "^duckdb:.… cannot be read: Parser Error"),
        ("duckdb:?FROM nothing", "^duckdb:.… cannot be read: Catalog Error"),
        ("duckdb:?SELECT error('lost') AS id", "^model_1 cannot be read: .*lost"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(sources, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        run(sources, tmp_path / "audit")
    assert not (tmp_path / "audit").exists()


def test_rows_are_named_as_those_of_the_stream(tables, tmp_path):
    wrong = tables["A"].assign(**{"score/group/a": 7.0})
    with pytest.raises(InputError, match=r"^mine row 1, column 'score/group/a': 7.0 is not"):
        run({"mine": pl.from_pandas(wrong)}, tmp_path / "audit")


def test_names_are_given_once(tables, tmp_path):
    with pytest.raises(InputError, match="leave out names"):
        run({"A": pl.from_pandas(tables["A"])}, tmp_path / "audit", names=["A"])


def test_without_duckdb_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match=re.escape("pip install 'fairvision[duckdb]'")):
        run("duckdb:?SELECT 1", tmp_path / "audit")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "bad.db").write_text("no database" * 100)
    with pytest.raises(InputError, match=r"bad\.db cannot be read: .*not a valid DuckDB"):
        run(f"duckdb:{tmp_path / 'bad.db'}?SELECT 1", tmp_path / "audit")


def test_a_database_in_the_shell_is_read_only(files, tmp_path):
    database = tmp_path / "answers.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE answers AS FROM '{files[0]}'")
    before = database.read_bytes()
    command = [sys.executable, "-m", "fairvision", "audit", "--predictions", "--replicates", "5"]
    source = f"duckdb:{database}?FROM answers ORDER BY id"
    done = subprocess.run(
        [*command, source, "--name", "A", "-o", str(tmp_path / "audit")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "audit" / "metrics.csv")["model"]) == {"A"}
    source = f"duckdb:{database}?DROP TABLE answers"
    done = subprocess.run(
        [*command, source, "-o", str(tmp_path / "other")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "read-only" in done.stderr
    assert database.read_bytes() == before
    assert not Path(tmp_path / "other").exists()
