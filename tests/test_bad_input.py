"""Whatever is wrong with the input: one clear line, exit code 2, nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import datasets, runs, train
from fairvision.results.figures import read_metrics

QUICK = ("--size", 16, "--epochs", 1, "--batch-size", 8, "--device", "cpu")
SHORT = ("--replicates", 10, "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Return a folder with a dataset, `data`, and a run trained on it, `run`."""
    place = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(0)
    rows = []
    (place / "data").mkdir()
    for i in range(24):
        image = rng.integers(0, 256, (16, 12, 3), dtype=np.uint8)
        Image.fromarray(image).save(place / "data" / f"{i}.png")
        Image.fromarray(image[..., 0] > 128).save(place / "data" / f"{i}-mask.png")
        split = ("train", "train", "test")[i // 3 % 3]
        rows.append((f"p{i}", f"{i}.png", f"{i}-mask.png", split, "fmo"[i % 3], "uv"[i % 2]))
    columns = ["id", "image", "mask", "split", "gender", "place"]
    pd.DataFrame(rows, columns=columns).to_csv(place / "data" / "samples.csv", index=False)
    settings = {"attributes": {"gender": list("fmo")}, "tasks": {"place": {"labels": ["u", "v"]}}}
    (place / "data" / "dataset.json").write_text(json.dumps(settings))
    train(place / "data", output=place / "run", size=16, epochs=1, device="cpu")
    return place


@pytest.fixture
def place(good, tmp_path, monkeypatch) -> Path:
    """Return a copy of `good` that may be damaged, as the working folder, with its own cache."""
    shutil.copytree(good, tmp_path / "place")
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def refused(run_cli, place):
    """Run a command that must fail in one line and leave every file as it was."""

    def check(*arguments: object) -> str:
        before = everything(place)
        result = run_cli(*arguments)
        assert result.code == 2, result.err
        assert result.out == ""
        assert result.err.startswith("fairvision: ")
        assert result.err.count("\n") == 1
        assert len(result.err) < 500
        assert everything(place) == before
        return result.err

    return check


def everything(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.lstat().st_mtime_ns
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def cell(column, value, row=0):
    """Return a function that writes one cell of a dataset's table."""

    def write(data):
        table = pd.read_csv(data / "samples.csv", dtype=str)
        table.loc[row, column] = value
        table.to_csv(data / "samples.csv", index=False)

    return write


def file(name, content):
    """Return a function that writes one file of a folder; None takes it away."""

    def write(folder):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)

    return write


def halve(name):
    def cut(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return cut


def without_column(data):
    pd.read_csv(data / "samples.csv").drop(columns="gender").to_csv(data / "samples.csv")


def damaged_parquet(data):
    (data / "samples.csv").unlink()
    (data / "samples.parquet").write_bytes(b"PAR1 not a table PAR1")


def settings(**changes):
    def write(folder):
        path = folder / ("dataset.json" if (folder / "dataset.json").exists() else runs.CONFIG)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return write


DATASETS = {
    "missing column": (without_column, "samples.csv has no column 'gender'"),
    "unknown split": (cell("split", "dev", 4), "row 5 (id 'p4'), column 'split': 'dev' is not one"),
    "unknown group": (cell("gender", "x"), "row 1 (id 'p0'), column 'gender': 'x' is not one of"),
    "repeated id": (cell("id", "p1"), "row 2, column 'id': 'p1' is there twice"),
    "path outside": (cell("image", "../run/0.png"), "path '../run/0.png' leaves its folder"),
    "absolute path": (cell("mask", "/etc/passwd"), "path '/etc/passwd' leaves its folder"),
    "no such path": (cell("image", "a\0b"), "is missing (sample 'p0'"),
    "picture missing": (file("0.png", None), "0.png is missing (sample 'p0'"),
    "mask missing": (file("0-mask.png", None), "0-mask.png is missing (sample 'p0'"),
    "truncated": (halve("0.png"), "0.png is truncated"),
    "not a picture": (file("0.png", b"<svg/>"), "0.png is not a picture"),
    "empty picture": (file("0.png", b""), "0.png is not a picture"),
    "table not text": (file("samples.csv", b"id,\xff\n1,2\n"), "samples.csv is not text in UTF-8"),
    "table empty": (file("samples.csv", b""), "samples.csv is empty"),
    "parquet damaged": (damaged_parquet, "samples.parquet cannot be read"),
    "no table": (file("samples.csv", None), "neither samples.parquet nor samples.csv"),
    "no settings": (file("dataset.json", None), "dataset.json does not exist"),
    "settings cut": (halve("dataset.json"), "dataset.json line 1 is not valid JSON"),
    "settings deep": (file("dataset.json", b"[" * 99999), "nested too deeply"),
    "groups no list": (settings(attributes={"gender": "fmo"}), "must map a name to its groups"),
    "one group": (settings(attributes={"gender": ["f"]}), "needs at least two groups"),
}


@pytest.mark.parametrize("name", DATASETS)
def test_damaged_datasets(place, refused, name):
    damage, words = DATASETS[name]
    damage(place / "data")
    assert words in refused("train", "data", *QUICK, "-o", "out")
    assert words in refused(
        "audit", "run", "--data", "data", "--split", "train", *SHORT, "-o", "out"
    )


def test_a_mask_of_another_size(place, refused):
    Image.new("1", (12, 17)).save(place / "data" / "0-mask.png")
    for command in (
        ("train", "data", *QUICK),
        ("audit", "run", "--data", "data", "--split", "train", *SHORT),
    ):
        assert "0-mask.png is 12×17 pixels but its picture is 12×16" in refused(
            *command, "-o", "out"
        )


def test_an_empty_mask_and_odd_images_go_through(place, run_cli):
    image = Image.open(place / "data" / "0.png")
    for i, mode in enumerate(["L", "P", "CMYK", "1"]):
        image.convert(mode).save(place / "data" / f"{i}.png", format="TIFF")
    deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(place / "data" / "4.png")
    rotated = Image.Exif()
    rotated[0x0112] = 6
    image.resize((16, 12)).save(place / "data" / "5.png", format="JPEG", exif=rotated)
    Image.new("1", (12, 16)).save(place / "data" / "0-mask.png")
    assert run_cli("train", "data", *QUICK, "-o", "again").code == 0
    result = run_cli("audit", "again", "--split", "train", *SHORT, "-o", "audit")
    assert result.code == 0, result.err
    samples = pd.read_parquet(place / "audit" / "again" / "samples.parquet").set_index("id")
    shown = [column for column in samples if column.startswith(("hidden/", "evidence/chance"))]
    assert samples.loc["p1", shown].notna().all()
    assert samples.loc["p0", shown].isna().all()


def test_a_group_with_one_image_that_is_never_predicted(place, run_cli):
    table = pd.read_csv(place / "data" / "samples.csv", dtype=str)
    table.loc[table["gender"] == "o", "gender"] = None
    table.loc[[0, 6], "gender"] = "o"
    table.to_csv(place / "data" / "samples.csv", index=False)
    trained = run_cli("train", "data", *QUICK, "-o", "again")
    assert "group 'o' of 'gender' has a single training picture" in trained.err
    audited = run_cli("audit", "again", *SHORT, "-o", "audit")
    assert (trained.code, audited.code) == (0, 0)
    assert "few pictures of o (1)" in audited.err
    assert "gender: unknown for" in audited.err
    assert "again: never predicts" in audited.err
    assert all(line.startswith("warning: ") for line in audited.err.splitlines())
    metrics = pd.read_csv(place / "audit" / "metrics.csv", keep_default_na=False)
    accuracy = metrics[(metrics["metric"] == "accuracy") & (metrics["attribute"] == "gender")]
    counts = accuracy[accuracy["task"] == ""].set_index("group")["n"].astype(int)
    assert counts["o"] == 1


RUNS = {
    "half written": (file(runs.BEST, None), "run run is unfinished (no model.safetensors)"),
    "truncated weights": (halve(runs.BEST), "model.safetensors is damaged"),
    "no weights": (file(runs.BEST, b""), "model.safetensors is damaged"),
    "another network": (settings(model="resnet18"), "model.safetensors do not fit the network"),
    "another size": (settings(size=32), "model.safetensors do not fit the network"),
    "impossible size": (settings(size=3), "cannot take pictures of 3 × 3 pixels"),
    "endless size": (
        settings(size=10**9),
        "config.json is damaged: size must be a whole number from 1 to 4096",
    ),
    "no such network": (settings(model="resnet19"), "there is no network 'resnet19'"),
    "no heads": (settings(attributes={}, tasks={}), "config.json is damaged"),
    "settings cut": (halve(runs.CONFIG), "is not valid JSON"),
    "no settings": (file(runs.CONFIG, None), "run is not a run folder"),
}


@pytest.mark.parametrize("name", RUNS)
def test_damaged_runs(place, refused, name):
    damage, words = RUNS[name]
    damage(place / "run")
    assert words in refused("predict", "run", "data/0.png", "-o", "out.csv")
    assert words in refused("explain", "run", "data/0.png", "-o", "out")
    assert words in refused("audit", "run", *SHORT, "-o", "out")
    refused("train", "data", *QUICK, "--weights", "run", "-o", "out")


OPTIONS = {
    "unknown network": (("--model", "resnet19"), "there is no network 'resnet19': choose resnet1"),
    "small size": (("--size", 5), "lecture_cnn cannot take pictures of 5 × 5 pixels"),
    "endless size": (("--size", 10**9), "cannot take pictures of 1000000000 × 1000000000"),
    "unknown device": (("--device", "tpu"), "'tpu' is not one of"),
    "negative seed": (("--seed", -1), "-1 is not in the range"),
    "huge seed": (("--seed", 2**64), "is not in the range"),
    "no weights": (("--weights", "none.pth"), "weights file none.pth is not there"),
    "weights of nothing": (("--weights", "data"), "data is not a run folder"),
    "unknown option": (("--epoch", 1), "No such option"),
    "missing value": (("--epochs",), "requires an argument"),
    "two wishes": (("--resume", "--overwrite"), "choose one"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options(refused, name):
    options, words = OPTIONS[name]
    assert words in refused("train", "data", *QUICK, "-o", "out", *options)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("data", "data is not empty: choose another folder or add --overwrite"),
        ("data/0.png", "0.png is a file: choose a folder"),
        (".", "cannot be the folder you are in"),
        ("", "cannot be the folder you are in"),
        ("/proc/none/out", "/proc/none"),
        ("data/0.png/out", "data/0.png"),
        ("x" * 300, "File name too long"),
    ],
)
def test_where_nothing_can_be_written(refused, output, words):
    for command in (
        ("train", "data", *QUICK),
        ("audit", "run", *SHORT),
        ("explain", "run", "data/0.png"),
    ):
        assert words in refused(*command, "-o", output)
    assert words in refused("data", "scenes", output, "--count", 12, "--size", 16)


def test_overwrite_leaves_alone_what_another_command_wrote(refused):
    for command in (
        ("train", "data", *QUICK),
        ("audit", "run", *SHORT),
        ("explain", "run", "data/0.png"),
    ):
        error = refused(*command, "-o", "data", "--overwrite")
        assert "--overwrite does not touch it" in error


def test_sources_are_not_overwritten(refused):
    again = ("data", "csv", "data/samples.csv", "data", "--attribute", "gender", "--overwrite")
    assert "samples.csv lies in data, which would be replaced" in refused(*again)
    assert "separator is empty" in refused(
        *("data", "csv", "data/samples.csv", "out", "--many", "place", "--separator", "")
    )


def test_a_loss_that_is_not_finite_says_so(place, run_cli):
    result = run_cli("train", "data", *QUICK, "--lr", "1e30", "-o", "out")
    assert result.code == 2
    assert result.err.startswith("fairvision: ")
    assert result.err.count("\n") == 1
    assert not (place / "out" / runs.BEST).exists()


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_no_pickle_is_ever_opened(place, refused):
    torch.save({"weight": Trap()}, "trap.pth")
    pd.DataFrame({"id": [Trap()]}).to_pickle("trap.pkl")
    shutil.copy("trap.pth", place / "run" / runs.BEST)
    refused("train", "data", *QUICK, "--weights", "trap.pth", "-o", "out")
    refused("predict", "run", "data/0.png")
    refused("audit", "--predictions", "trap.pkl", "-o", "out", *SHORT)
    refused("data", "csv", "trap.pkl", "out", "--attribute", "gender")
    assert not Path("sprung").exists()


def test_a_checkpoint_with_more_than_tensors_is_not_resumed(place, refused):
    (place / "run" / runs.BEST).unlink()
    torch.save({"format": 1, "network": Trap()}, place / "run" / runs.CHECKPOINT)
    assert "last.ckpt is damaged" in refused("train", "data", "--resume", "-o", "run")
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("score/gender/f", "much", "row 1, column 'score/gender/f': 'much' is not a number"),
        ("score/gender/f", np.inf, "'inf' is not a number from 0 to 1"),
        ("id", "same", "row 2, column 'id': 'same' is there twice"),
        ("gender", "x", "row 1, column 'gender': 'x' is not one of"),
        ("split", "dev", "has no rows of split 'test'"),
    ],
)
def test_predictions_in_csv(refused, column, value, words):
    table = pd.DataFrame({"id": range(6), "split": "test", "gender": list("fm") * 3})
    table = table.assign(**{"score/gender/f": [0.9, 0.2] * 3, "score/gender/m": [0.1, 0.8] * 3})
    table.assign(**{column: value}).to_csv("table.csv", index=False)
    arguments = ("--predictions", "table.csv", "--attribute", "gender")
    error = refused("audit", *arguments, *SHORT, "-o", "out")
    assert words in error
    assert "table.csv" in error


