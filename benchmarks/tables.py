"""An audit of two tables of 200,000 predictions: ours, an older release, and plain resampling.

    python benchmarks/tables.py [--rows 200000] [--rounds 3] [--beside CHECKOUT]

Draws two tables (probabilities of a gender, some of which are not known, and of a task of four
labels) in a temporary place and audits them, each time in a process of its own, in turn with the
fairvision of another checkout where one is given: its `metrics.csv` is compared with ours. Beside
them the calibration error of two models and of their difference is computed with the interval of
1000 resamples of rows, as it is usually written, in numpy. Printed is the shortest time of the
processor, of which only the ratios of one call can be compared; and how long the command takes
until it reads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics

OURS = Path(__file__).parents[1]
LABELS = ("ski", "soccer", "surf", "tennis")
BINS, REPLICATES = 15, 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="checkout of another fairvision")
    given = parser.parse_args()
    tables = _draw(given.rows)
    print(f"{given.rows:,} rows, two models, {REPLICATES} resamples")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, table in tables.items():
            table.to_parquet(folder / f"{model}.parquet", index=False)
        checkouts = {"ours": OURS, **({"beside": given.beside} if given.beside else {})}
        seconds: dict[str, list[float]] = {name: [] for name in checkouts}
        for _ in range(given.rounds):
            for name, checkout in checkouts.items():
                seconds[name].append(_audit(checkout, folder, name))
        start = min(_run(OURS, "-c", _IMPORTS) for _ in range(given.rounds))
        _print("the audit", seconds)
        print(f"{'until it reads':>30}: {start:7.2f} s")
        if given.beside:
            _compare(folder)
    annotated = tables["A"]["gender"] != "unknown"
    truth = (tables["A"]["gender"][annotated] == "male").to_numpy(int)
    columns = ["score/gender/female", "score/gender/male"]
    scores = [table.loc[annotated, columns].to_numpy() for table in tables.values()]
    work: dict[str, Callable[[], None]] = {
        "ours": lambda: _ours(truth, scores),
        "beside": lambda: _by_rows(truth, scores),
    }
    _print("calibration error, by rows", {name: [_timed(run)] for name, run in work.items()})


_IMPORTS = "import fairvision.cli.audit, fairvision.auditing.folder, fairvision.report"


def _draw(rows: int) -> dict[str, pd.DataFrame]:
    """Return tables of two models: the second is surer, and more often right."""
    random = np.random.default_rng(0)
    female = random.random(rows) < 0.45
    gender = np.where(random.random(rows) < 0.05, "unknown", np.where(female, "female", "male"))
    of_women, of_men = random.choice(4, (2, rows), p=[0.3, 0.3, 0.25, 0.15])
    sport = np.where(female, of_women, 3 - of_men)
    tables = {}
    for model, skill in (("A", 1.5), ("B", 2.0)):
        logit = 1.5 * (random.normal(size=rows) + 1.4 * skill * (female - 0.5))
        of_female = 1 / (1 + np.exp(-logit))
        odds = np.exp(random.normal(size=(rows, 4)) + skill * (sport[:, None] == np.arange(4)))
        of_sport = odds / odds.sum(axis=1, keepdims=True)
        table: dict[str, Any] = {"id": np.arange(rows), "split": "test", "gender": gender}
        table |= {"sport": np.array(LABELS)[sport], "score/gender/female": of_female}
        table |= {"score/gender/male": 1 - of_female}
        table |= {f"score/sport/{label}": p for label, p in zip(LABELS, of_sport.T)}
        tables[model] = pd.DataFrame(table)
    return tables


def _audit(checkout: Path, folder: Path, name: str) -> float:
    """Return the seconds of processor that an audit takes."""
    tables = (folder / "A.parquet", folder / "B.parquet")
    to = ("-o", folder / name, "--overwrite", "--quiet")
    command = ("-m", "fairvision", "audit", "--predictions", *tables, *to)
    return _run(checkout, *map(str, command))


def _run(checkout: Path, *arguments: str) -> float:
    """Return the seconds of processor of a process that imports the fairvision of a checkout."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, cwd=checkout, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _compare(folder: Path) -> None:
    """Print how far values and widths of intervals of the two audits are apart."""
    keys = ["model", "metric", "attribute", "task", "group", "label"]
    ours, theirs = (
        pd.read_csv(folder / name / "metrics.csv", keep_default_na=False, na_values={"value": ""})
        for name in ("ours", "beside")
    )
    both = ours.merge(theirs, on=keys, suffixes=("", "_beside"))
    apart = (both["value"] - both["value_beside"]).abs().max()
    kind = both["metric"].str.startswith("calibration_error")
    wide = [
        pd.to_numeric(both[f"high{of}"]) - pd.to_numeric(both[f"low{of}"]) for of in ("", "_beside")
    ]
    ratio = (wide[0] / wide[1])[kind]
    print(
        f"{len(both)} figures, at most {apart:.1g} apart; intervals of calibration error are "
        f"{ratio.min():.2f} to {ratio.max():.2f} times as wide, {ratio.median():.2f} in the median"
    )


def _timed(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _print(what: str, seconds: dict[str, list[float]]) -> None:
    """Print the shortest times, and how often ours is in the other."""
    for name, of in seconds.items():
        ratio = f"   {min(of) / min(seconds['ours']):5.1f}×" if name != "ours" else ""
        print(f"{what:>30}: {min(of):7.2f} s  {name}{ratio}")


def _ours(truth: np.ndarray, scores: list[np.ndarray]) -> None:
    results = [metrics.calibration_error(truth, of_model) for of_model in scores]
    metrics.compare(*results)


def _by_rows(truth: np.ndarray, scores: list[np.ndarray]) -> None:
    """Draw rows with replacement and compute both errors in each resample."""
    random = np.random.default_rng(0)
    errors = np.empty((REPLICATES, 2))
    for replicate in errors:
        rows = random.integers(len(truth), size=len(truth))
        replicate[:] = [_error(truth[rows], of_model[rows]) for of_model in scores]
    np.percentile(np.column_stack([errors, errors[:, 1] - errors[:, 0]]), [2.5, 97.5], axis=0)


def _error(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the expected calibration error of the surest label."""
    surest = scores.argmax(axis=1)
    score = scores[np.arange(len(scores)), surest]
    place = np.searchsorted(np.arange(1, BINS) / BINS, score, side="left")
    off = np.bincount(place, (surest == truth) - score, BINS)
    return float(np.abs(off).sum() / len(truth))


if __name__ == "__main__":
    main()
