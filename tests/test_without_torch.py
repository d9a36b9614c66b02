"""Metrics, captions and audits of tables where torch, and what needs it, cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

REFUSED = ("torch", "torchvision", "captum", "lightning_fabric", "timm")
WITHOUT = f"""
import sys
from importlib import metadata

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {REFUSED}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def version(name, installed=metadata.version):
    if name.replace("-", "_") in {REFUSED}:
        raise metadata.PackageNotFoundError(name)
    return installed(name)

sys.meta_path.insert(0, Refusal())
metadata.version = version
"""
COMMAND = "from fairvision.cli import main; main()"


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", WITHOUT + program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_torch_is_refused() -> None:
    program = """
try:
    import torch
except ModuleNotFoundError:
    print("refused")
"""
    assert run(program) == "refused\n"


def test_every_metric_is_imported_and_some_computed() -> None:
    program = """
from fairvision import metrics
for name in metrics.__all__:
    getattr(metrics, name)
label, group = [0, 1, 1, 0, 1, 1], list("aabbab")
predicted, scores = [0, 1, 0, 0, 1, 1], [0.1, 0.9, 0.4, 0.2, 0.8, 0.7]
print(
    float(metrics.accuracy(label, predicted)) == 5 / 6,
    metrics.bias_amplification_mals(label, group, predicted, group).n == 6,
    float(metrics.demographic_parity_difference(label, predicted, group)) >= 0,
    float(metrics.average_precision(label, scores)) > 0.5,
    metrics.caption_genders(["a woman on skis"])[0],
)
"""
    assert run(program).startswith("True True True True ")


def test_predictions_are_audited() -> None:
    female = [0.9, 0.2, 0.7, 0.4] * 10
    table = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(40)],
            "split": ["train", "test"] * 20,
            "gender": ["female", "male"] * 10 + ["male", "female"] * 10,
            "sport": ["ski", "surf"] * 20,
            "score/gender/female": female,
            "score/gender/male": [1 - share for share in female],
            "score/sport/ski": female,
            "score/sport/surf": [1 - share for share in female],
        }
    )
    table.to_csv("A.csv", index=False)
    table.to_parquet("B.parquet")
    quick = ("--output", "audit", "--replicates", "5", "--quiet")
    run(COMMAND, "audit", "--predictions", "A.csv", "B.parquet", *quick)
    assert Path("audit", "report.html").is_file()
    assert set(pd.read_csv("audit/metrics.csv")["model"]) == {"A", "B", "B - A"}


def test_captions_are_audited() -> None:
    texts = {"A": ["a man on skis", "a woman on skis"], "B": ["a man with a tv", "a person"]}
    for model, captions in texts.items():
        entries = [{"image_id": i, "caption": captions[i % 2]} for i in range(40)]
        Path(f"{model}.json").write_text(json.dumps(entries))
    labels = pd.DataFrame(
        {
            "image_id": range(40),
            "gender": ["woman", "man"] * 20,
            "objects": ["skis", "tv;chair", "skis", "chair"] * 10,
        }
    )
    labels.to_csv("labels.csv", index=False)
    quick = ("--output", "captions", "--rounds", "1", "--replicates", "5", "--quiet")
    run(COMMAND, "captions", "A.json", "B.json", "--labels", "labels.csv", *quick)
    assert Path("captions", "report.html").is_file()
    assert {"A", "B"} <= set(pd.read_csv("captions/metrics.csv")["model"])
