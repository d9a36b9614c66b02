"""Realistic input for the report: figures, a verdict, a gallery and settings of any shape."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

CELLS = ["right, turns with the surroundings", "wrong, right elsewhere", "right and holds"]
REASONS = {
    "right and holds": 0.45,
    "right, turns with the surroundings": 0.3,
    "wrong, right elsewhere": 0.1,
    "wrong everywhere": 0.15,
}
EVIDENCE = {
    "right, evidence on the person": 0.4,
    "right, evidence elsewhere": 0.3,
    "wrong, evidence on the person": 0.1,
    "wrong, evidence elsewhere": 0.15,
    "no evidence": 0.05,
}


class Rows:
    """Collects rows of a metrics table, with differences from the first model."""

    def __init__(self, models: list[str], n: int, seed: int) -> None:
        self.models, self.n = models, n
        self.rng = np.random.default_rng(seed)
        self.rows: list[dict[str, Any]] = []

    def add(self, metric: str, start: float, step: float, unit: str = "fraction", **keys: Any):
        n, noise = keys.pop("n", self.n), keys.pop("noise", 0.01)
        half = 0.98 / np.sqrt(max(n, 1))
        values = start + step * np.arange(len(self.models)) + self.rng.normal(0, 1) * noise
        for i, (model, value) in enumerate(zip(self.models, values, strict=True)):
            self._row(model, metric, value, half, n, unit, keys)
            if i:
                name = f"{model} - {self.models[0]}"
                self._row(name, metric, value - values[0], half * 0.7, n, "difference", keys)

    def _row(self, model, metric, value, half, n, unit, keys):
        value = value if n else np.nan
        key = {"attribute": "", "task": "", "group": "", "label": "", **keys}
        ends = {"value": value, "low": value - half, "high": value + half, "n": n, "unit": unit}
        if unit != "difference":
            ends |= {k: float(np.clip(ends[k], 0, 1)) for k in ("value", "low", "high")}
        self.rows.append({"model": model, "metric": metric, **key, **ends})


def make_input(
    models: tuple[str, ...] = ("baseline", "equalizer"),
    attributes: dict[str, tuple[str, ...]] | None = None,
    tasks: dict[str, tuple[str, ...]] | None = None,
    *,
    masks: bool = True,
    items: int = 6,
    n: int = 500,
    size: int = 224,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the keyword arguments of `render`."""
    attributes = {"gender": ("woman", "man")} if attributes is None else attributes
    tasks = {"objects": ("handbag", "tie", "skateboard")} if tasks is None else tasks
    rows = Rows(list(models), n, seed)
    for task, labels in tasks.items():
        rows.add("accuracy", 0.7, 0.01, task=task)
        rows.add("average_precision", 0.6, 0.01, task=task)
        rows.add("calibration_error", 0.1, 0.01, task=task)
        for label in labels:
            rows.add("average_precision", 0.6, 0.01, task=task, label=label, n=40)
    for attribute, groups in attributes.items():
        _add_attribute(rows, attribute, groups, masks)
        for task, labels in tasks.items():
            _add_task(rows, attribute, groups, task, labels)
            _add_more(rows, attribute, task, masks)
        for way in ("MALS", "A->T", "T->A") if len(tasks) > 1 else ():
            rows.add(f"multi-attribute {way}", 0.1, -0.02, "difference", attribute=attribute)
    return {
        "metrics": pd.DataFrame(rows.rows, columns=COLUMNS),
        "models": list(models),
        "verdict": make_verdict(list(models), masks),
        "gallery": make_gallery(list(models), attributes, tasks, masks, items, seed, size),
        "settings": {
            "dataset": "scenes",
            "split": "test",
            "n": n,
            "attribution": "gradcam",
            "replicates": 1000,
            "confidence": 0.95,
            "seed": 0,
            "versions": {"fairvision": "0.1.0", "torch": "2.15.0"},
            "runs": [
                {"name": m, "method": m, "model": "lecture_cnn", "epochs": 8, "seed": 0}
                for m in models
            ],
            "counts": [
                {"attribute": a, "group": g, "n": n // len(groups)}
                for a, groups in attributes.items()
                for g in groups
            ],
        },
    }


KEYS = ["model", "metric", "attribute", "task", "group", "label"]
COLUMNS = [*KEYS, "value", "low", "high", "n", "unit"]


def _add_attribute(rows: Rows, attribute: str, groups: tuple[str, ...], masks: bool) -> None:
    sizes = {"": rows.n, **dict.fromkeys(groups, rows.n // len(groups)), "unknown": 0}
    rows.add("accuracy_gap", 0.2, -0.12, "difference", attribute=attribute)
    rows.add("worst_group_accuracy", 0.6, 0.05, attribute=attribute)
    rows.add("calibration_error", 0.1, 0.01, attribute=attribute)
    rows.add("calibration_error_gap", 0.03, 0.01, "difference", attribute=attribute)
    for metric in ("pointing_game", "relevance_mass") if masks else ():
        rows.add(f"{metric}_gap", 0.1, -0.05, "difference", attribute=attribute)
        rows.add(f"{metric}_lift_gap", 0.1, -0.05, "difference", attribute=attribute)
    for group, n in sizes.items():
        keys = {"attribute": attribute, "group": group, "n": n}
        rows.add("accuracy", 0.72, 0.03, **keys)
        rows.add("error", 0.28, -0.03, **keys)
        if not masks:
            continue
        rows.add("pointing_game", 0.25, 0.3, **keys)
        rows.add("chance_level", 0.2, 0, **keys)
        rows.add("pointing_game_lift", 0.05, 0.3, "difference", **keys)
        rows.add("relevance_mass", 0.3, 0.2, **keys)
        rows.add("relevance_mass_lift", 0.1, 0.2, "difference", **keys)
        rows.add("hidden_accuracy", 0.7, -0.15, **keys)
        rows.add("person_accuracy", 0.7, 0.05, **keys)
        rows.add("hidden_probability_gap", 0.6, -0.5, "probability", **keys)
        rows.add("holds", 0.3, 0.3, **keys)
        rows.add("swapped_accuracy", 0.4, 0.3, **keys)
        rows.add("background_gap", 0.4, -0.3, "difference", **keys)
        for metric, cells in (("reasons", REASONS), ("evidence_cells", EVIDENCE)):
            for i, (cell, share) in enumerate(cells.items()):
                step = (0.1, -0.1)[i] if i < 2 else 0
                rows.add(metric, share, step, label=cell, noise=0, **keys)
    for group, label in itertools.product(groups, repeat=2):
        share = 0.72 if group == label else 0.28 / max(1, len(groups) - 1)
        keys = {"group": group, "label": label, "n": sizes[group]}
        rows.add("confusion", share, 0.01, attribute=attribute, **keys)


def _add_task(rows, attribute, groups, task, labels):
    keys = {"attribute": attribute, "task": task}
    for group in groups:
        rows.add("accuracy", 0.7, 0.01, group=group, n=rows.n // len(groups), **keys)
    rows.add("accuracy_gap", 0.05, 0.01, "difference", **keys)
    rows.add("accuracy_context_agrees", 0.9, -0.02, n=300, **keys)
    rows.add("accuracy_context_disagrees", 0.5, 0.25, n=120, **keys)
    rows.add("context_gap", 0.4, -0.27, "difference", n=420, **keys)
    for metric in ("bias_amplification_mals", "directional A->T", "directional T->A"):
        rows.add(metric, 0.08, -0.07, "difference", **keys)
        for group, label in itertools.product(groups, labels):
            start = rows.rng.normal(0, 0.1)
            rows.add(metric, start, -start / 2, "difference", group=group, label=label, **keys)


def _add_more(rows, attribute, task, masks):
    keys = {"attribute": attribute, "task": task}
    for metric in ("demographic_parity", "equalized_odds"):
        rows.add(f"{metric}_difference", 0.1, -0.02, "difference", **keys)
        rows.add(f"{metric}_ratio", 0.8, 0.02, **keys)
    for metric in ("leakage_amplification", "predictability A->T", "predictability T->A"):
        rows.add(metric, 0.05, -0.02, "difference", **keys)
    rows.add("worst_group_accuracy", 0.6, 0.05, **keys)
    rows.add("model_leakage", 0.7, -0.02, **keys)
    rows.add("perturbed_leakage", 0.65, 0, **keys)
    for part, n in {"evidence inside": 300, "evidence outside": 200}.items() if masks else ():
        rows.add(f"directional T->A, {part}", 0.05, -0.02, "difference", n=n, **keys)
    if masks:
        rows.add("directional T->A, outside minus inside", 0.1, 0, "difference", n=200, **keys)


def make_verdict(models: list[str], masks: bool) -> dict[str, Any]:
    interval = "(95% interval +0.034 to +0.121, n = 500)"
    answers = []
    for i, model in enumerate(models):
        answers += [
            {
                "question": f"Does {model} amplify the bias of gender?",
                "answer": f"T->A: guessing gender from objects: +0.080 {interval}: amplified.",
                "status": "unclear" if i else "yes",
            },
            {
                "question": f"Is {model} right about gender for the right reasons?",
                "answer": "Right for the right reasons in 45% (95% interval 41 to 49%, n = 500) of "
                "the pictures, right for the wrong reasons in 30% (95% interval 26 to 34%, "
                "n = 500).",
                "status": "yes" if i else "no",
            },
        ]
    return {
        "headline": f"{models[0]} amplifies the bias between gender and objects (T->A +0.080 "
        f"{interval}). {models[0]} is right for the right reasons in 45% (95% interval 41 to "
        "49%, n = 500) of the pictures and right for the wrong reasons in 30%.",
        "answers": answers,
        "left_out": [] if masks else ["evidence and reasons: no picture has a person mask"],
        "warnings": ["group 'unknown' of gender has 0 pictures"],
    }


def make_image(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an image of a person before a context object, the person's mask, the object's."""
    y, x = np.mgrid[:size, :size] / size
    image = np.empty((size, size, 3))
    image[:] = rng.uniform(120, 230, 3)
    image *= (0.8 + 0.2 * y)[..., None]
    cx = rng.uniform(0.25, 0.4)
    person = ((x - cx) ** 2 + (y - 0.35) ** 2 < 0.012) | (
        (abs(x - cx) < 0.1) & (y > 0.45) & (y < 0.9)
    )
    thing = (abs(x - 0.75) < 0.12) & (abs(y - 0.7) < 0.1)
    image[person], image[thing] = rng.uniform(0, 160, 3), rng.uniform(0, 255, 3)
    image += rng.normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8), person, thing


def make_gallery(models, attributes, tasks, masks, items, seed, size=224) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    gallery: list[dict[str, Any]] = []
    if not attributes:
        return gallery
    attribute, groups = next(iter(attributes.items()))
    labels = next(iter(tasks.values()), ())
    y, x = np.mgrid[:size, :size] / size
    for cell, i in itertools.product(CELLS, range(items)):
        image, person, thing = make_image(rng, size)
        truth = groups[i % len(groups)]
        answers = []
        for j, model in enumerate(models):
            inside = cell == "right and holds" or j > 0
            cy, cx = np.argwhere(person if inside else thing).mean(axis=0) / size
            answers.append(
                {
                    "name": model,
                    "answer": groups[(i + (cell.startswith("wrong") and j == 0)) % len(groups)],
                    "probability": float(rng.uniform(0.5, 1)),
                    "map": np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02).astype(np.float32),
                    "inside": inside,
                    "mass": 0.42 if inside else 0.07,
                }
            )
        gallery.append(
            {
                "cell": cell,
                "id": f"{CELLS.index(cell)}-{i}",
                "attribute": attribute,
                "truth": truth,
                "labels": list(labels[: i % 3]),
                "picture": image,
                "mask": person if masks else None,
                "chance": 0.23 if masks else None,
                "models": answers,
            }
        )
    return gallery


@pytest.fixture(scope="session")
def report_input():
    """Function that makes the keyword arguments of `render`; see `make_input`."""
    return make_input
