"""How true swapped surroundings are: by fill and choice of donors, beside what is known exactly.

    python benchmarks/swaps.py -o FOLDER [--images 300] [--quick]
    python benchmarks/swaps.py -o FOLDER --masks
    python benchmarks/swaps.py -o FOLDER --cost

Draws scenes (`fairvision data scenes`) with several biases, groups and seeds, and trains a baseline
and an equalizer in each; what is there already is taken. The same person can be drawn in every
place, so of each right answer it is known in which share of the other groups' places it stays, and
whether it stays everywhere. The tables say, for each fill and choice of donors, how far `holds`
(the mean over right answers) is from that share, and how well, image by image, the mean probability
of the true group over the swaps tells an answer that is right everywhere from all others (AUC).

`--masks` says how both move where masks are cut too small, too wide, or have holes. `--cost` says
what an audit takes with swaps, beside the forwards that it cannot do without, and its memory.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

import fairvision
from fairvision import datasets
from fairvision.auditing.counterfactuals import ask
from fairvision.auditing.swaps import SWAPS, plan, swap
from fairvision.auditing.tables import Samples
from fairvision.datasets import FILLS, Dataset, draw_scene
from fairvision.datasets.batching import image_tensor
from fairvision.models import Model
from fairvision.runs import load
from fairvision.runs.model import as_model

HEAD, PLACE, SIZE = "shirt", "context", 48
NETWORKS = [  # groups, bias, seed, network, method
    *((2, 0.8, 2, "lecture_cnn", "baseline"), (2, 0.8, 2, "lecture_cnn", "equalizer")),
    *((3, 0.8, 2, "lecture_cnn", "baseline"), (3, 0.8, 2, "lecture_cnn", "equalizer")),
    *((3, 0.65, 1, "small_cnn", "baseline"), (2, 0.95, 3, "lecture_cnn", "baseline")),
    (2, 0.65, 3, "lecture_cnn", "baseline"),
]
OPTIONS: dict[str, dict[str, Any]] = {"baseline": {}, "equalizer": {"beta": 3.0}}
WAYS = {  # fill, pool of donors, whether only images that are typical of their group give
    "mean; any donors": ("mean", 1, False),
    "rows; any donors": ("rows", 1, False),
    "rows; donors that are covered": ("rows", 8, False),
    "rows; typical donors": ("rows", 1, True),
    "rows; typical donors that are covered": ("rows", 8, True),
    "smooth; typical donors that are covered": ("smooth", 8, True),
    "mean; typical donors that are covered": ("mean", 8, True),
}
MASKS: dict[str, Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]] = {
    "exact": lambda mask: mask,
    "1 pixel too small": lambda mask: ndimage.binary_erosion(mask),
    "2 pixels too small": lambda mask: ndimage.binary_erosion(mask, iterations=2),
    "1 pixel too wide": lambda mask: ndimage.binary_dilation(mask),
    "2 pixels too wide": lambda mask: ndimage.binary_dilation(mask, iterations=2),
    "a tenth missing in holes": lambda mask: mask & ~_holes(mask),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.child is not None:
        _audit_many(given.output, given.child)
    elif given.cost:
        print(_table(pd.DataFrame(costs(given.output))))
    else:
        settings = "masks" if given.masks else "fill and donors"
        rows = list(measured(given.output, given.images, given.quick, given.masks))
        table = pd.DataFrame(rows)
        table.to_csv(given.output / f"{settings}.csv", index=False)
        print(_table(table), "\n")
        table["off"] = (table["holds"] - table["exact"]).abs()
        means = table.groupby(settings, sort=False).agg(
            off=("off", "mean"), most=("off", "max"), auc=("auc", "mean"), least=("auc", "min")
        )
        print(_table(means.reset_index()))


def measured(
    output: Path, images: int, quick: bool, masks: bool
) -> Iterator[dict[str, str | float]]:
    """Yield a row for each network and way to swap."""
    for groups, bias, seed, network, method in NETWORKS[:1] if quick else NETWORKS:
        model, data = trained(output, groups, bias, seed, network, method, images, quick)
        samples = ask(model, data)
        answer = samples.probabilities("score", HEAD).argmax(axis=1)  # type: ignore[union-attr]
        right, stays, codes = answer == data.codes(HEAD), places(model, data), data.codes(HEAD)
        others = np.arange(stays.shape[1])[None] // 2 != codes[:, None]
        stays = stays == answer[:, None]
        exact = float((stays & others)[right].sum() / others[right].sum())
        everywhere = stays.all(axis=1) & right
        for name, holds, score in ways(model, samples, output, masks):
            defined = right & ~np.isnan(holds)
            yield {
                "world": f"{groups} groups, {bias:g}, seed {seed}",
                "network": f"{network}, {method}",
                "n right": int(defined.sum()),
                "masks" if masks else "fill and donors": name,
                "exact": exact,
                "holds": float(holds[defined].mean()),
                "auc": _auc(score, everywhere),
                "auc of right": _auc(score[right], everywhere[right]),
            }
            print(".", end="", flush=True, file=sys.stderr)


def ways(
    model: Model, samples: Samples, output: Path, masks: bool
) -> Iterator[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Yield a name, `holds` and the mean probability of the true group for each way to swap."""
    chosen = dict.fromkeys(MASKS, ("rows", 8, True)) if masks else WAYS
    for name, (fill, pool, typical) in chosen.items():
        data = recut(samples.truth, output / "recut", MASKS[name]) if masks else samples.truth
        donors = plan(data, pool=pool, typical=typical)
        of_data = Samples(samples.model, data, samples.scores)
        table = swap(model, of_data, donors, method=fill, batch_size=256)
        probabilities = table[[f"swapped/{HEAD}/{group}" for group in data.attributes[HEAD]]]
        true = probabilities.to_numpy()[np.arange(len(data)), data.codes(HEAD)]
        yield name, table[f"holds/{HEAD}"].to_numpy(), true


