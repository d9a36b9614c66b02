"""Can maps of networks that were trained on photographs be trusted? The sanity checks, over seeds.

    python benchmarks/photograph_maps.py DATA [--seeds 0,1,2,3,4] [--size 224] [-o sanity.csv]

Trains baseline, equalizer and attribution penalty on a dataset folder with masks, as `fairvision
train --model mobilenet_v2 --weights IMAGENET1K_V1 --tune last` does, and makes the checks of
`fairvision audit --sanity` for each attribution. Every figure is written to the file as soon as it
is there, and a seed whose figures are there is not made again. Printed is a table: of each check
the mean over the seeds, and in how many of them it was passed, failed or unclear.

Training at 224 pixels takes most of the time. `--train`, `--epochs`, `--pictures` and `--fewer` make
it as short as need be; what was taken belongs to the figures.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import fairvision
from fairvision import datasets
from fairvision.attribution import DEFAULT, METHODS
from fairvision.auditing.sanity import FEWER, PICTURES, examine
from fairvision.results.expectations import status
from fairvision.results.figures import Figure
from fairvision.results.registry import registered
from fairvision.runs import load
from fairvision.runs.model import as_model

LEARNING: dict[str, dict[str, Any]] = {
    "baseline": {},
    "equalizer": {},
    "attribution_penalty": {"penalty": 1.0},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--methods", default=",".join(LEARNING))
    parser.add_argument("--attributions", default=f"{DEFAULT},gradcam")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train", type=int, help="learn from so many of the training pictures")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--fewer", type=int, default=FEWER)
    parser.add_argument("-o", "--output", type=Path, default=Path("sanity.csv"))
    given = parser.parse_args()
    unknown = set(given.attributions.split(",")) - set(METHODS)
    assert not unknown, f"no attribution {unknown}"
    made = pd.read_csv(given.output, keep_default_na=False) if given.output.exists() else None
    for seed in map(int, given.seeds.split(",")):
        for method in given.methods.split(","):
            if made is not None and ((made["seed"] == seed) & (made["model"] == method)).any():
                continue
            rows = _checked(given, method, seed)
            made = rows if made is None else pd.concat([made, rows], ignore_index=True)
            made.to_csv(given.output, index=False)
            print(f"{method}, seed {seed}: {rows['accuracy'].iloc[0]:.3f} right", flush=True)
    if made is not None:
        table = _table(made)
        for row in (table.columns, ["---"] * len(table.columns), *table.to_numpy()):
            print("|", " | ".join(map(str, row)), "|")


def _checked(given: argparse.Namespace, method: str, seed: int) -> pd.DataFrame:
    """Train one network, and return the rows of its checks by each attribution."""
    with tempfile.TemporaryDirectory() as folder:
        data = _fewer_to_train(given.data, Path(folder) / "data", given.train)
        run = fairvision.train(
            data,
            output=Path(folder) / "run",
            method=method,
            model="mobilenet_v2",
            weights="IMAGENET1K_V1",
            size=given.size,
            attribute=[next(iter(datasets.load(data).attributes))],
            tune="last",
            epochs=given.epochs,
            seed=seed,
            **LEARNING[method],
        )
        history = pd.read_csv(run.folder / "history.csv")
        right = history.filter(like="val/accuracy/").iloc[-1, 0]
        model = replace(as_model(load(run.folder)), name=method)
        parts = [
            examine(
                model,
                datasets.load(data).split("test"),
                attribution=attribution,
                images=given.pictures,
                fewer=given.fewer,
                seed=seed,
            ).assign(attribution=attribution)
            for attribution in given.attributions.split(",")
        ]
    return pd.concat(parts, ignore_index=True).assign(seed=seed, accuracy=right)


def _fewer_to_train(source: Path, folder: Path, count: int | None) -> Path:
    """Return a dataset folder that holds the first `count` training images, the others whole."""
    if count is None:
        return source
    whole = datasets.load(source)
    ranks = whole.samples.groupby("split").cumcount()
    kept = whole.samples[(whole.samples["split"] != "train") | (ranks < count)]
    for image_or_mask in ("image", "mask"):
        for name in kept[image_or_mask]:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to((source / name).resolve())
    datasets.save(replace(whole, root=folder, samples=kept.reset_index(drop=True)), folder)
    return folder


def _table(made: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each check over the seeds, and how many of them were passed."""
    metrics, rows = registered(), []
    order = ["attribution", "metric", "label", "model"]
    for (attribution, metric, label, model), part in made.groupby(order, sort=False):
        expected = metrics[metric].expected
        if expected is None:
            continue
        found = [
            status(expected, Figure(row.value, row.low, row.high, row.n))
            for row in part.itertuples()
        ]
        counts = ", ".join(f"{found.count(s)} {s}" for s in dict.fromkeys(found))
        title = metrics[metric].title + (f" ({label.replace('_', ' ')})" if label else "")
        cell = f"{part['value'].mean():+.3f} ± {part['value'].std(ddof=1):.3f}: {counts}"
        rows.append((attribution, title, model, cell))
    table = pd.DataFrame(rows, columns=["attribution", "check", "model", "cell"])
    return table.pivot_table(
        index=["attribution", "check"], columns="model", values="cell", aggfunc="first", sort=False
    ).reset_index()


if __name__ == "__main__":
    main()
