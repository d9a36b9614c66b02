"""Ten million rows counted by DuckDB, Polars and parquet: times, peak memory, and equal figures.

    python benchmarks/lakes.py [--rows 10000000]

Draws a folder of parquet files (one task of ten labels, two groups, and what a model says of both)
in a temporary place. Each way runs in a process of its own: `metrics.Counts` takes the columns of
batches of parquet; streams of a DuckDB relation, a Polars frame and a scanner of pyarrow; and what
the GROUP BY of DuckDB and Polars gives. Directional amplification and accuracy have to be the same
to the last digit, with their intervals.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streaming import COLUMNS, alone, draw

NAMES = ", ".join(COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "answers"
        draw(folder, rows)
        ways: list[Callable[[Path], str]] = [
            parquet,
            pyarrow_scanner,
            duckdb_stream,
            duckdb_group_by,
            polars_frame,
            polars_group_by,
        ]
        figures = set()
        for way in ways:
            taken = alone(way, folder)
            figures.add(taken.said)
            print(
                f"{way.__name__:>16}: {taken.wall:6.2f} s ({taken.cpu:6.2f} s CPU), "
                f"{taken.peak:6.0f} MB at most"
            )
        print(f"{rows:,} rows; figures {'are equal' if len(figures) == 1 else 'DIFFER'}:")
        print("\n".join(figures))


def parquet(folder: Path) -> str:
    from pyarrow import dataset

    from fairvision import metrics

    counts = metrics.Counts()
    for batch in dataset.dataset(folder).to_batches(columns=COLUMNS, batch_size=1 << 20):
        texts = [column.dictionary_decode() for column in batch.columns]
        counts.update(**dict(zip(COLUMNS, texts)))
    return _figures(counts)


def pyarrow_scanner(folder: Path) -> str:
    from pyarrow import dataset

    return _counted(dataset.dataset(folder).scanner(columns=COLUMNS))


def duckdb_stream(folder: Path) -> str:
    import duckdb

    return _counted(duckdb.connect().sql(f"SELECT {NAMES} FROM '{folder}/*.parquet'"))


def duckdb_group_by(folder: Path) -> str:
    import duckdb

    query = f"SELECT {NAMES}, count(*) AS counts FROM '{folder}/*.parquet' GROUP BY {NAMES}"
    return _counted(duckdb.connect().sql(query))


def polars_frame(folder: Path) -> str:
    import polars

    return _counted(polars.read_parquet(folder, columns=COLUMNS))


def polars_group_by(folder: Path) -> str:
    import polars

    lazy = polars.scan_parquet(folder).group_by(COLUMNS).agg(polars.len().alias("counts"))
    return _counted(lazy.collect())


def _counted(stream: Any) -> str:
    """Return the figures of a stream."""
    from fairvision import metrics

    counts = metrics.Counts()
    counts.update(stream)
    return _figures(counts)


def _figures(counts: Any) -> str:
    """Return figures of counts with all of their digits."""
    from fairvision import metrics

    labels, groups, pred_labels, pred_groups = (counts[name] for name in COLUMNS)
    images = {"counts": counts["counts"], "replicates": 200}
    found = [
        metrics.directional_bias_amplification(labels, groups, pred_groups=pred_groups, **images),
        metrics.accuracy(labels, pred_labels, **images),
    ]
    return "\n".join(f"{of.value!r} [{of.low!r}, {of.high!r}] (n = {of.n:,})" for of in found)


if __name__ == "__main__":
    main()