def trained(
    output: Path,
    groups: int,
    bias: float,
    seed: int,
    network: str,
    method: str,
    images: int,
    quick: bool,
) -> tuple[Model, Dataset]:
    """Return a trained network and test images of the world it was trained in."""
    world = output / f"g{groups}-b{bias}-s{seed}"
    if not (world / "data").exists():
        count = 600 if quick else 1600
        drawn: dict[str, Any] = {"count": count, "bias": bias, "groups": groups, "seed": seed}
        datasets.scenes(world / "data", size=SIZE, test_fraction=0.3, **drawn)
    if not (world / method / "model.safetensors").exists():
        epochs = 2 if quick else 9
        how = {"model": network, "size": SIZE, "epochs": epochs, "lr": 0.002, "device": "cpu"}
        options = {**how, **OPTIONS[method], "overwrite": True}
        fairvision.train(world / "data", output=world / method, method=method, seed=seed, **options)
    data = datasets.load(world / "data").split("test")
    model = as_model(load(world / method), torch.device("cpu"), name=method)
    return model, data.rows(np.arange(min(images, len(data))))


def places(model: Model, data: Dataset) -> npt.NDArray[np.int64]:
    """Return the answer (n, places) to each person, drawn in every place."""
    seed, contexts = data.source.rsplit("seed ", 1)[1], data.tasks[PLACE].labels
    answers = []
    for identity, shirt in zip(data.samples["id"], data.samples[HEAD]):
        drawn = [draw_scene(shirt, place, SIZE, f"{seed}/{identity}")[0] for place in contexts]
        images = torch.stack([image_tensor(image, SIZE) for image in drawn])
        answers.append(model.predict(images)[HEAD].argmax(dim=1).numpy())
    order = np.array([data.attributes[HEAD].index(group) for group in model.schema.labels(HEAD)])
    return np.asarray(order[np.stack(answers)])


def recut(
    data: Dataset, folder: Path, cut: Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]
) -> Dataset:
    """Return the images with other masks, written to a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for image, mask in zip(data.samples["image"], data.samples["mask"]):
        shutil.copy(data.root / image, folder / image)
        Image.fromarray(cut(np.asarray(Image.open(data.root / mask)) > 0)).save(folder / mask)
    datasets.save(data, folder)
    return datasets.load(folder)


def costs(output: Path) -> Iterator[dict[str, str | float]]:
    """Yield what audits take, in seconds of the processor and in memory."""
    for groups, bias, seed, network, method in (NETWORKS[0], NETWORKS[4]):
        model, data = trained(output, groups, bias, seed, network, method, 10**6, False)
        run = output / f"g{groups}-b{bias}-s{seed}" / method
        forward = min(_time(model.predict, torch.rand(64, 3, SIZE, SIZE)) for _ in range(9)) / 64
        how: dict[str, Any] = {"output": output / "cost", "overwrite": True, "leaning": False}
        taken = {
            swaps: min(_time(fairvision.audit, run, swaps=swaps, **how) for _ in range(3))
            for swaps in (0, SWAPS)
        }
        more = (SWAPS + SWAPS // 2 + 1) * len(data) * forward
        yield {
            "network": network,
            "n": len(data),
            "forward, ms": 1e3 * forward,
            "audit without swaps, s": taken[0],
            "forwards of the swaps, s": more,
            "audit with swaps, s": taken[SWAPS],
            "ratio": taken[SWAPS] / (taken[0] + more),
        }
    for many in (300, 1200):
        command = [sys.executable, __file__, "-o", str(output), "--child", str(many)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        yield {"n": many, "memory, MiB": float(done.stdout)}


def _audit_many(output: Path, many: int) -> None:
    """Swap the surroundings of many images and print the most memory that it took, in MiB."""
    model, data = trained(output, *NETWORKS[0], 10**6, False)
    data = data.rows(np.resize(np.arange(len(data)), many))
    data.samples["id"] = [f"p{i}" for i in range(many)]
    swap(model, ask(model, data), plan(data), method=FILLS[0], cache="never")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _time(act: Callable[..., object], *arguments: Any, **options: Any) -> float:
    """Return the seconds of the processor that a call takes."""
    start = time.process_time()
    act(*arguments, **options)
    return time.process_time() - start


def _holes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return squares of three pixels that hide about a tenth of everything."""
    seeds = np.random.default_rng(0).random(mask.shape) < 0.012
    return np.asarray(ndimage.binary_dilation(seeds, np.ones((3, 3))))


def _auc(score: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Return the area under the curve; NaN where there is one kind only."""
    defined = ~np.isnan(score)
    if len(np.unique(truth[defined])) < 2:
        return float("nan")
    return float(roc_auc_score(truth[defined], score[defined]))


def _table(table: pd.DataFrame) -> str:
    """Return a table in Markdown."""
    rows = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row]
        for row in table.itertuples(index=False)
    ]
    lines = [[*map(str, table)], ["---"] * len(table.columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
