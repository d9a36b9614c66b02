"""Queries of DuckDB in the place of tables: `duckdb:FILE?QUERY`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from fairvision.errors import InputError, check_file, reading

KIND = "duckdb:"


def is_query(source: object) -> bool:
    """Say whether a source names a query.

    >>> is_query("duckdb:?SELECT 1"), is_query("duckdb.parquet")
    (True, False)
    """
    return isinstance(source, str) and source.startswith(KIND)


@contextmanager
def opened(source: str) -> Iterator[Any]:
    """Yield what a query gives, as a stream; its file is read only, and closed at the end.

    The query is the user's own, who may read other files by it.

    Parameters
    ----------
    source : `duckdb:FILE?QUERY`; without FILE, of a database in memory

    Raises
    ------
    InputError
        duckdb is not installed; there is no such file, or it is none of DuckDB; the query is wrong,
        or gives no table.
    """
    file, mark, query = source.removeprefix(KIND).partition("?")
    if not mark or not query.strip():
        raise InputError(
            f'{source}: write {KIND}FILE?QUERY, such as "{KIND}answers.duckdb?FROM answers", or '
            f"\"{KIND}?FROM 'answers.parquet'\""
        )
    try:
        import duckdb
    except ImportError:
        raise InputError(
            f"{KIND}… needs the package duckdb: pip install 'fairvision[duckdb]'"
        ) from None
    path = check_file(file, "a database") if file else ":memory:"
    with reading(path):
        connection = duckdb.connect(path, read_only=bool(file))
    with closing(connection):
        with reading(f"{KIND}{file}?…"):
            rows = connection.sql(query)
        if rows is None:
            raise InputError(f"{KIND}{file}?…: the query gives no table: write a SELECT")
        yield rows
