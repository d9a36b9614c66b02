"""Can maps of networks that were trained on photographs be trusted? The sanity checks, over seeds.

    python benchmarks/photograph_maps.py DATA [--seeds 0,1,2,3,4] [--size 224] [-o sanity.csv]

Trains baseline, equalizer and attribution penalty on a dataset folder with masks, as `fairvision
train --model mobilenet_v2 --weights IMAGENET1K_V1 --tune last` does, and makes the checks of
`fairvision audit --sanity` for each attribution. Every figure is written to the file as soon as it
is there, and what is there is not made again. Printed is a table: of each check
the mean over the seeds, and in how many of them it was passed, failed or unclear.

Training at 224 pixels takes most of the time. `--train`, `--epochs`, `--pictures` and `--fewer`
make it as short as need be; what was taken belongs to the figures.
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
from fairvision.results.expectations import checks
from fairvision.results.figures import read
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
    made = _read(given.output) if given.output.exists() else None
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


def _read(file: Path) -> pd.DataFrame:
    """Return what was made before; of numbers only, nothing is NaN."""
    undefined = {number: [""] for number in ("value", "low", "high")}
    return pd.read_csv(file, keep_default_na=False, na_values=undefined)


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
        right = float(history.filter(like="val/accuracy/").to_numpy()[-1, 0])
        model = as_model(load(run.folder), name=method)
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
    rows = [
        (
            str(attribution),
            check.metric.title + (f" ({check.label})" if check.label else ""),
            of_model.model,
            check.figure.value,
            check.status,
        )
        for (attribution, _), part in made.groupby(["attribution", "seed"], sort=False)
        for of_model in checks(read(part, list(part["model"].unique())))
        for check in of_model.rows
        if check.status
    ]
    each = pd.DataFrame(rows, columns=["attribution", "check", "model", "value", "status"])
    cells = each.groupby(["attribution", "check", "model"], sort=False).apply(_cell)
    return (
        cells.rename("cell")
        .reset_index()
        .pivot_table("cell", ["attribution", "check"], "model", aggfunc="first", sort=False)
        .reset_index()
    )


def _cell(part: pd.DataFrame) -> str:
    """Return a mean over seeds with its standard deviation, and what became of the check."""
    counts = ", ".join(
        f"{count} {status}" for status, count in part["status"].value_counts().items()
    )
    return f"{part['value'].mean():+.3f} ± {part['value'].std(ddof=1):.3f}: {counts}"


if __name__ == "__main__":
    main()
