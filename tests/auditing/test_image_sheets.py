from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import datasets
from fairvision.auditing import audit
from fairvision.auditing.image_sheets import image_sheets
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def audited(two_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited") / "audit"
    audit(two_runs, output=folder, replicates=20, leaning=False)
    return folder


@pytest.fixture(scope="module")
def exported(audited, two_runs, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported") / "pictures"
    return image_sheets(audited, two_runs, output=output, per_cell=3)


def listed(folder):
    return json.loads((folder / "pictures.json").read_text())["pictures"]


def test_every_cell_has_its_sheets(exported, audited):
    found = listed(exported)
    metrics = pd.read_csv(audited / "metrics.csv")
    shares = metrics[(metrics["metric"] == "reasons") & metrics["group"].isna()]
    for model in "AB":
        for cell in shares["label"].unique():
            share = shares[(shares["model"] == model) & (shares["label"] == cell)].iloc[0]
            there = [p for p in found if (p["model"], p["cell"]) == (model, cell)]
            assert len(there) == min(3, round(share["value"] * share["n"]))
            stem = cell.replace(", ", "-").replace(" ", "-")
            assert (exported / model / "shirt" / f"{stem}.png").is_file() == bool(there)
    drawn = {p.relative_to(exported).as_posix() for p in exported.rglob("[0-9]*.png")}
    assert drawn == {p["file"] for p in found}
    assert len(drawn) == len(found) > 6
    with Image.open(exported / found[0]["file"]) as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 3 * 400


def test_figures_are_those_of_the_audit(exported, audited):
    for model in "AB":
        table = pd.read_parquet(audited / model / "samples.parquet").set_index("id")
        for entry in listed(exported):
            if entry["model"] != model:
                continue
            row = table.loc[entry["id"]]
            for name in ("relevance_mass", "pointing_game"):
                value = row[f"evidence/hirescam/{name}"]
                assert entry[name] == (None if np.isnan(value) else value)
            assert entry["holds"] == row["holds/shirt"]
            assert entry["chance"] == row["evidence/chance"]
            assert entry["probability"] == row[f"score/shirt/{entry['answer']}"]
            assert entry["group"] == row["shirt"]
            assert entry["cell"].startswith("right") == (entry["answer"] == entry["group"])


def test_the_same_call_writes_the_same_bytes(exported, audited, two_runs, tmp_path):
    again = image_sheets(audited, two_runs, output=tmp_path / "again", per_cell=3)
    names = sorted(p.relative_to(exported) for p in exported.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    for name in names:
        assert (exported / name).read_bytes() == (again / name).read_bytes()


def test_another_place_of_the_data(audited, two_runs, world, tmp_path):
    moved = shutil.copytree(world, tmp_path / "moved")
    folder = image_sheets(audited, two_runs, output=tmp_path / "out", per_cell=1, data=moved)
    assert listed(folder)


def test_runs_in_another_order_are_refused(audited, two_runs, tmp_path):
    with pytest.raises(InputError, match="does not answer as 'A' did"):
        image_sheets(audited, two_runs[::-1], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_few_runs_are_refused(audited, two_runs, tmp_path):
    with pytest.raises(InputError, match=r"audited 2 models \(A, B\): give their runs"):
        image_sheets(audited, two_runs[:1], output=tmp_path / "out")


def test_changed_images_are_refused(audited, two_runs, world, tmp_path):
    moved = shutil.copytree(world, tmp_path / "moved")
    for path in (moved / "images").iterdir():
        Image.new("RGB", (32, 32), "red").save(path)
    with pytest.raises(InputError, match="the same pictures"):
        image_sheets(audited, two_runs, output=tmp_path / "out", data=moved)


def test_other_images_are_refused(audited, two_runs, tmp_path):
    small = datasets.scenes(tmp_path / "small", count=20, bias=0.8, groups=3, size=32)
    with pytest.raises(InputError, match=r"'striped', but .*small says 'dotted' for the same id"):
        image_sheets(audited, two_runs, output=tmp_path / "out", data=small.root)


def test_an_audit_of_tables_has_no_networks(audited, two_runs, tmp_path):
    folder = tmp_path / "tables"
    tables = [audited / model / "samples.parquet" for model in "AB"]
    audit(predictions=tables, output=folder, replicates=5)
    with pytest.raises(InputError, match="audit of tables"):
        image_sheets(folder, two_runs, output=tmp_path / "out")


def test_without_masks_there_is_nothing_to_show(world, draw_run, tmp_path):
    plain = shutil.copytree(world, tmp_path / "plain")
    dataset = datasets.load(plain)
    dataset.samples["mask"] = None
    datasets.save(dataset, plain)
    run = draw_run(tmp_path / "run", plain)
    audit(run, output=tmp_path / "audit", replicates=5, leaning=False)
    with pytest.raises(InputError, match="no reasons: it takes pictures with masks"):
        image_sheets(tmp_path / "audit", [run], output=tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("text", ["{}", "[]", '{"models": "A", "settings": 3}'])
def test_damaged_description(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        image_sheets(tmp_path, ["run"], output=tmp_path / "out")


@pytest.mark.parametrize("name", ["../elsewhere", "/etc"])
def test_models_lie_inside_the_audit(tmp_path, name):
    settings = {"attribution": "gradcam", "split": "test", "runs": [{}]}
    (tmp_path / "audit.json").write_text(json.dumps({"models": [name], "settings": settings}))
    with pytest.raises(InputError, match="leaves its folder"):
        image_sheets(tmp_path, ["run"], output=tmp_path / "out")
