"""A hundred million rows from parquet: counting against bare reading, and the audit of two models.

    python benchmarks/streaming.py [--rows 100000000] [--audit-rows 10000000]

Draws a folder of parquet files (one task of ten labels, two groups, and what a model says of both)
in a temporary place. Each step runs in a process of its own, whose time and peak memory are
printed: reading the columns with pyarrow and dropping them, and reading and counting them for
directional amplification, MALS and accuracy by group with their intervals. Then the whole command
`fairvision audit --predictions` on tables of two models with probabilities.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

PART = 2_000_000
LABELS = [f"label {i}" for i in range(10)]
GROUPS = ["female", "male"]
COLUMNS = ["labels", "groups", "pred_labels", "pred_groups"]
MEGABYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--audit-rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        draw(root / "answers", given.rows)
        print(f"{given.rows:,} rows, {_size(root / 'answers'):.0f} MB of parquet")
        taken: dict[str, list[Taken]] = {"read": [], "count": []}
        for _ in range(given.rounds):
            for step in (read, count):
                taken[step.__name__].append(alone(step, root / "answers"))
                print(f"{step.__name__:>6}: {taken[step.__name__][-1]}")
        for what in ("wall", "cpu"):
            ours, bare = (
                np.median([getattr(t, what) for t in taken[k]]) for k in ("count", "read")
            )
            print(f"reading and counting / reading, {what} time: {ours / bare:.2f}")
        shutil.rmtree(root / "answers")
        if given.audit_rows:
            for seed, model in enumerate("AB"):
                draw_scores(root / model, given.audit_rows, seed)
            print(f"2 × {given.audit_rows:,} rows with probabilities, {_size(root / 'A'):.0f} MB")
            print(f" audit: {alone(audit, root)}")


class Taken(NamedTuple):
    """What a step took: seconds, seconds of all threads, and peak memory in MB."""

    wall: float
    cpu: float
    peak: float
    said: str

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s CPU), {self.peak:.0f} MB at most; {self.said}"


def alone(step: Callable[[Path], str], folder: Path) -> Taken:
    """Run a step in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (step, folder))


def _measured(step: Callable[[Path], str], folder: Path) -> Taken:
    wall, cpu = time.perf_counter(), time.process_time()
    said = step(folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    per_unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * per_unit
    return Taken(wall, cpu, peak / MEGABYTE, said)


def read(folder: Path) -> str:
    return f"{sum(map(len, _batches(folder))):,} rows"


def count(folder: Path) -> str:
    from fairvision import metrics

    counts = metrics.Counts()
    for batch in _batches(folder):
        counts.update(**dict(zip(COLUMNS, batch.columns)))
    labels, groups, pred_labels, pred_groups = (counts[name] for name in COLUMNS)
    images = {"counts": counts["counts"]}
    found = [
        metrics.directional_bias_amplification(labels, groups, pred_groups=pred_groups, **images),
        metrics.directional_bias_amplification(labels, groups, pred_labels=pred_labels, **images),
        metrics.bias_amplification_mals(
            labels, groups, pred_labels, pred_groups, train_counts=counts["counts"], **images
        ),
        metrics.gap(metrics.mean_by_group(metrics.correct(labels, pred_labels), groups, **images)),
    ]
    return "; ".join(map(repr, found))


def audit(folder: Path) -> str:
    import fairvision

    done = fairvision.audit(
        predictions=[folder / "A", folder / "B"],
        train=folder / "A",
        attributes=["gender"],
        output=folder / "audit",
    )
    return f"{len(done.metrics)} figures"


def _batches(folder: Path) -> Any:
    return pyarrow.dataset.dataset(folder, format="parquet").to_batches(
        columns=COLUMNS, batch_size=1 << 20, batch_readahead=2, fragment_readahead=1
    )


def draw(folder: Path, rows: int) -> None:
    """Write labels and groups that go together, and answers that lean the same way."""
    folder.mkdir()
    for part, start in enumerate(range(0, rows, PART)):
        random = np.random.default_rng(part)
        n = min(PART, rows - start)
        groups = random.integers(2, size=n, dtype=np.int8)
        labels = random.integers(10, size=n, dtype=np.int8)
        labels = np.where(random.random(n, np.float32) < 0.3, groups * 5 + labels % 5, labels)
        lean = (labels >= 5).astype(np.int8)
        pred_groups = np.where(random.random(n, np.float32) < 0.15, lean, groups)
        wrong = random.random(n, np.float32) < 0.2
        pred_labels = np.where(wrong, pred_groups * 5 + random.integers(5, size=n), labels)
        codes = dict(zip(COLUMNS, (labels, groups, pred_labels, pred_groups)))
        _write(folder, part, {name: _names(name, values) for name, values in codes.items()})


def draw_scores(folder: Path, rows: int, seed: int) -> None:
    """Write a samples table: ids, truth, and probabilities of a model."""
    folder.mkdir()
    for part, start in enumerate(range(0, rows, PART)):
        truth, random = np.random.default_rng(part), np.random.default_rng([seed, part])
        n = min(PART, rows - start)
        groups, labels = truth.integers(2, size=n), truth.integers(10, size=n)
        columns = {"id": pa.array(np.arange(start, start + n))}
        for head, codes, names in (("gender", groups, GROUPS), ("object", labels, LABELS)):
            columns[head] = _names("labels" if names is LABELS else "groups", codes)
            sure = random.integers(20, 100, size=n).astype(np.float32) / 100
            for i, name in enumerate(names):
                share = np.where(codes == i, sure, (1 - sure) / (len(names) - 1))
                columns[f"score/{head}/{name}"] = pa.array(share.astype(np.float32))
        _write(folder, part, columns)


def _names(column: str, codes: np.ndarray) -> pa.DictionaryArray:
    names = LABELS if column.endswith("labels") else GROUPS
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), names)


def _write(folder: Path, part: int, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), folder / f"part-{part:04}.parquet")


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
