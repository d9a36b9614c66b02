from __future__ import annotations

import json
import warnings

import pandas as pd
import pytest
import torch

from fairvision import datasets, runs, train
from fairvision.core.files import read_json, write_json
from fairvision.datasets import Task
from fairvision.errors import InputError
from fairvision.training import stored_options


@pytest.fixture
def folder(make_run):
    tasks = {
        "place": {"labels": ["in", "out"], "many": False},
        "objects": {"labels": ["cup", "hat", "dog"], "many": True},
    }
    return make_run("my-run", tasks=tasks)


def test_a_run_describes_itself(folder):
    run = runs.load(folder)
    assert run.name == "my-run"
    assert run.size == 16
    assert run.attributes == {"gender": ("female", "male")}
    assert run.tasks["objects"] == Task(("cup", "hat", "dog"), many=True)
    assert list(run.heads) == ["gender", "place", "objects"]


def test_the_network_answers_as_it_was_saved(folder):
    network = runs.network(runs.load(folder))
    assert not network.training
    images = torch.rand(3, 3, 16, 16)
    probabilities = network.probabilities(images)
    assert {k: tuple(v.shape) for k, v in probabilities.items()} == {
        "gender": (3, 2),
        "place": (3, 2),
        "objects": (3, 3),
    }
    torch.testing.assert_close(probabilities["place"].sum(dim=1), torch.ones(3))
    torch.testing.assert_close(probabilities["objects"], network(images)["objects"].sigmoid())


def one_line(folder, match):
    with pytest.raises(InputError, match=match) as error:
        runs.network(runs.load(folder))
    assert "\n" not in str(error.value)


def test_what_is_no_run(tmp_path):
    one_line(tmp_path, r"not a run folder: it holds no config\.json")
    one_line(tmp_path / "missing", "not a run folder")


def test_an_unfinished_run(folder):
    (folder / runs.BEST).unlink()
    one_line(folder, r"is unfinished \(no model.safetensors\): .* --resume")


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": ["gender"]},
        {"attributes": {}, "tasks": {}},
        {"tasks": {"place": {"labels": ["in"]}}},
        {"size": "16"},
        {"size": -1},
        {"model": None},
        {"data": "here"},
        {"data": {"path": 1.5, "fingerprint": ""}},
        {"size": True},
        {"size": 10**9},
        {"seed": float("nan")},
        {"weights": ["a.pth"]},
        {"attributes": {"gender": ["female", None]}},
        {"domains": {"gender": {"attribute": "gender", "groups": 10**12, "rule": "sum"}}},
        {"domains": {"gender": {"attribute": "gender", "groups": 2, "rule": "sum", "more": 1}}},
        {"postprocessing": 3},
    ],
)
def test_a_damaged_config(folder, change):
    config = json.loads((folder / runs.CONFIG).read_text())
    (folder / runs.CONFIG).write_text(json.dumps(config | change))
    one_line(folder, r"config.json is damaged")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "7", "{}", "null", "[" * 99_999, "1" * 5_000, '{"a": 1, "a": 2}'),
        '{"a": "\\ud800"}',
        "\ufeff[]",
    ],
)
def test_a_config_that_is_no_description(folder, text):
    (folder / runs.CONFIG).write_text(text)
    one_line(folder, "config.json")


def test_a_network_whose_modules_have_versions_is_read(make_run):
    run = runs.load(make_run("versions", model="mnasnet0_5", size=32))
    assert runs.network(run).head_names == ("gender",)


def test_damaged_or_foreign_weights(folder, make_run):
    other = make_run("other", size=20)
    (folder / runs.BEST).write_bytes((other / runs.BEST).read_bytes())
    one_line(folder, r"model\.safetensors do not fit the network: size mismatch")
    (folder / runs.BEST).write_bytes(b"half")
    one_line(folder, "model.safetensors is damaged")


@pytest.mark.parametrize("which", runs.WEIGHTS)
def test_a_flipped_bit_of_the_weights_is_told(tmp_path, which):
    data = tmp_path / "data"
    with warnings.catch_warnings(action="ignore"):
        datasets.scenes(data, count=60, bias=0.8, size=16)
        run = train(data, output=tmp_path / "run", model="small_cnn", size=16, epochs=1)
    path = run.folder / runs.WEIGHTS[which]
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or was changed: its checksum differs"):
        runs.network(run, which=which)
    config = read_json(run.folder / runs.CONFIG)
    del config["sha256"]
    write_json(run.folder / runs.CONFIG, config)
    runs.network(runs.load(run.folder), which=which)


def test_the_summary_names_the_best_epoch(folder):
    rows = {"epoch": [1, 2, 3], "val/loss": [0.5, 0.3, float("nan")], "train/n": [9, 9, 8]}
    counts = {"train/n/cross_entropy/gender": [7, 0, 7], "train/n/accuracy/gender": [7, 7, 7]}
    pd.DataFrame({**rows, **counts}).to_csv(folder / runs.HISTORY, index=False)
    summary = runs.summary(runs.load(folder))
    assert summary["best_epoch"] == 2
    assert summary["training_pictures"] == 9
    assert summary["pictures"] == {"cross_entropy/gender": 0}
    assert summary["best"] == {"val/loss": 0.3}


def test_a_number_without_end(folder):
    (folder / runs.CONFIG).write_text("1" * 5_000)
    one_line(folder, r"config.json is not valid JSON: a number in it has too many digits$")


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "epoch\n", "epoch,train/n\n1,many\n", "epoch,train/n\n1,\n", "epoch,val\n1,2\n"],
)
def test_a_damaged_history(folder, text):
    (folder / runs.HISTORY).write_text(text)
    with pytest.raises(InputError, match=r"history\.csv"):
        runs.summary(runs.load(folder))


def test_options_of_another_type_are_not_taken_up(folder):
    config = json.loads((folder / runs.CONFIG).read_text())
    (folder / runs.CONFIG).write_text(json.dumps(config | {"options": {"epochs": "3"}}))
    with pytest.raises(InputError, match=r"options.epochs must be a whole number .*not '3'"):
        stored_options(folder)
