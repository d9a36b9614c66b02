"""`fairvision sweep`: every option of train, lists, configs, and one line for what cannot be."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from fairvision import runs
from fairvision.cli import sweep, train
from fairvision.datasets import scenes

QUICK = ("--size", 16, "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--replicates", 5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=40, bias=0.8, groups=3, size=16, test_fraction=0.3)
    return folder


def test_it_takes_every_option_of_train():
    ours = {parameter.name for parameter in sweep.command.params}
    theirs = {parameter.name for parameter in train.command.params}
    assert theirs - ours == {"method", "seed", "resume"}
    assert ours - theirs == {
        *("methods", "seeds", "split", "attribution", "replicates", "open_page")
    }


def test_help(run_cli):
    result = run_cli("sweep", "--help")
    assert result.code == 0
    for option in ("--methods", "--seeds", "--epochs", "--config", "--attribution"):
        assert option in result.out


def test_two_methods_with_options_of_one(run_cli, data, tmp_path):
    out = tmp_path / "out"
    options = ("--methods", "baseline, equalizer", "--seeds", "3,7", "--beta", 2, *QUICK)
    done = run_cli("sweep", data, *options, "-o", out)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "baseline-3 (1 of 4): training"
    assert done.out.splitlines()[-1] == f"leaderboard: {out / 'leaderboard.html'}"
    assert sorted(p.name for p in (out / "runs").iterdir()) == [
        *("baseline-3", "baseline-7", "equalizer-3", "equalizer-7")
    ]
    assert runs.load(out / "runs" / "equalizer-7").config["options"]["beta"] == 2
    again = run_cli("sweep", data, *options, "-o", out, "--json")
    assert again.code == 0, again.err
    told = json.loads(again.out)
    assert list(pd.read_csv(told["table"])["method"]) == ["baseline", "equalizer"]
    assert told["verdict"]["answers"][0]["question"] == "Is equalizer better than baseline?"


def test_a_file_holds_the_sweep(run_cli, data, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        'methods = ["equalizer", "attribution_penalty"]\nseeds = [4]\nsize = 16\nepochs = 2\n'
        'batch-size = 8\ndevice = "cpu"\nreplicates = 5\nquiet = true\nbeta = 1\n'
        "[equalizer]\nmu = 0.5\n[attribution_penalty]\npenalty = 0.25\n"
    )
    out = tmp_path / "out"
    done = run_cli("sweep", data, "--config", file, "--epochs", 1, "--beta", 2, "-o", out)
    assert done.code == 0, done.err
    one = runs.load(out / "runs" / "equalizer-4").config["options"]
    other = runs.load(out / "runs" / "attribution_penalty-4").config["options"]
    assert (one["beta"], one["mu"], one["epochs"], other["penalty"]) == (2, 0.5, 1, 0.25)


def test_the_config_of_a_run_gives_the_options_of_all(run_cli, data, tmp_path):
    trained = run_cli(
        *("train", data, "--method", "equalizer", "--beta", 4, "--lr", 0.004, *QUICK[:-2]),
        *("--seed", 9, "-o", tmp_path / "run"),
    )
    assert trained.code == 0, trained.err
    config = tmp_path / "run" / "config.json"
    options = ("--methods", "baseline,equalizer", "--seeds", 9, *QUICK)
    done = run_cli("sweep", data, "--config", config, *options, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert runs.load(tmp_path / "out" / "runs" / "baseline-9").config["options"]["lr"] == 0.004
    same = tmp_path / "out" / "runs" / "equalizer-9" / runs.BEST
    assert same.read_bytes() == (tmp_path / "run" / runs.BEST).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing option '--methods'"),
        (["--methods", "baseline,magic"], "'magic' is not one of"),
        (["--methods", "baseline", "--seeds", "0,one"], "'one' is not a valid integer"),
        (["--methods", "baseline", "--seeds", "0,-1"], "-1 is not in the range"),
        (["--methods", ""], "'' is not one of"),
        (["--methods", "baseline,baseline"], "baseline is there twice in --methods"),
        (["--methods", "baseline", "--beta", "3"], "--beta is an option of none of baseline"),
        (["--methods", "baseline", "--epochz", "3"], "No such option"),
        (["--methods", "baseline", "--seed", "3"], "No such option"),
        (["--methods", "adversarial", "--attribute", "shirt"], "nothing was trained, because 1 of"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run_cli, data, tmp_path, arguments, message):
    result = run_cli("sweep", data, *arguments, "-o", tmp_path / "out")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert message != "No such option" or arguments[2] in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_keys_that_a_sweep_does_not_have(run_cli, data, tmp_path):
    file = tmp_path / "sweep.toml"
    for text, message in {
        'method = "baseline"': "key 'method' is not an option: did you mean methods?",
        "seeds = [0.5]": "key 'seeds': '0.5' is not a valid integer",
        "beta = 3": "key 'beta' is not an option of method baseline",
    }.items():
        more = [] if "beta" in text else ["--methods", "baseline"]
        file.write_text(f'{text}\nmethods = "baseline"\n')
        result = run_cli("sweep", data, "--config", file, *more, "-o", tmp_path / "out")
        assert (result.code, result.err.count("\n")) == (2, 1), result.err
        assert message in result.err
    assert not (tmp_path / "out").exists()
