"""What equalising a captioner changes, over seeds.

    python benchmarks/captioners.py DATA [--seeds 0,1,2] [--train "--model small_cnn --epochs 5"]
        [--equalizer "--beta 3"] [--audit "--swaps 4"] [-o captioners.csv]

Trains baseline and equalizer on a dataset folder with captions and masks, as `fairvision train
--captions` does, audits both together, and prints each figure for each seed. Every pair is written
to the file as soon as it is there, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

SHOWN = (
    *("error", "unnamed", "accuracy_when_named", "hidden_named", "hidden_probability_gap"),
    *("same_swapped_accuracy", "swapped_accuracy", "holds", "pointing_game", "chance_level"),
    *("bleu", "cider"),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--train", default="--model small_cnn --epochs 5")
    parser.add_argument("--equalizer", default="", help="options of this method alone")
    parser.add_argument("--audit", default="--swaps 4")
    parser.add_argument("-o", "--output", type=Path, default=Path("captioners.csv"))
    given = parser.parse_args()
    made = pd.read_csv(given.output) if given.output.exists() else pd.DataFrame({"seed": []})
    for seed in map(int, given.seeds.split(",")):
        if (made["seed"] == seed).any():
            continue
        options = {"baseline": given.train, "equalizer": f"{given.train} {given.equalizer}"}
        figures = _figures(given.data, seed, options, shlex.split(given.audit))
        made = pd.concat([made, figures.assign(seed=seed)], ignore_index=True)
        made.to_csv(given.output, index=False)
    whole = made[made["group"].isna() & made["metric"].isin(SHOWN)]
    table = whole.pivot_table(index="metric", columns=["seed", "model"], values="value")
    print(table.reindex([name for name in SHOWN if name in table.index]).round(3).to_string())


def _figures(data: Path, seed: int, train: dict[str, str], audit: list[str]) -> pd.DataFrame:
    """Train methods, with their options, by a seed; audit them, and return the metrics table."""
    command = [sys.executable, "-m", "fairvision"]
    with tempfile.TemporaryDirectory() as place:
        runs = []
        for method, options in train.items():
            runs.append(str(Path(place, method)))
            run = ["--captions", "--method", method, "--seed", str(seed), "-o", runs[-1]]
            subprocess.run([*command, "train", str(data), *run, *shlex.split(options)], check=True)
        subprocess.run([*command, "audit", *runs, "-o", f"{place}/audit", *audit], check=True)
        return pd.read_csv(Path(place, "audit", "metrics.csv"))


if __name__ == "__main__":
    main()
