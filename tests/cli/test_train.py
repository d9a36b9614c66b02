from __future__ import annotations

import inspect
import json

import pytest
import torch
from safetensors.torch import load_file

import fairvision
from fairvision import runs
from fairvision.cli.train import command
from fairvision.datasets import scenes
from fairvision.methods import CAPTION_METHODS, METHODS
from fairvision.methods.baseline import Baseline
from fairvision.models import REGIMES
from fairvision.training.settings import CROPS, OPTIMIZERS, PRECISIONS, SCHEDULES

QUICK = ("--size", 16, "--epochs", 2, "--batch-size", 8, "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=40, bias=0.8, groups=3, size=32)
    return folder


def test_help_explains_every_option(run_cli):
    result = run_cli("train", "--help")
    assert result.code == 0
    for option in ("--method", "--weights", "--tune", "--resume", "--json"):
        assert option in result.out


def test_the_command_mirrors_the_function():
    keywords = set(inspect.signature(fairvision.train).parameters) - {"method_options"}
    assert {p.name for p in command.params} == keywords | {"as_json", "config"}
    choices = {p.name: list(p.type.choices) for p in command.params if hasattr(p.type, "choices")}
    methods = dict.fromkeys([*METHODS, *CAPTION_METHODS])
    assert choices["method"] == [*methods, "list"]
    assert choices["tune"] == [*REGIMES, "auto"]
    assert choices["schedule"] == list(SCHEDULES)
    assert choices["optimizer"] == list(OPTIMIZERS)
    assert choices["crop"] == list(CROPS)
    assert choices["precision"] == list(PRECISIONS)


def test_the_methods_are_listed_with_their_options(run_cli):
    result = run_cli("train", "--method", "list")
    assert result.code == 0
    for name in [*METHODS, *CAPTION_METHODS]:
        assert f"{name}: " in result.out
    assert result.out.count("--beta 10.0") == 2


def test_options_of_the_method(run_cli, data, tmp_path):
    options = ("--method", "equalizer", "--beta", 3, "--confident=hinge", *QUICK)
    assert run_cli("train", data, *options, "-o", tmp_path / "run").code == 0
    stored = runs.load(tmp_path / "run").config["options"]
    assert (stored["beta"], stored["confident"]) == (3, "hinge")


@pytest.mark.parametrize("method", list(METHODS))
def test_train_writes_a_run_and_says_where(run_cli, data, tmp_path, method):
    result = run_cli("train", data, "--method", method, *QUICK, "-o", tmp_path / "run")
    if method == "dfr":
        assert result.code == 2
        assert "dfr needs 2 validation pictures of each combination" in result.err
        assert not (tmp_path / "run").exists()
        return
    assert result.code == 0
    if method != "threshold_optimizer":  # which tells the labels that so few images give none
        assert result.err == ""
    assert result.out.endswith(f"run: {tmp_path / 'run'}\n")
    if method != "jtt":  # which shows some images repeatedly
        assert "/shirt: 28 of 28 pictures shown in an epoch\n" in result.out
    assert runs.load(tmp_path / "run").config["method"] == method


def test_json_for_programs(run_cli, data, tmp_path):
    result = run_cli("train", data, *QUICK, "--attribute", "shirt", "-o", tmp_path / "r", "--json")
    summary = json.loads(result.out)
    assert summary["epochs"] == 2
    assert summary["pictures"] == {"cross_entropy/shirt": 28}
    assert 0 <= summary["best"]["val/accuracy/shirt"] <= 1


def test_ctrl_c_and_resume_with_the_options_of_the_start(run_cli, data, tmp_path, monkeypatch):
    options = (*QUICK, "--lr", 0.01, "--seed", 3, "--augment")
    run_cli("train", data, *options, "-o", tmp_path / "whole")
    with monkeypatch.context() as patch:

        def terms(*args, **kwargs):
            raise KeyboardInterrupt

        patch.setattr(Baseline, "terms", terms)
        result = run_cli("train", data, *options, "-o", tmp_path / "run")
    assert result.code == 130
    assert (
        f"{tmp_path / 'run'} is unfinished: the same command with --resume continues it"
        in result.err
    )
    assert run_cli("train", data, "-o", tmp_path / "run", "--resume").code == 0
    whole, resumed = (load_file(tmp_path / name / runs.BEST) for name in ("whole", "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_resume_refuses_what_was_said_otherwise(run_cli, data, tmp_path):
    run_cli("train", data, *QUICK, "-o", tmp_path / "run")
    again = run_cli("train", data, "-o", tmp_path / "run", "--resume")
    assert again.code == 0
    assert again.err == f"warning: run {tmp_path / 'run'} is finished already\n"
    result = run_cli("train", data, "--epochs", 5, "-o", tmp_path / "run", "--resume")
    assert result.code == 2
    assert "other settings (epochs was 2, now 5)" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "magic"], "Invalid value for '--method'"),
        (["--epochs", "0"], "Invalid value for '--epochs'"),
        (["--model", "resnet19"], "fairvision: there is no network 'resnet19'"),
        (["--weights", "V9"], "fairvision: weights 'V9' are neither a file nor a run"),
        (["--task", "objects"], "has no task 'objects': it has context"),
        (["--beta", "3"], "--beta is not an option of method baseline"),
        (["--method", "equalizer", "--beta", "much"], "beta must be a number, not 'much'"),
        (["--method", "equalizer", "--beta"], "Option '--beta' requires an argument"),
        (["elsewhere"], "unexpected extra argument (elsewhere)"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run_cli, data, tmp_path, arguments, message):
    result = run_cli("train", data, *arguments, "-o", tmp_path / "run")
    assert result.code == 2
    assert message in result.err
    assert result.out == ""
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there(run_cli, tmp_path):
    result = run_cli("train", tmp_path / "none", "-o", tmp_path / "run")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "is not a folder" in result.err


def test_a_full_folder_needs_overwrite(run_cli, data, tmp_path):
    run_cli("train", data, *QUICK, "-o", tmp_path / "run")
    result = run_cli("train", data, *QUICK, "-o", tmp_path / "run")
    assert result.code == 2
    assert "add --overwrite" in result.err
    assert run_cli("train", data, *QUICK, "-o", tmp_path / "run", "--overwrite").code == 0


def test_a_loss_that_is_not_finite(run_cli, data, tmp_path):
    result = run_cli("train", data, *QUICK, "--lr", "1e30", "-o", tmp_path / "run")
    assert result.code == 2
    assert "diverged in epoch 1" in result.err
    assert result.err.count("\n") == 1
