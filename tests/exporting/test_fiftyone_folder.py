"""The folder that FiftyOne reads: its layout, and that it says what the audit says."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairvision import audit, datasets
from fairvision.auditing import streaming
from fairvision.errors import InputError
from fairvision.exporting import export
from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS

FIELDS = {"filepath", "tags", "audit_id", "person"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "scenes"
    datasets.scenes(folder, count=60, bias=0.8, groups=2, size=32, seed=1)
    return datasets.load(folder)


@pytest.fixture(scope="module")
def table(world):
    """What a model says of the test images, with swaps and evidence, and one answer missing."""
    generator = np.random.default_rng(0)
    tested = world.split("test")
    (attribute, groups), n = next(iter(world.attributes.items())), len(tested)
    table = pd.DataFrame({"id": tested.samples["id"]})
    for head, labels in world.schema.heads.items():
        scores = generator.dirichlet(np.ones(len(labels)), n)
        scores[0] = np.nan
        table[[f"score/{head}/{label}" for label in labels]] = scores
    table[f"holds/{attribute}"] = generator.random(n).round(2)
    table["evidence/hirescam/pointing_game"] = generator.integers(2, size=n).astype(float)
    table.loc[1, "evidence/hirescam/pointing_game"] = np.nan
    assert len(groups) == 2
    return table


@pytest.fixture(scope="module")
def finished(world, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fiftyone")
    table.to_parquet(folder / "a.b.parquet")
    table.to_parquet(folder / "B.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audit(
            predictions=[folder / "a.b.parquet", folder / "B.parquet"],
            names=["a.b", "_B"],
            data=world.root,
            output=folder / "audit",
            replicates=10,
        )
    return folder / "audit"


@pytest.fixture
def written(finished, world, tmp_path):
    export(finished, to="fiftyone", data=world.root, output=tmp_path / "out")
    read = [
        json.loads((tmp_path / "out" / f"{n}.json").read_text()) for n in ("metadata", "samples")
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metadata.json", "samples.json"}
    return read


def test_every_image_with_truth_and_answers(written, world, table):
    about, samples = written[0], written[1]["samples"]
    tested = world.split("test")
    (attribute, groups) = next(iter(world.attributes.items()))
    assert [sample["audit_id"] for sample in samples] == tested.samples["id"].tolist()
    for sample, truth in zip(samples, tested.samples[attribute]):
        assert Path(sample["filepath"]).is_file()
        assert Path(sample["person"]["mask_path"]).is_file()
        assert sample["tags"] == ["test"]
        expected = {"_cls": "Classification", "label": truth, "confidence": None}
        assert sample[f"truth_{attribute}"] == expected
    scores = table[[f"score/{attribute}/{group}" for group in groups]].to_numpy()
    assert f"a_b_{attribute}" not in samples[0]  # no answer
    for row, sample in list(enumerate(samples))[1:]:
        best = scores[row].argmax()
        answer = sample[f"a_b_{attribute}"]
        assert answer["label"] == groups[best]
        assert answer["confidence"] == pytest.approx(scores[row, best])
        assert sample[f"a_b_{attribute}"] == sample[f"B_{attribute}"]
        is_right = tested.samples[attribute][row] == groups[best]
        assert sample[f"a_b_{attribute}_right"] is bool(is_right)
        assert sample[f"a_b_{attribute}_reason"] in REASONS
        assert sample[f"a_b_{attribute}_reason"].startswith("right" if is_right else "wrong")
        assert sample[f"a_b_{attribute}_holds"] == table[f"holds/{attribute}"][row]
    cell = samples[2][f"a_b_{attribute}_evidence"]
    assert cell in EVIDENCE_CELLS
    assert f"a_b_{attribute}_evidence" not in samples[1]  # a map without evidence
    assert about["info"]["fields"][f"a_b_{attribute}_reason"] == f"a.b {attribute} reason"
    names = {name for sample in samples for name in sample} - FIELDS
    assert names == {*about["info"]["fields"]}
    assert all(name.isidentifier() and not name.startswith("_") for name in names)


def test_the_command_takes_relative_paths(finished, world, tmp_path, run_cli, monkeypatch):
    monkeypatch.chdir(finished.parent)
    out = tmp_path / "out"
    done = run_cli("export", "audit", "--to", "fiftyone", "--data", world.root, "-o", out)
    assert (done.code, done.out) == (0, f"fiftyone: {out}\n"), done.err


def test_labels_of_which_many_hold(tmp_path, world):
    root = tmp_path / "data"
    shutil.copytree(world.root, root)
    described = json.loads((root / "dataset.json").read_text())
    described["tasks"] = {"seen": {"labels": ["cap", "kite"], "many": True}}
    (root / "dataset.json").write_text(json.dumps(described))
    (file,) = root.glob("samples.*")
    samples = world.samples[["id", "image", "mask", "split", *world.attributes]]
    cells = [["cap"], [], ["cap", "kite"]] * (len(samples) // 3) + [["kite"]] * (len(samples) % 3)
    samples.assign(seen=cells).to_parquet(root / "samples.parquet", index=False)
    if file.suffix != ".parquet":
        file.unlink()
    samples = datasets.load(root).split("test").samples
    table = pd.DataFrame({"id": samples["id"], "score/seen/cap": 0.9, "score/seen/kite": 0.2})
    table.to_parquet(tmp_path / "A.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audit(
            predictions=tmp_path / "A.parquet", data=root, output=tmp_path / "audit", replicates=5
        )
    export(tmp_path / "audit", to="fiftyone", data=root, output=tmp_path / "out")
    first, *_ = json.loads((tmp_path / "out" / "samples.json").read_text())["samples"]
    assert first["A_seen"] == {
        "_cls": "Classifications",
        "classifications": [{"_cls": "Classification", "label": "cap", "confidence": 0.9}],
    }
    labels = [label["label"] for label in first["truth_seen"]["classifications"]]
    assert labels == list(samples["seen"].iloc[0])


def test_what_cannot_be_shown_is_refused(finished, world, tmp_path, monkeypatch):
    out = {"to": "fiftyone", "output": tmp_path / "out"}
    datasets.scenes(tmp_path / "other", count=10, bias=0.5, groups=2, size=32, seed=2)
    with pytest.raises(InputError):
        export(finished, data=tmp_path / "other", **out)
    table = finished / "a.b" / "samples.parquet"
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    pd.read_parquet(table).iloc[::-1].to_parquet(copy / "a.b" / "samples.parquet")
    with pytest.raises(InputError, match="is damaged or was changed"):
        export(copy, data=world.root, **out)
    monkeypatch.setattr(streaming, "LIMIT", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audit(predictions=table, output=tmp_path / "counted", replicates=5)
    with pytest.raises(InputError, match="has no table of each picture: they were counted"):
        export(tmp_path / "counted", data=world.root, **out)
    assert not (tmp_path / "out").exists()


def test_fiftyone_reads_it(written, tmp_path):
    """Where it is installed; its samples need no database."""
    fiftyone = pytest.importorskip("fiftyone", reason="needs fiftyone")
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    importer = importers.LegacyFiftyOneDatasetImporter(str(tmp_path / "out"))
    with importer:
        samples = list(importer)
    assert len(samples) == len(written[1]["samples"])
    assert {type(sample) for sample in samples} == {fiftyone.Sample}
