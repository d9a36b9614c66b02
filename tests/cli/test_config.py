"""Options from a file: TOML or the config.json of a run; the command line goes first."""

from __future__ import annotations

import json

import click
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from fairvision import runs
from fairvision.cli import fairvision
from fairvision.datasets import scenes

QUICK = 'size = 16\nepochs = 1\nbatch-size = 8\ndevice = "cpu"\n'


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=40, bias=0.8, groups=3, size=16)
    return folder


@pytest.fixture
def write(tmp_path):
    def put(text: str, name: str = "my.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return put


def config_of(run):
    return runs.load(run).config


def test_a_file_holds_the_options_and_the_command_line_goes_first(run_cli, data, tmp_path, write):
    file = write(
        QUICK + f'data = "{data}"\noutput = "{tmp_path / "run"}"\nprecision = 32\nseed = 3\n'
        'method = "equalizer"\nbeta = 2\naugment = true\nattribute = "shirt"\nlr = 0.0005\n'
        '[equalizer]\nconfident = "hinge"\n'
    )
    done = run_cli("train", "--config", file, "--lr", 0.002)
    assert done.code == 0, done.err
    config = config_of(tmp_path / "run")
    assert (config["method"], config["seed"], list(config["attributes"])) == (
        "equalizer",
        3,
        ["shirt"],
    )
    stored = config["options"]
    assert (stored["beta"], stored["confident"], stored["lr"]) == (2, "hinge", 0.002)
    assert (stored["augment"], stored["epochs"], stored["precision"]) == (True, 1, "32")


@pytest.mark.parametrize("method", ["baseline", "equalizer", "jtt"])
def test_the_config_of_a_run_trains_it_again(run_cli, data, tmp_path, write, method):
    first = run_cli(
        *("train", data, "--config", write(QUICK), "--method", method, "--seed", 5),
        *("--lr", 0.003, "--attribute", "shirt", "-o", tmp_path / "run"),
    )
    assert first.code == 0, first.err
    config = tmp_path / "run" / "config.json"
    again = run_cli("train", data, "--config", config, "--device", "cpu", "-o", tmp_path / "again")
    assert again.code == 0, again.err
    one, other = (load_file(tmp_path / name / runs.BEST) for name in ("run", "again"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert config_of(tmp_path / "run") == config_of(tmp_path / "again")


def test_the_config_of_a_run_knows_its_data(run_cli, data, tmp_path, write):
    file = write(QUICK)
    assert run_cli("train", data, "--config", file, "-o", tmp_path / "run").code == 0
    config = tmp_path / "run" / "config.json"
    done = run_cli("train", "--config", config, "--method", "baseline", "-o", tmp_path / "again")
    assert done.code == 0, done.err


def test_options_of_the_method_in_the_file_fall_away_with_another_method(
    run_cli, data, tmp_path, write
):
    file = write(QUICK + 'method = "equalizer"\nbeta = 2\n')
    done = run_cli("train", data, "--config", file, "--method", "baseline", "-o", tmp_path / "run")
    assert done.code == 0, done.err
    assert "beta" not in config_of(tmp_path / "run")["options"]


def test_a_resumed_run_refuses_a_file_that_says_otherwise(run_cli, data, tmp_path, write):
    file = write(QUICK)
    assert run_cli("train", data, "--config", file, "-o", tmp_path / "run").code == 0
    other = write(QUICK + "seed = 2\n", "other.toml")
    again = run_cli("train", data, "--config", other, "-o", tmp_path / "run", "--resume")
    assert again.code == 2
    assert "seed was 0, now 2" in again.err
    assert run_cli("train", data, "-o", tmp_path / "run", "--resume").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "my.toml: key 'epoch' is not an option: did you mean epochs?"),
        ("zzz = 3", "my.toml: key 'zzz' is not an option"),
        ("config = 'a'", "key 'config' is not an option"),
        ("epochs = 2.5", "my.toml: key 'epochs': '2.5' is not a valid"),
        ("epochs = 0", "key 'epochs': 0 is not in the range"),
        ("epochs = [1, 2]", "key 'epochs' takes one value, not a list"),
        ("epochs = true", "key 'epochs': 'True' is not a valid"),
        ("lr = 1979-05-27", "key 'lr' takes text, a number, true or false"),
        ("tune = 'tail'", "key 'tune': 'tail' is not one of"),
        ("resume = 'perhaps'", "key 'resume': 'perhaps' is not a valid boolean"),
        ("beta = 3", "key 'beta' is not an option of method baseline"),
        ("[equalizer]\nbata = 3", "key 'equalizer.bata' is not an option: did you mean equ"),
        ("[equalizer]\nbeta = [3]", "key 'equalizer.beta' takes text, a number"),
        ("[epochs]\nn = 3", "key 'epochs' takes text, a number, true or false, not {'n': 3}"),
        ("epochs 3", "my.toml is not valid TOML: "),
    ],
)
def test_what_a_file_cannot_say_is_one_line(run_cli, data, tmp_path, write, text, message):
    result = run_cli("train", data, "--config", write(text), "-o", tmp_path / "run")
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_files_that_are_none(run_cli, data, tmp_path, write):
    write(json.dumps({"method": "baseline"}), "config.json")
    write("epochs = 1", "options.yaml")
    (tmp_path / "latin.toml").write_bytes(b"model = '\xff'")
    for name, message in {
        "config.json": "config.json is damaged",
        "options.yaml": "give a .toml file, or the config.json of a run",
        "none.toml": "none.toml does not exist",
        "none/config.json": "none/config.json does not exist",
        "latin.toml": "is not text in UTF-8",
    }.items():
        result = run_cli("train", data, "--config", tmp_path / name, "-o", tmp_path / "run")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert message in result.err


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """Make the working folder one with a table of answers about women and men."""
    monkeypatch.chdir(tmp_path)
    score = [0.9] * 20 + [0.2] * 20
    columns = {"score/gender/female": score, "score/gender/male": [1 - p for p in score]}
    table = {"name": range(40), "gender": ["female"] * 20 + ["male"] * 20, **columns}
    pd.DataFrame(table).to_csv("mine.csv", index=False)


