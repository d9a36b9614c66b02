"""Consistency: networks whose reason is known, tables, and what counterfactuals take no part in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fairvision
from fairvision import datasets
from fairvision.auditing import streaming
from fairvision.auditing.counterfactuals import ask
from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.runs import load
from fairvision.runs.model import as_model
from fairvision.schema import Schema

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
SIZE, CPU = 32, torch.device("cpu")
BOTH = ("counterfactual_flips", "counterfactual_misses")


@dataclass
class Seer:
    """A model that is told what an image shows, and answers by a part of it."""

    name: str
    schema: Schema
    shows: dict[bytes, dict[str, Any]]
    answer: Callable[[dict[str, Any]], dict[str, str]]
    size: int = SIZE
    device: torch.device = CPU
    module: None = None

    def predict(self, images):
        rows = [self.shows.get(key(image)) for image in images]
        scores = {}
        for head in self.schema:
            labels = self.schema.labels(head)
            values = np.full((len(rows), len(labels)), 1 / len(labels), np.float32)
            for i, row in enumerate(rows):
                if row is not None:
                    values[i] = [label == self.answer(row)[head] for label in labels]
            scores[head] = torch.from_numpy(values)
        return scores


def key(image):
    return (image * 255).round().byte().numpy().tobytes()


@pytest.fixture(scope="module", params=[2, 3])
def drawn(request, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("drawn") / "scenes"
    return datasets.scenes(
        folder, count=60, bias=0.7, groups=request.param, size=SIZE, seed=2, counterfactuals=True
    )


@pytest.fixture(scope="module")
def seers(drawn) -> list[Seer]:
    """One that looks at the shirt only, one at the place only; both know the place."""
    pixels = datasets.open_pixels(drawn, SIZE)
    (batch,) = datasets.batches(drawn, pixels, len(drawn))
    rows = drawn.samples.to_dict("records")
    shows = {key(image): row for image, row in zip(batch.images, rows, strict=True)}
    shirts, places = drawn.attributes["shirt"], drawn.tasks["context"].labels

    def by_place(row):
        return {"shirt": shirts[places.index(row["context"]) // 2], "context": row["context"]}

    def by_shirt(row):
        return {"shirt": row["shirt"], "context": places[2 * shirts.index(row["shirt"])]}

    return [
        Seer("shirt", drawn.schema, shows, by_shirt),
        Seer("place", drawn.schema, shows, by_place),
    ]


@pytest.fixture(scope="module")
def done(drawn, seers, tmp_path_factory):
    return fairvision.audit(
        seers,
        data=drawn.root,
        output=tmp_path_factory.mktemp("audits") / "audit",
        attribution="occlusion",
        leaning=False,
        replicates=200,
    )


def figures(table, model, **keys) -> pd.DataFrame:
    keys = {"model": model, "attribute": "", "task": "", "group": "", "label": "", **keys}
    chosen = table[table["metric"].isin(BOTH)]
    for name, value in keys.items():
        chosen = chosen[chosen[name] == value]
    return chosen.set_index("metric")


def test_who_looks_at_the_shirt_and_who_at_the_place(done, drawn):
    test = drawn.split("test")
    made, originals = test.counterfactuals().samples, test.originals()
    places, shirts = drawn.tasks["context"].labels, drawn.attributes["shirt"]
    typical = {
        row["id"]: shirts[places.index(row["context"]) // 2] == row["shirt"]
        for row in originals.samples.to_dict("records")
    }
    of_typical = made["counterfactual_of"].map(typical)
    moved, dressed = (made["changed"] == head for head in ("context", "shirt"))
    by_shirt = figures(done.metrics, "shirt", attribute="shirt")
    assert by_shirt["value"].tolist() == [0, 0]
    assert by_shirt["n"].tolist() == [moved.sum(), dressed.sum()]
    by_place = figures(done.metrics, "place", attribute="shirt")
    assert by_place["value"].tolist() == [1, 1]
    assert by_place["n"].tolist() == [(moved & of_typical).sum(), (dressed & of_typical).sum()]
    change = figures(done.metrics, "place - shirt", attribute="shirt")
    assert change["value"].tolist() == [1, 1]
    assert (change["unit"] == "difference").all()
    for name, thing in zip(BOTH, ("context", "shirt")):
        of_thing = figures(done.metrics, "place", attribute="shirt", label=thing)
        assert of_thing["n"].to_dict() == {name: by_place["n"][name]}


def test_the_task_is_asked_too(done, drawn):
    """Of `context` the places change and the shirts do not; one answers by them, one by shirts."""
    by_place = figures(done.metrics, "place", task="context")
    assert by_place["value"].tolist() == [0, 0]
    by_shirt = figures(done.metrics, "shirt", task="context")
    assert by_shirt["value"].tolist() == [1, 1]
    groups = drawn.attributes["shirt"]
    of_groups = [
        figures(done.metrics, "place", attribute="shirt", task="context", group=group)
        for group in groups
    ]
    assert sum(of["n"] for of in of_groups).tolist() == by_place["n"].tolist()


def test_groups_add_up(done, drawn):
    for model in ("shirt", "place"):
        whole = figures(done.metrics, model, attribute="shirt")
        parts = [
            figures(done.metrics, model, attribute="shirt", group=group)
            for group in drawn.attributes["shirt"]
        ]
        assert sum(part["n"] for part in parts).tolist() == whole["n"].tolist()


def test_originals_are_drawn_again_not_pairs(done, drawn):
    """All flips are 0: the exact interval is that of as many originals as there are."""
    originals = len(drawn.split("test").originals())
    high = figures(done.metrics, "shirt", attribute="shirt")["high"]["counterfactual_flips"]
    assert high == pytest.approx(1 - 0.025 ** (1 / originals))


def test_they_are_in_no_other_figure(done, drawn, seers, tmp_path):
    """A dataset without them has the same table, but for consistency."""
    plain = datasets.scenes(
        tmp_path / "plain",
        count=60,
        bias=0.7,
        groups=len(drawn.attributes["shirt"]),
        size=SIZE,
        seed=2,
    )
    without = fairvision.audit(
        seers,
        data=plain.root,
        output=tmp_path / "audit",
        attribution="occlusion",
        leaning=False,
        replicates=200,
    )
    rest = done.metrics[~done.metrics["metric"].isin(BOTH)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without.metrics)
    for name in ("shirt/samples.parquet", "train.parquet"):
        ours, theirs = (pd.read_parquet(audit.folder / name) for audit in (done, without))
        pd.testing.assert_frame_equal(ours, theirs)
    assert not (without.folder / "shirt" / "counterfactuals.parquet").exists()


def test_the_page_has_them(done):
    page = done.report.read_text()
    assert "What it says when one thing is changed" in page
    assert "Answers on shirt that turn with something else" in page


def test_answers_are_written_and_checked(done, drawn, tmp_path):
    path = done.folder / "place" / "counterfactuals.parquet"
    table = pd.read_parquet(path)
    made = drawn.split("test").counterfactuals().samples
    for column in ("id", "counterfactual_of", "changed", "shirt", "context"):
        assert table[column].tolist() == made[column].tolist()
    again = fairvision.audit(
        predictions=[done.folder / name / "samples.parquet" for name in ("shirt", "place")],
        train=done.folder / "train.parquet",
        output=tmp_path / "again",
        replicates=200,
    )
    ours, theirs = (a.metrics[a.metrics["metric"].isin(BOTH)] for a in (done, again))
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True))


class TestTables:
    """Predictions made elsewhere, with the columns, or with a dataset that has them."""

    @pytest.fixture
    def table(self) -> pd.DataFrame:
        """Four originals, all right but the last; each moved, and the first two made the other."""
        rows = [
            ("a", "f", None, None, 0.9),
            ("b", "m", None, None, 0.1),
            ("c", "f", None, None, 0.8),
            ("d", "m", None, None, 0.7),
            ("a1", "f", "a", "place", 0.6),
            ("a2", "f", "a", "place", 0.4),
            ("b1", "m", "b", "place", 0.2),
            ("c1", "f", "c", "place", 0.9),
            ("d1", "m", "d", "place", 0.1),
            ("a3", "m", "a", "gender", 0.9),
            ("b2", "f", "b", "gender", 0.8),
        ]
        columns = ["id", "gender", "counterfactual_of", "changed", "score/gender/f"]
        made = pd.DataFrame(rows, columns=columns)
        return made.assign(**{"score/gender/m": 1 - made["score/gender/f"]})

    def check(self, rows, n=4):
        whole = figures(rows, "t", attribute="gender")
        assert whole["value"].tolist() == [pytest.approx(0.5 / 3), 0.5]
        assert whole["n"].tolist() == [4, 2]
        accuracy = rows[(rows["metric"] == "accuracy") & (rows["group"] == "")].iloc[0]
        assert (accuracy["value"], accuracy["n"]) == (0.75, n)

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_columns_in_the_table(self, table, tmp_path, kind):
        path = tmp_path / f"t.{kind}"
        table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
        done = fairvision.audit(predictions=path, output=tmp_path / "audit", attributes=["gender"])
        self.check(done.metrics)
        again = fairvision.audit(
            predictions=done.folder / "t" / "samples.parquet", names=["t"], output=tmp_path / "b"
        )
        self.check(again.metrics)

    def test_two_tables_in_another_order(self, table, tmp_path):
        table.to_parquet(tmp_path / "t.parquet")
        table.iloc[::-1].to_parquet(tmp_path / "u.parquet")
        files = [tmp_path / "t.parquet", tmp_path / "u.parquet"]
        done = fairvision.audit(predictions=files, output=tmp_path / "audit", attributes=["gender"])
        self.check(done.metrics)
        change = figures(done.metrics, "u - t", attribute="gender")
        assert change["value"].tolist() == [0, 0]

    def test_a_dataset_that_says_so(self, table, tmp_path):
        (tmp_path / "data").mkdir()
        samples = table[["id", "gender", "counterfactual_of", "changed"]].assign(split="test")
        samples["image"] = samples["id"] + ".png"
        samples.to_csv(tmp_path / "data" / "samples.csv", index=False)
        (tmp_path / "data" / "dataset.json").write_text('{"attributes": {"gender": ["f", "m"]}}')
        for name in samples["image"]:
            (tmp_path / "data" / name).touch()
        scores = table[["id", "score/gender/f", "score/gender/m"]]
        scores = scores.assign(id=scores["id"] + ".jpg")
        scores.to_csv(tmp_path / "t.csv", index=False)
        done = fairvision.audit(
            predictions=tmp_path / "t.csv", data=tmp_path / "data", output=tmp_path / "audit"
        )
        self.check(done.metrics)

    def test_too_large_to_be_held(self, table, tmp_path, monkeypatch):
        monkeypatch.setattr(streaming, "LIMIT", 3)
        table.to_parquet(tmp_path / "t.parquet")
        with pytest.warns(match="counterfactuals"):
            done = fairvision.audit(
                predictions=tmp_path / "t.parquet",
                output=tmp_path / "audit",
                attributes=["gender"],
            )
        accuracy = done.metrics[done.metrics["metric"] == "accuracy"].iloc[0]
        assert (accuracy["value"], accuracy["n"]) == (0.75, 4)
        assert not done.metrics["metric"].isin(BOTH).any()

    @pytest.mark.parametrize(
        ("column", "row", "value", "message"),
        [
            ("counterfactual_of", 4, "q", r"t.csv row 5 \(id 'a1'\), column 'counterf.*'q' is no"),
            ("counterfactual_of", 4, "a1", "is the row itself"),
            ("counterfactual_of", 4, "a2", "is a counterfactual itself, of 'a'"),
            ("changed", 4, None, "is empty: name what was changed"),
            ("split", 4, "val", "is in split 'test', and this in 'val'"),
        ],
    )
    def test_bad_rows_are_named(self, table, tmp_path, column, row, value, message):
        table["split"] = "test"
        table.loc[row, column] = value
        table.to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(InputError, match=message):
            fairvision.audit(
                predictions=tmp_path / "t.csv", output=tmp_path / "audit", attributes=["gender"]
            )
        assert not (tmp_path / "audit").exists()

    def test_without_changed(self, table, tmp_path):
        table.drop(columns="changed").to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(InputError, match="no column 'changed'"):
            fairvision.audit(
                predictions=tmp_path / "t.csv", output=tmp_path / "audit", attributes=["gender"]
            )


def test_a_run_is_asked_whole(world, two_runs):
    """What `ask` says of any images is what the network says of them."""
    run, tested = load(two_runs[0]), datasets.load(world).split("test")
    model = as_model(run)
    asked = ask(model, tested, batch_size=7)
    pixels = datasets.open_pixels(tested, run.size)
    (batch,) = datasets.batches(tested, pixels, len(tested))
    expected = model.predict(batch.images)
    for head in tested.schema:
        assert asked.probabilities("score", head) == pytest.approx(expected[head].numpy(), abs=1e-5)
    assert not [column for column in asked.scores if not column.startswith("score/")]


def test_training_never_sees_them(drawn, tmp_path):
    """Counterfactuals of training images are in no batch, and change nothing of a run."""
    plain, moved = tmp_path / "plain", tmp_path / "moved"
    how = {"epochs": 1, "size": 16, "model": "lecture_cnn", "device": "cpu", "quiet": True}
    samples = drawn.originals().samples.drop(columns=["counterfactual_of", "changed"])
    extra = samples[samples["split"] != "test"].copy()
    extra["counterfactual_of"], extra["changed"] = extra["id"], "shirt"
    extra["id"] += "x"
    extra["shirt"] = drawn.attributes["shirt"][0]
    weights = []
    for folder, table in ((plain, samples), (moved, pd.concat([samples, extra]))):
        shutil.copytree(drawn.root, folder)
        (folder / "samples.parquet").unlink()
        table.to_csv(folder / "samples.csv", index=False)
    for folder in (plain, moved):
        run = fairvision.train(folder, output=folder.with_suffix(".run"), **how)
        weights.append((run.folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
