"""Python in the documentation runs, with what the pages take for granted at hand."""

from __future__ import annotations

import ast
import doctest
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import fairvision
from fairvision import datasets, models
from fairvision.auditing import audit
from fairvision.errors import FairvisionWarning
from fairvision.models import backbones, sources

ROOT = Path(__file__).parents[2]
TESTED = ("attribution", "captions", "metrics")
"""Pages whose names begin so have tests of their own."""
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = {
    path.name: blocks
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if not path.name.startswith(TESTED) and (blocks := BLOCK.findall(path.read_text("utf-8")))
}
ELSEWHERE = {
    "import fiftyone": "a package that no extra installs",
    "from fairvision.inference.confidence": "a run that was trained on digits",
    "save_file(model": "a line of somebody's training",
    "import fairvision\n\njobs =": "annotated jobs of people",
    "from fairvision.inference import make_masks": "masks that somebody drew",
    'import fairvision\n\nfairvision.train("photos"': "minutes",
}
"""How blocks begin of which only the imports run, and what they would need."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the datasets and images of which the pages speak."""
    folder = tmp_path_factory.mktemp("workplace")
    drawn = datasets.scenes(folder / "scenes", count=80, bias=0.8, size=32)
    gender = drawn.samples["shirt"].map(dict(zip(drawn.attributes["shirt"], ["female", "male"])))
    drawn.samples.assign(gender=gender).to_csv(folder / "scenes" / "photos.csv", index=False)
    table, columns = folder / "scenes" / "photos.csv", {"mask": "mask", "split": "split"}
    for name in ("photos", "my-dataset"):
        datasets.from_table(table, folder / name, attributes=["gender"], **columns)
    datasets.reasons(folder / "drawn", cause="either", count=40, size=32)
    (folder / "photographs").mkdir()
    for path in ("photo.jpg", "photographs/one.jpg"):
        datasets.read_image(drawn.root / drawn.samples["image"][0]).save(folder / path)
    return folder


@pytest.fixture
def given(make_run, tmp_path) -> dict[str, Any]:
    """What pages use without making it."""
    answers = {"gender": ["female", "male"] * 10}
    answers |= {"id": range(20), "predicted/gender": ["female", "male"] * 9 + ["male", "female"]}
    for model in ("baseline", "equalizer"):
        pd.DataFrame(answers).to_csv(tmp_path / f"{model}.csv", index=False)
    audited = audit(
        predictions=[tmp_path / "baseline.csv", tmp_path / "equalizer.csv"],
        output=tmp_path / "done",
    )
    settings = {"dataset": "none", "split": "test", "n": 20, "attribution": "none"}
    settings |= {"replicates": 1000, "confidence": 0.95, "seed": 0}
    shutil.move(make_run("made", size=32), tmp_path / "run")
    convolution = nn.Conv2d(3, 4, 3, 2)
    return {
        "module": nn.Sequential(
            convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 2)
        ),
        "network": models.build("small_cnn", {"gender": 2}, size=32).eval(),
        "images": torch.rand(4, 3, 32, 32),
        "groups": torch.tensor([0, 1, 1, 0]),
        "picture": np.zeros((32, 32, 3), np.uint8),
        "mask": np.zeros((32, 32), bool),
        "function": lambda images: [[0.5, 0.5]] * len(images),
        "metrics": audited.metrics,
        "models": audited.models,
        "verdict": audited.verdict,
        "settings": {**settings, "versions": {}, "runs": [], "counts": []},
        "samples": pd.DataFrame({"id": ["a-c", "a-g", "b-c", "b-g"], "colour": ["c", "g"] * 2}),
        "predicted": ["x", "y", "x", "y"],
    }


def short_audit(*models, **settings):
    """Audit models with little effort, and tables as always."""
    short = {"replicates": 20, "swaps": 1, "attribution": "none"} if models else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        return audit(*models, **settings, **short)


@pytest.fixture(autouse=True)
def only_for_the_test():
    yield
    backbones._ARCHITECTURES.reset()
    sources.SOURCES.reset()


@pytest.mark.parametrize("page", PAGES)
def test_examples(page, workplace, given, tmp_path, monkeypatch, capsys):
    shutil.copytree(workplace, tmp_path / "work")
    (tmp_path / "work" / "runs").mkdir()
    shutil.move(tmp_path / "run", tmp_path / "work" / "runs" / "baseline")
    if page == "report.md":
        shutil.move(tmp_path / "done", tmp_path / "work" / "audit")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(fairvision, "audit", short_audit, raising=False)
    for block in PAGES[page]:
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, dict(given), page, page, 0)
            flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
            assert doctest.DocTestRunner(optionflags=flags).run(test).failed == 0
            continue
        lacking = [reason for start, reason in ELSEWHERE.items() if block.startswith(start)]
        tree = ast.parse(block, page)
        if lacking:
            imports = (ast.Import, ast.ImportFrom)
            tree.body = [node for node in tree.body if isinstance(node, imports)]
        if "no extra installs" not in "".join(lacking):
            exec(compile(tree, page, "exec"), given)


def test_only_blocks_that_are_there_are_left_out() -> None:
    blocks = [block for page in PAGES.values() for block in page]
    assert all(any(block.startswith(start) for block in blocks) for start in ELSEWHERE)
