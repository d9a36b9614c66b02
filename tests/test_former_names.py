"""Scripts that were written for 0.1.0 work: the names of then are there, and warn."""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision.core.moved import MOVED
from fairvision.datasets import Dataset, Task
from fairvision.inference.confidence import Familiarity
from fairvision.results.verdict import Answer, Verdict
from fairvision.runs.thresholds import Rule


@pytest.mark.parametrize(
    ("module", "name", "today"),
    [
        ("attribution.curves", "curves", "attribution.faithfulness.curves"),
        ("attribution.options", "PRECISIONS", "attribution.explained.PRECISIONS"),
        (
            "attribution.together",
            "answers_and_gradcam",
            "attribution.one_pass.logits_and_maps",
        ),
        ("auditing.pictures", "pictures", "auditing.image_sheets.image_sheets"),
        ("auditing.schema", "Schema", "schema.Schema"),
        ("datasets.batching", "picture_tensor", "datasets.image_tensor"),
        ("datasets.caption_words", "perceived_gender", "datasets.readers.coco.perceived_gender"),
        ("datasets.decoding", "resize", "datasets.pixels.resize"),
        ("datasets.folder", "Task", "datasets.Task"),
        ("datasets.folder", "UNKNOWN", "schema.UNKNOWN"),
        ("inference", "picture_files", "inference.image_files"),
        ("methods.heads", "Terms", "methods.Terms"),
        ("models.checkpoints", "read_tensors", "models.weights.read_tensors"),
        ("training.allocation", "keep_freed_memory", "training.processes.keep_freed_memory"),
        ("training.loop", "Learner", "training.steps.Learner"),
        ("unfinished", "unfinished", "core.files.unfinished"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_names_of_then(module: str, name: str, today: str) -> None:
    home, _, new_name = today.rpartition(".")
    new = getattr(import_module(f"fairvision.{home}"), new_name)
    assert getattr(import_module(f"fairvision.{module}"), name) is new


def test_names_of_modules_warn() -> None:
    folder = import_module("fairvision.datasets.folder")
    with pytest.warns(FutureWarning, match=r"folder\.Task is called fairvision\.schema\.Task now"):
        assert folder.Task is Task
    with pytest.raises(AttributeError, match=r"'fairvision\.datasets\.folder' has no .* 'never'"):
        _ = folder.never


def test_what_has_moved_is_no_longer_where_it_was() -> None:
    package = Path(str(util.find_spec("fairvision").submodule_search_locations[0])).parent
    for old in MOVED:
        path = package.joinpath(*old.split("."))
        assert not path.is_dir(), old
        assert not path.with_suffix(".py").exists(), old


def familiarity() -> Any:
    numbers = {"head": 0.5}
    return Familiarity("val", 9, 5, {"head": 4}, numbers, numbers, numbers, None, np.ones(1))


@pytest.mark.parametrize(
    ("thing", "old", "new"),
    [
        (familiarity(), "known", "annotated"),
        (familiarity(), "confidence", "mean_probability"),
        (familiarity(), "sure", "calibrated"),
        (familiarity(), "farther_than", "distance_percentile"),
        (Rule("gender", {}, 3, 4), "known", "with_group"),
        (Rule("gender", {}, 3, 4), "pictures", "images"),
    ],
)
def test_attributes_of_then(thing: Any, old: str, new: str) -> None:
    with pytest.warns(FutureWarning, match=rf"\.{old} is called {new} now"):
        assert getattr(thing, old) == getattr(thing, new)
    with pytest.raises(AttributeError, match="never"):
        _ = thing.never


def test_arguments_of_then() -> None:
    inference = import_module("fairvision.inference")
    image = Image.new("RGB", (28, 28))
    with pytest.warns(FutureWarning, match="'pictures' is called 'images' now"):
        assert inference.as_batch(pictures=[image], size=8, device="cpu").shape == (1, 3, 8, 8)
    with pytest.warns(FutureWarning, match="'run' is called 'model' now"):
        assert not inference.prepares_digits(run=None, prepare="none")


def test_a_verdict_is_read_like_the_dictionary_of_then() -> None:
    verdict: Any = Verdict("No bias shown.", (Answer("Is it?", "No.", "no"),), ("this",))
    with pytest.warns(FutureWarning, match=r"Verdict\['headline'\] is called \.headline now"):
        assert verdict["headline"] == verdict.headline
    with pytest.warns(FutureWarning):
        assert verdict["answers"][0]["answer"] == "No."
    with pytest.warns(FutureWarning):
        assert verdict["left_out"] + ["that"] == ["this", "that"]
    with pytest.warns(FutureWarning):
        assert dict(verdict) == verdict.as_json()
    assert list(verdict) == ["headline", "answers", "left_out", "warnings"]
    with pytest.warns(FutureWarning):
        assert "headline" in verdict
    assert verdict.get("verdict") is None
    with pytest.warns(FutureWarning):
        assert verdict.answers[0]["status"] == "no"


def test_codes_follow_a_table_that_is_changed() -> None:
    """As in 0.1.0, where they were made whenever they were asked for."""
    table = pd.DataFrame(
        {
            "id": ["1", "2"],
            "split": ["train", "test"],
            "gender": ["f", "m"],
            "objects": [("ski",), None],
        }
    )
    attributes, tasks = {"gender": ("f", "m")}, {"objects": Task(("ski", "cap"), True)}
    data = Dataset(Path(), "two", attributes, tasks, table)
    assert data.codes("gender").tolist() == [0, 1]
    assert data.targets("objects").tolist() == [[1, 0], [-1, -1]]
    data.samples["gender"] = ["m", "f"]
    assert data.codes("gender").tolist() == [1, 0]
    data.samples.loc[0, "gender"] = None
    data.samples["objects"] = [("ski",), ("cap", "ski")]
    assert data.codes("gender").tolist() == [-1, 0]
    assert data.split("test").targets("objects").tolist() == [[1, 1]]
    data.codes("gender")[:] = 7
    assert data.codes("gender").tolist() == [-1, 0]