AUDIT = (
    'sources = ["mine.csv"]\npredictions = true\noutput = "audit"\nattribute = ["gender"]\n'
    'column = "id=name"\nreplicates = 20\nname = ["first"]\nfail-on = ["accuracy_gap > 0.9"]\n'
)


def test_an_audit_is_in_a_file_and_the_command_line_goes_first(run_cli, answers, tmp_path, write):
    assert run_cli("audit", "--config", write(AUDIT)).code == 0
    settings = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert (settings["models"], settings["settings"]["replicates"]) == (["first"], 20)
    more = ("--name", "other", "--replicates", 30, "-o", tmp_path / "b", "--fail-on", "error < 1")
    assert run_cli("audit", "mine.csv", "--config", write(AUDIT), *more).code == 1
    settings = json.loads((tmp_path / "b" / "audit.json").read_text())
    assert (settings["models"], settings["settings"]["replicates"]) == (["other"], 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicate = 3", "key 'replicate' is not an option: did you mean replicates?"),
        ("epochs = 3", "key 'epochs' is not an option"),
        ("beta = 3", "key 'beta' is not an option"),
        ("[equalizer]\nbeta = 3", "key 'equalizer' is not an option"),
        ("json = true", "key 'json' is not an option"),
        ("missing = 'rong'", "key 'missing': 'rong' is not one of leave-out, wrong: did you mean"),
        ("sources = [[1]]", "key 'sources' takes text, a number"),
        ("fail-on = 'nonsense'", "the rule 'nonsense' cannot be read"),
    ],
)
def test_what_the_file_of_an_audit_cannot_say(run_cli, answers, tmp_path, write, text, message):
    done = run_cli("audit", "mine.csv", "--predictions", "--config", write(text), "-o", "audit")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert message in done.err
    assert not (tmp_path / "audit").exists()


def test_a_run_does_not_say_how_to_audit(run_cli, answers, write):
    done = run_cli("audit", "mine.csv", "--config", write("{}", "config.json"), "-o", "audit")
    assert done.err.endswith("config.json: give a .toml file\n")


LONG = ("audit", "captions", "compare", "demo", "explain", "export", "gate")
LONG += ("pictures", "predict", "sweep", "train")


@pytest.mark.parametrize("name", LONG)
def test_every_long_command_takes_a_file(name):
    command = fairvision.get_command(click.Context(fairvision), name)
    assert "config" in {parameter.name for parameter in command.params}


def test_every_source_of_data_takes_a_file(run_cli, tmp_path, write):
    data = fairvision.get_command(click.Context(fairvision), "data")
    context = click.Context(data)
    for name in set(data.list_commands(context)) - {"show"}:
        command = data.get_command(context, name)
        assert "config" in {parameter.name for parameter in command.params}, name
    file = write(f'folder = "{tmp_path / "drawn"}"\ncount = 12\nsize = 16\ntest-fraction = 0.5\n')
    done = run_cli("data", "scenes", "--config", file, "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert (made["dataset"], made["pictures"]) == (str(tmp_path / "drawn"), 12)
    assert sum(made["splits"].values()) == 12
    assert (tmp_path / "drawn" / "dataset.json").is_file()
