"""CIFAR-10S: bias and accuracy of methods, beside the published table.

    python benchmarks/cifar10s.py -o FOLDER --source FOLDER-OR-PARQUET [--recipe short]
                                  [--methods baseline,resampling,…] [--seeds 0,1,2]
                                  [--per-class 200] [--epochs 30]

Makes the dataset folder (docs/cifar10s.md), trains every method with every seed by
`fairvision.train`, and tests each on the 10,000 images in grey and in colour. Printed are the
bias and the accuracy, mean ± standard deviation over the seeds. Called again with the same output
it continues where it stopped.

The recipe "short" is for a CPU: all 50,000 images at 16 pixels, the small network, two epochs.
Its figures are not those of the paper (docs/cifar10s.md says why). "full" is that of the paper, for
a GPU: ResNet-18, SGD with momentum, batches of 128, 200 epochs, shifted crops. What differs: the
learning rate warms up over 5% of the steps; normalisation and biases do not decay; an epoch of
resampling shows 50,000 images, not 95,000; the adversary of confusion learns with the network in
every step, where the authors train 500 epochs by turns, the network in every third.

`--per-class` keeps so many training images of each class, with their skew. With `--epochs` the
rare ones are then shown as often as in a long training, in little time.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import fairvision
from fairvision import datasets, metrics, models, runs
from fairvision.datasets.readers.cifar10s import from_cifar10
from fairvision.errors import FairvisionWarning, InputError

PUBLISHED = {  # Wang et al., CVPR 2020, table 1: bias and accuracy
    "baseline": ("plain", 0.074, 88.5),
    "resampling": ("oversampling", 0.070, 88.9),
    "confusion": ("adversarial confusion", 0.103, 83.6),
    "domain_discriminative": ("domain-discriminative, prior shift", 0.040, 90.4),
    "domain_independent": ("domain-independent", 0.005, 92.3),
}
RECIPES: dict[str, dict[str, Any]] = {
    "short": {"model": "small_cnn", "size": 16, "epochs": 2, "lr": 0.005, "augment": False},
    "full": {
        **{"model": "resnet18_32px", "size": 32, "epochs": 200, "lr": 0.1},
        **{"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "schedule": "steps"},
        **{"augment": True, "crop": "shift"},
    },
}
OF_METHODS = {  # the authors train adversaries by Adam
    "full": {
        "confusion": {
            "optimizer": "adamw",
            "lr": 1e-4,
            "weight_decay": 3e-4,
            "schedule": "constant",
        },
    },
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--source")
    parser.add_argument("--recipe", choices=[*RECIPES], default="short")
    parser.add_argument("--methods", default=",".join(PUBLISHED))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    methods, seeds = given.methods.split(","), [int(seed) for seed in given.seeds.split(",")]

    data = given.output / "cifar10s"
    if not (data / "dataset.json").is_file():
        try:
            from_cifar10(data, source=given.source, quiet=False)
        except InputError as error:
            parser.error(str(error))
        if given.per_class is not None:
            _keep(data, given.per_class)
    test = datasets.load(data).split("test")
    figures: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for seed in seeds:
        for method in methods:
            run = _train(data, method, seed, given)
            figures[method].append(judge(run, test, given.device))
            bias, accuracy = figures[method][-1]
            print(f"{method}, seed {seed}: bias {bias:.3f}, accuracy {accuracy:.1f}%", flush=True)
    print(
        f"\nrecipe {given.recipe}, seeds {given.seeds}; fairvision {fairvision.__version__}, "
        f"torch {torch.__version__}, {models.find_device(given.device).type}\n"
    )
    print(table(figures).to_string())


def _keep(data: Path, per_class: int) -> None:
    """Leave so many training images of each class in the table, with their skew."""
    whole = datasets.load(data)
    training = whole.samples[whole.samples["split"] == "train"]
    sizes = training["class"].value_counts()
    kept = [
        rows.head(round(per_class * len(rows) / sizes[label]))
        for label, own in training.groupby("class")
        for _, rows in own.groupby("colour")
    ]
    tests = whole.samples[whole.samples["split"] == "test"]
    samples = pd.concat([*kept, tests], ignore_index=True)
    datasets.save(replace(whole, samples=samples), data)


def _train(data: Path, method: str, seed: int, given: argparse.Namespace) -> runs.Run:
    own = OF_METHODS.get(given.recipe, {}).get(method, {})
    if given.epochs is not None:
        own = {**own, "epochs": given.epochs}
    with warnings.catch_warnings():  # a run that is finished already is kept
        warnings.simplefilter("ignore", FairvisionWarning)
        return fairvision.train(
            data,
            output=given.output / given.recipe / f"{method}-{seed}",
            method=method,
            task=["class"],
            batch_size=128,
            seed=seed,
            device=given.device,
            resume=True,
            quiet=False,
            **{**RECIPES[given.recipe], **own},
        )


def judge(run: runs.Run, test: datasets.Dataset, device: str) -> tuple[float, float]:
    """Return the bias of a run, and its accuracy in percent, on grey and coloured images."""
    where = models.find_device(device)
    network = runs.network(run, where)
    batches = datasets.batches(test, datasets.open_pixels(test, run.size), 500, device=where)
    with torch.inference_mode():
        said = torch.cat([network(batch.images)["class"].argmax(dim=1) for batch in batches])
    predicted = said.cpu().numpy()
    images = test.samples["id"].str.rsplit("-", n=1).str[0]
    bias = metrics.cifar10s_bias(predicted, test.samples["colour"], images=images)
    return float(bias), 100 * float((predicted == test.targets("class")).mean())


def table(figures: dict[str, list[tuple[float, float]]]) -> pd.DataFrame:
    """Return ours beside the published figures, a row per method."""
    rows = {}
    for method, found in figures.items():
        name, bias, accuracy = PUBLISHED.get(method, ("", np.nan, np.nan))
        biases, accuracies = zip(*found)
        rows[method] = {
            "bias": _spread(biases, 3),
            "accuracy, %": _spread(accuracies, 1),
            "published as": name,
            "published bias": bias,
            "published accuracy, %": accuracy,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _spread(values: tuple[float, ...], digits: int) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
