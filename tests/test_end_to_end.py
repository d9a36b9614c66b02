"""The whole way on real photographs, through the real entry point."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import datasets

SPLITS = {"train": 48, "val": 16, "test": 32}
MODELS = ("baseline", "equalizer", "equalizer - baseline")
QUIET = ("--device", "cpu", "--quiet")


@pytest.fixture
def photographs(shared, tmp_path) -> Path:
    """Write a table of a few photographs, half of each gender, most with known objects."""
    source = shared / "data" / "coco-gender"
    table = pd.read_csv(source / "samples.csv", dtype=str, keep_default_na=False)
    table = table.sort_values("objects", key=lambda column: column == "", kind="stable")
    chosen = [
        table[(table["split"] == split) & (table["gender"] == gender)].head(n // 2)
        for split, n in SPLITS.items()
        for gender in ("female", "male")
    ]
    pd.concat(chosen).to_csv(tmp_path / "photographs.csv", index=False)
    return source


def test_from_photographs_to_the_report(photographs, shared, tmp_path, run_cli, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(shared / "weights" / "torch-home"))
    data, audit = tmp_path / "data", tmp_path / "audit"

    def done(*arguments: object) -> str:
        result = run_cli(*arguments)
        assert result.code == 0, result.err
        assert "Traceback" not in result.err
        return result.out

    columns = ("--attribute", "gender", "--many", "objects")
    done("data", "csv", tmp_path / "photographs.csv", data, "--images", photographs, *columns)
    imported = datasets.load(data)
    assert imported.samples["split"].value_counts().to_dict() == SPLITS
    assert imported.has_masks

    network = ("--model", "mobilenet_v2", "--weights", "IMAGENET1K_V1", "--size", 64)
    for method in MODELS[:2]:
        how = ("--method", method, *network, "--tune", "head", "--epochs", 1)
        done("train", data, *how, *QUIET, "-o", tmp_path / method)
    runs = [tmp_path / method for method in MODELS[:2]]
    told = json.loads(
        done("audit", *runs, *QUIET, "--replicates", 50, "-o", audit, "--json"),
    )
    assert told["verdict"]["headline"]

    metrics = pd.read_csv(audit / "metrics.csv", keep_default_na=False)
    numbers = metrics[["value", "low", "high"]].apply(pd.to_numeric, errors="coerce")
    metrics[["value", "low", "high"]] = numbers
    accuracies = check_promised(metrics)
    for model in MODELS[:2]:
        samples = pd.read_parquet(audit / model / "samples.parquet")
        assert len(samples) == SPLITS["test"]
        female = samples["score/gender/female"] > samples["score/gender/male"]
        right = np.where(female, "female", "male") == samples["gender"]
        assert accuracies[model] == pytest.approx(right.mean())
        assert samples["hidden/gender/female"].notna().any()
    assert len(pd.read_parquet(audit / "train.parquet")) == SPLITS["train"]

    page = Page((audit / "report.html").read_text(encoding="utf-8"))
    assert {"baseline", "equalizer"} <= set(page.words)
    assert page.tags.count("img") >= 3
    assert not page.linked

    image = data / imported.samples["image"][0]
    (answer,) = json.loads(done("predict", runs[1], image, "--json"))
    assert answer["score/gender/female"] + answer["score/gender/male"] == pytest.approx(1)
    done("explain", runs[1], image, *QUIET, "-o", tmp_path / "explained")
    (sheet,) = (tmp_path / "explained").glob("*-evidence.png")
    assert np.asarray(Image.open(sheet).convert("L")).std() > 10


def check_promised(metrics: pd.DataFrame) -> dict[str, float]:
    """Check the rows that everyone relies on; return the overall accuracies."""
    overall = metrics[
        (metrics["metric"] == "accuracy")
        & (metrics["attribute"] == "gender")
        & (metrics[["task", "group", "label"]] == "").all(axis=1)
    ].set_index("model")
    assert set(overall.index) == set(MODELS)
    assert np.isfinite(overall[["value", "low", "high"]]).all(axis=None)
    assert overall["low"].le(overall["high"]).all()
    assert (overall["n"] == SPLITS["test"]).all()
    value = overall["value"]
    assert value[MODELS[2]] == pytest.approx(value[MODELS[1]] - value[MODELS[0]])
    for metric in (
        *("hidden_accuracy", "hidden_probability_gap", "pointing_game", "chance_level"),
        *("bias_amplification_mals", "directional A->T", "directional T->A", "reasons"),
    ):
        rows = metrics[metrics["metric"] == metric]
        assert set(rows["model"]) >= set(MODELS[:2]), metric
        assert np.isfinite(rows["value"]).any(), metric
    return value.to_dict()


class Page(HTMLParser):
    """The tags and words of a page, and what it would fetch from elsewhere."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.linked: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        fetched = [value or "" for name, value in attrs if name == "src"]
        self.linked += [value for value in fetched if not value.startswith("data:")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def test_coco_annotations_become_a_dataset_that_can_be_shown(shared, tmp_path, run_cli):
    source = shared / "data" / "coco-mini"
    files = (source / "instances.json", source / "captions.json", source / "images")
    made = run_cli("data", "coco", *files, tmp_path / "data", "--quiet", "--seed", 1)
    assert made.code == 0, made.err
    shown = json.loads(run_cli("data", "show", tmp_path / "data", "--json").out)
    counts = pd.DataFrame(shown["counts"]).set_index(["kind", "name", "value"]).sort_index()
    assert counts.loc[("pictures", "", ""), "all"] == 153
    assert {"female", "male"} <= set(counts.loc[("attribute", "gender")].index)
    assert counts.loc[("masks", "", ""), "all"] > 0


def test_the_installed_command():
    command = shutil.which("fairvision", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("the package is not installed beside this Python")
    asked = [command, "data", "show", "no such folder"]
    result = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("fairvision: no such folder is not a folder")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "code",
    [
        "import fairvision",
        "import sys; sys.argv = ['fairvision', '--help']; from fairvision.cli import main; main()",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    heavy = ("torch", "torchvision", "pandas", "numpy", "matplotlib", "captum")
    check = f"print('loaded:', *(name for name in {heavy} if name in sys.modules))"
    guarded = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\n{check}"
    result = subprocess.run(
        [sys.executable, "-c", guarded], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "loaded:"
