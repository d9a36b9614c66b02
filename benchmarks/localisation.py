"""Measures of evidence on maps of 224²: ours in one pass, and Quantus' calls and kernels.

    python benchmarks/localisation.py [--count 1000] [--public 256] [--size 224]

Six measures of the same maps and masks in one process, in turn: `metrics.localisation`; Quantus'
kernels (`evaluate_batch`, that is, without preparation and checks) in batches of 64, its default;
and its public calls with its defaults. These take minutes and gigabytes on all images, and longer
per image the more there are, so they get the first `--public` only, which flatters them. Printed
are milliseconds per image, memory, ratios, and how far the values lie apart where Quantus is
right: no NaN, no negative evidence, no empty mask; and no ties, which maps like Grad-CAM's have.
Its weighted localisation depends on the batch size, so its unweighted one, over the area, is
compared. Only ratios of one call can be compared: machines differ, and are shared.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import quantus
import torch

from fairvision import metrics

BATCH = 64  # Quantus' own default
MEASURES = {
    "pointing_game": "PointingGame",
    "relevance_mass": "RelevanceMassAccuracy",
    "relevance_rank": "RelevanceRankAccuracy",
    "top_k_intersection": "TopKIntersection",
    "evidence_auc": "AUC",
    "area_weighted_localisation": "AttributionLocalisation",
}
THEIRS = {
    name: getattr(quantus, theirs)(disable_warnings=True, display_progressbar=False)
    for name, theirs in MEASURES.items()
}
Values = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--public", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "quantus")))
    masks = _masks(given.count, given.size)
    for kind, maps in {
        "noise without ties": _noise(given.count, given.size),
        "like Grad-CAM": _coarse(given.count, given.size),
    }.items():
        print(f"\n{kind}, {given.count} maps of {given.size}²")
        _compare_runs(maps, masks, given.public, given.rounds)


def _compare_runs(maps: np.ndarray, masks: np.ndarray, public: int, rounds: int) -> None:
    few = maps[:public], masks[:public]
    runs: dict[str, Callable[[], Values]] = {
        "ours, NumPy": lambda: metrics.localisation(maps, masks),
        "ours, torch on cpu": _on_torch(maps, masks, "cpu"),
        "Quantus, kernels": lambda: _kernels(maps, masks),
        "Quantus, public": lambda: _public(*few),
    }
    if torch.cuda.is_available():
        runs["ours, torch on cuda"] = _on_torch(maps, masks, "cuda")
    times: dict[str, list[float]] = {name: [] for name in runs}
    values: dict[str, Values] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            values[name] = run()
            times[name].append(time.perf_counter() - start)
    counts = {name: len(found["evidence_auc"]) for name, found in values.items()}
    each = {name: float(np.median(times[name])) / counts[name] * 1000 for name in runs}
    for name, milliseconds in each.items():
        print(f"{name:>20}: {milliseconds:8.3f} ms/map")
    for name in ("ours, NumPy", "Quantus, kernels"):
        print(f"{name:>20}: {_peak(runs[name]):8.1f} MB beside its input")
    for name in ("Quantus, kernels", "Quantus, public"):
        print(f"{name} / ours: {each[name] / each['ours, NumPy']:.1f}")
    _compare_values(values["ours, NumPy"], values["Quantus, kernels"])


def _noise(count: int, size: int) -> np.ndarray:
    """Draw positive maps of which no two pixels are equal."""
    random = np.random.default_rng(0)
    levels = np.arange(1, size * size + 1, dtype=np.float32) / (size * size)
    maps = np.stack(
        [random.permutation(levels) * np.float32(random.random()) for _ in range(count)]
    )
    return maps.reshape(count, size, size)


def _coarse(count: int, size: int) -> np.ndarray:
    """Draw 7 × 7 maps and upsample their positive part smoothly, as Grad-CAM does."""
    coarse = torch.randn(count, 1, 7, 7, generator=torch.Generator().manual_seed(0)).relu()
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return fine[:, 0].numpy()


def _masks(count: int, size: int) -> np.ndarray:
    random = np.random.default_rng(1)
    masks = np.zeros((count, size, size), dtype=bool)
    for mask, (top, left) in zip(masks, random.integers(0, size // 2, (count, 2))):
        height, width = random.integers(size // 8, size // 2, 2)
        mask[top : top + height, left : left + width] = True
    return masks


def _on_torch(maps: np.ndarray, masks: np.ndarray, device: str) -> Callable[[], Values]:
    on_device = torch.from_numpy(maps).to(device), torch.from_numpy(masks).to(device)
    return lambda: {
        name: values.cpu().numpy() for name, values in metrics.localisation(*on_device).items()
    }


def _kernels(maps: np.ndarray, masks: np.ndarray) -> Values:
    a, s = maps[:, None], masks[:, None]
    return {
        name: np.concatenate(
            [
                measure.evaluate_batch(
                    x_batch=a[start : start + BATCH],
                    a_batch=a[start : start + BATCH],
                    s_batch=s[start : start + BATCH],
                )
                for start in range(0, len(a), BATCH)
            ]
        )
        for name, measure in THEIRS.items()
    }


def _public(maps: np.ndarray, masks: np.ndarray) -> Values:
    model, labels = torch.nn.Identity(), np.zeros(len(maps), dtype=int)
    images = np.broadcast_to(maps[:, None], (len(maps), 3, *maps.shape[1:]))
    return {
        name: np.asarray(
            measure(
                model=model,
                x_batch=images,
                y_batch=labels,
                a_batch=maps[:, None],
                s_batch=masks[:, None],
                channel_first=True,
                batch_size=BATCH,
            )
        )
        for name, measure in THEIRS.items()
    }


def _peak(run: Callable[[], Values]) -> float:
    """Return the most memory that Python and NumPy held at a time, in MB."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def _compare_values(ours: Values, theirs: Values) -> None:
    for name, values in theirs.items():
        expected = values / ours["chance_level"] if name == "area_weighted_localisation" else values
        apart = np.abs(ours[name] - expected)
        print(
            f"{name:>28}: at most {np.nanmax(apart):.1e} from Quantus, mean {np.nanmean(apart):.1e}"
        )


if __name__ == "__main__":
    main()
