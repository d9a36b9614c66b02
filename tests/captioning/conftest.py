"""Captions of two models of the same images, with labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fairvision.captioning.labels import Labels
from fairvision.captioning.material import named_objects
from fairvision.captioning.measures import ModelCaptions
from fairvision.datasets import Dataset
from fairvision.metrics import caption_genders
from fairvision.metrics.caption_words import words_for
from fairvision.schema import Schema, Task


def write_captions(path: Path, captions: dict) -> Path:
    entries = [{"image_id": image, "caption": text} for image, text in captions.items()]
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with A.json, B.json and labels.csv of 40 images, as the working folder."""
    groups = ["woman", "man", "man", "woman"] * 10
    first = ["a man on skis", "a man on skis", "a man with a tv", "a person"] * 10
    second = ["a woman on skis", "a man on skis", "a woman with a tv", "a lady"] * 10
    table = pd.DataFrame(
        {
            "image_id": range(100, 140),
            "half": ["test"] * 30 + ["val"] * 10,
            "gender": groups,
            "objects": ["skis", "skis", "tv;chair", "chair"] * 10,
        }
    )
    table.to_csv(tmp_path / "labels.csv", index=False)
    write_captions(tmp_path / "A.json", dict(zip(range(100, 140), first)))
    write_captions(tmp_path / "B.json", dict(zip(range(100, 140), second)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_labels() -> Callable[..., Labels]:
    def make(groups: list, objects: list | None = None) -> Labels:
        rows = {
            "id": [str(i) for i in range(len(groups))],
            "group": groups,
            "objects": objects or [None] * len(groups),
        }
        vocabulary = sorted({label for some in rows["objects"] for label in some or ()})
        task = "objects" if objects else ""
        tasks = {task: Task(tuple(vocabulary), many=True)} if task else {}
        named = tuple(dict.fromkeys(group for group in groups if group is not None))
        schema = Schema({"gender": named}, tasks)
        samples = pd.DataFrame({"id": pd.Series(rows["id"], dtype=object)})
        columns = {"gender": schema.column("gender", groups)}
        columns |= {task: schema.column(task, rows["objects"])} if task else {}
        data = Dataset.of_columns(schema, samples, columns, root=Path("labels.csv"), name="labels")
        return Labels(Path("labels.csv"), "gender", task, data)

    return make


@pytest.fixture
def make_said() -> Callable[..., ModelCaptions]:
    def make(model: str, captions: list[str], labels: list[str] | None = None) -> ModelCaptions:
        objects = None if labels is None else named_objects(captions, labels)
        return ModelCaptions(
            model, captions, caption_genders(captions, words_for(["woman", "man"], None)), objects
        )

    return make
