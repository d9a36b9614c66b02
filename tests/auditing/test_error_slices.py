"""Slices of an audit's images: a planted one is found, tables and sheets fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import audit
from fairvision.auditing.error_slices import find_slices
from fairvision.errors import InputError

N, PLANTED = 800, 100
ODD = np.arange(N) < PLANTED

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with captions, an audit of predictions on it, and features."""
    folder = tmp_path_factory.mktemp("made")
    data = folder / "data"
    data.mkdir()
    random = np.random.default_rng(0)
    ids = [f"i{i}" for i in range(N)]
    groups = np.array(["female", "male"])[random.integers(0, 2, N)]
    wrong = random.random(N) < np.where(ODD, 0.6, 0.1)
    answers = np.where(wrong, np.where(groups == "male", "female", "male"), groups)
    captions = np.where(ODD, "somebody at dusk", "somebody in a street")
    for name, colour in (("dark", 40), ("light", 220)):
        Image.new("RGB", (8, 8), (colour,) * 3).save(data / f"{name}.png")
    rows = {"id": ids, "image": np.where(ODD, "dark.png", "light.png"), "split": "test"}
    rows |= {"gender": groups, "captions": captions}
    pd.DataFrame(rows).assign(mask=None).to_csv(data / "samples.csv", index=False)
    described = {"name": "dusk", "attributes": {"gender": ["female", "male"]}, "tasks": {}}
    (data / "dataset.json").write_text(json.dumps(described))
    predicted = pd.DataFrame({"id": ids, "predicted/gender": answers})
    predicted.to_csv(folder / "model.csv", index=False)
    features = random.normal(size=(N, 6)) + 4 * ODD[:, None]
    table = pd.DataFrame(features, columns=[f"f{i}" for i in range(6)])
    table.assign(id=ids).sample(frac=1, random_state=0).to_parquet(folder / "features.parquet")
    audit(predictions=folder / "model.csv", data=data, output=folder / "audit", replicates=20)
    return folder


def test_a_planted_slice_is_drawn(made: Path, tmp_path: Path, run_cli: Any) -> None:
    arguments = ["slices", made / "audit", "--features", made / "features.parquet"]
    arguments += ["--data", made / "data", "-o", tmp_path / "slices"]
    result = run_cli(*arguments)
    assert result.code == 0, result.err
    assert "confirmed on pictures of the other half" in result.out
    table = pd.read_csv(tmp_path / "slices" / "slices.csv")
    first = table.iloc[0]
    assert first["confirmed"]
    assert (first["model"], first["about"]) == ("model", "gender")
    assert first["error"] > 2 * first["error_elsewhere"]
    words = pd.read_csv(tmp_path / "slices" / "words.csv")
    assert set(words[words["confirmed"]]["word"]) == {"at", "dusk"}
    listed = json.loads((tmp_path / "slices" / "slices.json").read_text())["slices"]
    assert len(listed) == len(table)
    odd = {f"i{i}" for i in range(PLANTED)}
    assert len(odd & set(listed[0]["ids"])) > 0.9 * len(listed[0]["ids"])
    for entry in listed:
        with Image.open(tmp_path / "slices" / entry["file"]) as sheet:
            assert sheet.mode == "RGB"
    page = (tmp_path / "slices" / "slices.html").read_text()
    confirmed, rest = page.split("<h2>Words")[0], page.split("<h2>Words")[1]
    assert f"{sum(entry['confirmed'] for entry in listed)} of {len(listed)} slice" in confirmed
    assert all(f'src="{entry["file"]}"' in confirmed for entry in listed)
    assert ">dusk<" in rest
    assert run_cli(*arguments).code == 2
    assert run_cli(*arguments, "--overwrite", "--json").code == 0


def test_features_of_runs(two_runs: Any, tmp_path: Path) -> None:
    audit(two_runs, output=tmp_path / "audit", replicates=5, leaning=False, sanity=False, swaps=0)
    folder = find_slices(tmp_path / "audit", two_runs, output=tmp_path / "slices")
    assert (folder / "slices.csv").is_file()
    with pytest.raises(InputError, match="audited 2 models"):
        find_slices(tmp_path / "audit", two_runs[:1], output=tmp_path / "other")
    with pytest.raises(InputError, match="give the runs in the order of"):
        find_slices(tmp_path / "audit", two_runs[::-1], output=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_ids_that_are_names_of_files_are_met(made: Path, tmp_path: Path) -> None:
    """As an audit of tables meets them: leaving out folders and suffixes."""
    for name in ("model.csv", "features.parquet"):
        table = pd.read_csv(made / name) if name == "model.csv" else pd.read_parquet(made / name)
        table.assign(id=table["id"] + ".jpg").to_csv(tmp_path / f"{name}.csv", index=False)
    where: dict[str, Any] = {"data": made / "data"}
    audit(
        predictions={"model": tmp_path / "model.csv.csv"},
        output=tmp_path / "audit", replicates=5, **where,
    )  # fmt: skip
    folder = find_slices(
        tmp_path / "audit", features=tmp_path / "features.parquet.csv",
        output=tmp_path / "slices", **where,
    )  # fmt: skip
    assert pd.read_csv(folder / "slices.csv")["confirmed"].any()


def test_what_is_wrong_is_said(made: Path, tmp_path: Path) -> None:
    where: dict[str, Any] = {"output": tmp_path / "slices", "data": made / "data"}
    with pytest.raises(InputError, match="give either the runs"):
        find_slices(made / "audit", **where)
    table = pd.read_parquet(made / "features.parquet")
    for changed, message in (
        (table[table["id"] != "i3"], "no features of picture 'i3'"),
        (table.assign(f0="x"), "'f0' holds no numbers"),
        (pd.concat([table, table]), "twice"),
        (table[["id"]], "no column of features"),
    ):
        changed.to_csv(tmp_path / "changed.csv", index=False)
        with pytest.raises(InputError, match=message):
            find_slices(made / "audit", features=tmp_path / "changed.csv", **where)
    with pytest.raises(InputError, match="--data"):
        find_slices(made / "audit", features=made / "features.parquet", output=tmp_path / "slices")
    assert not (tmp_path / "slices").exists()