NASTY = ("<script>alert(1)</script>", "a/b", "A - B", "100%", "=1+1", "é" * 150)


def test_nasty_names_go_the_whole_way_and_are_text_in_every_page(tmp_path, run_cli):
    place = tmp_path / "ein Ördner <b> & 'more'"
    place.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(36):
        image = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(image).save(place / f"bild ü <i>{i}.png")
        Image.fromarray(image[..., 0] > 99).save(place / f"mask {i}.png")
        split = ("train", "train", "test")[i // 6 % 3]
        name = f"../{i}\"<img src=x onerror='alert(1)'>"
        group, label = NASTY[i % 6], ("{x}", "%d", "\u202e")[i % 3]
        rows.append((name, f"bild ü <i>{i}.png", f"mask {i}.png", split, group, label))
    columns = ["id", "image", "mask", "split", "who <b>", "what & %s"]
    pd.DataFrame(rows, columns=columns).to_csv(place / "tab le.csv", index=False)
    data, run, audit = place / "dä ta", place / "run <i>", place / "au dit"
    asked = ("--attribute", "who <b>", "--task", "what & %s")
    steps = [
        ("data", "csv", place / "tab le.csv", data, *asked),
        ("data", "show", data),
        ("train", data, "--method", "equalizer", *QUICK, "-o", run),
        ("audit", run, *SHORT, "-o", audit),
        ("predict", run, place / "bild ü <i>0.png"),
        ("explain", run, place / "bild ü <i>0.png", "--group", "a/b", "-o", place / "expl"),
    ]
    for step in steps:
        result = run_cli(*step)
        assert result.code == 0, result.err
    assert set(datasets.load(data).attributes["who <b>"]) == set(NASTY)
    for page in (audit / "report.html", place / "expl" / "index.html"):
        text = page.read_text(encoding="utf-8")
        for tag in ("<script>alert", "<img src=x", "<i>0.png", "who <b>", "run <i>"):
            assert tag not in text
    metrics = read_metrics(audit / "metrics.csv")
    assert set(NASTY) <= set(metrics["group"])
