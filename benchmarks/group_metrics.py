"""Rates by group: ours, fairlearn's MetricFrame, Aequitas, and a bare count of the cells.

    python benchmarks/group_metrics.py [--rows 1000000] [--drawn-rows 100000] [--replicates 10]

Selection rate, true and false positive rate, precision and accuracy of two groups, all in one
process on the same arrays, in turn: without intervals, against fairlearn, Aequitas and the
`numpy.bincount` that a hand-written program needs, to which even strings are given as whole
numbers; then with the intervals of all rates, differences and ratios from 1000 resamples, against
fairlearn's `n_boot`, which is timed at few replicates and scaled. Truth and prediction are 0 and 1
as int64, groups once int64 codes and once strings, in a column of a DataFrame; what a hand-written
program pays to code the strings first, with `pandas.factorize`, is shown too. Values are compared.
Where Aequitas cannot be imported, as next to pandas 3, the rest runs without it. Printed is the
median of CPU seconds, of all threads, which other programs on the machine change less than those of
the clock; none of the works waits for anything. Still only ratios of one call can be compared.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import fairlearn.metrics as fairlearn
import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, precision_score

from fairvision import metrics

try:
    with warnings.catch_warnings(action="ignore"):
        from aequitas.group import Group
except ImportError as error:
    Group, MISSING = None, f"Aequitas takes no part: {error}"

REPLICATES = 1000
EVERY = 5  # rounds, of which fairlearn takes part in one: it takes seconds
THEIRS = {
    "selection_rate": fairlearn.selection_rate,
    "true_positive_rate": fairlearn.true_positive_rate,
    "false_positive_rate": fairlearn.false_positive_rate,
    "precision": precision_score,
    "accuracy": accuracy_score,
}
AEQUITAS = ["pprev", "tpr", "fpr", "precision", "accuracy"]

Works = Mapping[str, Callable[[int], np.ndarray]]  # a seed → (groups, 5) rates


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--drawn-rows", type=int, default=100_000)
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    packages = ["numpy", "pandas", "fairlearn", *(["aequitas"] if Group else [])]
    print(", ".join(f"{name} {version(name)}" for name in packages))
    if Group is None:
        print(MISSING)
    for rows, race in ((given.rows, _values), (given.drawn_rows, partial(_intervals, given))):
        table = _images(rows)
        for kind in ("codes", "strings"):
            groups = table[kind]
            print(f"\n{rows:,} rows, groups as {kind} ({groups.dtype})", end=", ")
            race(table, groups, given.rounds)


def _values(table: pd.DataFrame, groups: pd.Series, rounds: int) -> None:
    """Compare rates without intervals."""
    print("no intervals")
    works = {
        "ours": lambda _: _ours(table, groups, replicates=0).by_group.to_numpy(),
        "fairlearn": lambda _: _frame(table, groups).by_group.to_numpy(float),
        "bincount": lambda _: _counted(table, table["codes"].to_numpy()),
    }
    if groups.name == "strings":
        works["factorize"] = lambda _: _counted(table, pd.factorize(groups, sort=True)[0])
    if Group is not None:
        said = table[["truth", "predicted"]].set_axis(["label_value", "score"], axis=1)
        said["group"] = groups.astype(str).astype(object)  # it takes nothing else
        works["Aequitas"] = lambda _: _crosstab(said)
    _race(works, rounds)


def _intervals(
    given: argparse.Namespace, table: pd.DataFrame, groups: pd.Series, rounds: int
) -> None:
    """Compare rates, differences and ratios with intervals."""
    print(f"{REPLICATES} replicates")
    widths: dict[str, np.ndarray] = {}

    def ours(seed: int) -> np.ndarray:
        rates = _ours(table, groups, replicates=REPLICATES, seed=seed)
        found = rates.table[rates.table["group"] != "overall"]
        assert len(rates.difference) == len(rates.ratio) == len(THEIRS)
        widths["ours"] = (found["high"] - found["low"]).to_numpy().reshape(len(THEIRS), -1).T
        return rates.by_group.to_numpy()

    def theirs(seed: int) -> np.ndarray:
        tails = {"ci_quantiles": [0.025, 0.975], "random_state": seed}
        frame = _frame(table, groups, n_boot=given.replicates, **tails)
        low, high = (ends.to_numpy(float) for ends in frame.by_group_ci)
        widths["fairlearn"] = high - low
        return np.asarray(frame.by_group, float)

    # theirs takes the rates of the images as they are too: as one more replicate
    scale = {"fairlearn": (REPLICATES + 1) / (given.replicates + 1)}
    _race({"ours": ours, "fairlearn": theirs}, rounds, scale)
    wide = (widths["ours"] / widths["fairlearn"]).mean()
    print(f"  width of intervals, ours / fairlearn's of {given.replicates}, mean {wide:.2f}")


def _race(works: Works, rounds: int, scale: Mapping[str, float] = {}) -> None:
    """Run all in turn; print the median time of each, also as a multiple of ours."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    values = {}
    for seed in range(rounds):
        for name, run in works.items():
            if name == "fairlearn" and seed % EVERY:
                continue
            start = time.process_time()
            values[name] = run(seed)
            seconds[name].append((time.process_time() - start) * scale.get(name, 1))
    for name, found in values.items():
        np.testing.assert_allclose(found, values["ours"], rtol=0, atol=1e-12, err_msg=name)
    taken = {name: float(np.median(of)) for name, of in seconds.items()}
    for name, of in taken.items():
        print(f"{name:>12}: {1000 * of:12.1f} ms   {of / taken['ours']:10.2f}× ours")


def _images(rows: int) -> pd.DataFrame:
    """Draw truth, and predictions that are better in one group."""
    random = np.random.default_rng(0)
    group, truth = random.integers(0, 2, rows), random.integers(0, 2, rows)
    wrong = random.random(rows) < np.where(group == 0, 0.2, 0.1)
    names = np.array(["female", "male"], dtype=object)[group]
    predicted = np.where(wrong, 1 - truth, truth)
    columns = {"truth": truth, "predicted": predicted, "codes": group, "strings": names}
    return pd.DataFrame(columns)


def _ours(table: pd.DataFrame, groups: pd.Series, **sampling: Any) -> metrics.GroupMetrics:
    return metrics.group_metrics(
        table["truth"], table["predicted"], groups, list(THEIRS), **sampling
    )


def _frame(table: pd.DataFrame, groups: pd.Series, **drawn: Any) -> fairlearn.MetricFrame:
    return fairlearn.MetricFrame(
        metrics=THEIRS,
        y_true=table["truth"],
        y_pred=table["predicted"],
        sensitive_features=groups,
        **drawn,
    )


def _crosstab(table: pd.DataFrame) -> np.ndarray:
    crosstabs, _ = Group(AEQUITAS).get_crosstabs(table, attr_cols=["group"])
    return np.asarray(crosstabs.sort_values("attribute_value")[AEQUITAS], float)


def _counted(table: pd.DataFrame, codes: np.ndarray) -> np.ndarray:
    truth, predicted = table["truth"].to_numpy(), table["predicted"].to_numpy()
    cells = np.bincount(codes * 4 + truth * 2 + predicted, minlength=8).reshape(2, 2, 2)
    (tn, fp), (fn, tp) = cells[:, 0].T, cells[:, 1].T
    n = cells.sum(axis=(1, 2))
    return np.stack(
        [(tp + fp) / n, tp / (tp + fn), fp / (fp + tn), tp / (tp + fp), (tp + tn) / n]
    ).T


if __name__ == "__main__":
    main()
