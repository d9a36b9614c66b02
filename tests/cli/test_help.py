"""What the shell says to those who do not know: where to start, headings, what was meant."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser

import click
import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from fairvision import cli
from fairvision.cli import COMMANDS, audit, printing, sweep, train
from fairvision.cli._sections import SectionedCommand
from fairvision.results.findings import schema

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture
def table(tmp_path):
    """Return a table of answers about women and men."""
    groups = np.repeat(["female", "male"], 20)
    score = np.where(groups == "female", 0.9, 0.2)
    columns = {"score/gender/female": score, "score/gender/male": 1 - score}
    path = tmp_path / "mine.csv"
    pd.DataFrame({"id": np.arange(40), "gender": groups, **columns}).to_csv(path, index=False)
    return path


HOW = ("--attribute", "gender", "--replicates", 20)


def test_without_a_command_it_says_where_to_start(run_cli):
    done = run_cli()
    assert (done.code, done.err) == (0, "")
    commands = [
        line.split()[1] for line in done.out.splitlines() if line.startswith("  fairvision")
    ]
    assert set(commands) <= set(COMMANDS)
    assert "--help" in done.out


def test_every_command_of_the_start_is_one_that_there_is():
    """Its options are parsed; nothing is run."""
    for line in cli.START.splitlines():
        if not line.startswith("  fairvision"):
            continue
        name, *arguments = line.split()[1:]
        context = click.Context(cli.fairvision)
        command = cli.fairvision.get_command(context, name)
        if isinstance(command, click.Group):
            command = command.get_command(context, arguments.pop(0))
        command.make_context(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("audti",), "no such command 'audti': did you mean audit?"),
        (("Train",), "did you mean train?"),
        (("zzz",), "there are demo, data, train"),
        (("data", "scense"), "did you mean scenes?"),
        (("data", "mnits"), "did you mean mnist?"),
        (("audit", "x", "-o", "a", "--attribution", "hirescm"), "did you mean hirescam?"),
        (("audit", "x", "-o", "a", "--mising", "wrong"), "--missing"),
        (("train", "x", "-o", "a", "--method", "equaliser"), "did you mean equalizer?"),
        (("train", "x", "-o", "a", "--schedule", "cosin"), "did you mean cosine?"),
        (("train", "x", "-o", "a", "--btea", "3"), "--beta"),
        (("sweep", "x", "-o", "a", "--methods", "baseline,ldaec"), "is not one of"),
        (("sweep", "x", "-o", "a", "--methods", "baseline,leac"), "did you mean leace?"),
        (("export", "x", "--to", "crad"), "did you mean card?"),
        (("gate", "x", "acuracy > 0.3"), "did you mean accuracy"),
        (
            ("audit", "--predictions", "mine.csv", "--attribute", "gendr", "-o", "a"),
            "mine.csv has no column 'gendr' with the truth: did you mean gender?",
        ),
    ],
)
def test_what_was_meant(run_cli, tmp_path, table, monkeypatch, arguments, meant):
    monkeypatch.chdir(tmp_path)
    done = run_cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert meant in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", [train.command, audit.command, sweep.command])
def test_every_option_stands_under_one_heading(command):
    assert isinstance(command, SectionedCommand)
    listed = [name for names in command.sections.values() for name in names]
    assert len(set(listed)) == len(listed)
    options = {p.name for p in command.params if isinstance(p, click.Option)}
    assert set(listed) - {"method", "seed", "resume"} <= options <= set(listed)
    text = command.get_help(click.Context(command))
    for heading in command.sections:
        assert f"\n{heading}:\n" in text
    assert "--help " in text.splitlines()[-1]


def test_errors_are_json_for_programs(run_cli, tmp_path, table):
    missing = tmp_path / "none.csv"
    for arguments in [
        ("audit", "--predictions", missing, "-o", tmp_path / "a"),
        ("audit", "--predictions", table, "-o", tmp_path / "a", "--missing", "perhaps"),
        ("gate", tmp_path, "error > 0.3"),
        ("data", "show", tmp_path),
        ("compare", tmp_path, tmp_path, "-o", tmp_path / "a"),
        ("audti",),
    ]:
        done = run_cli(*arguments, "--json")
        assert done.code == 2
        Draft202012Validator(schema()).validate(json.loads(done.out))
        (error,) = json.loads(done.out).values()
        assert error["code"] == 2
        assert done.err == f"fairvision: {error['message']}\n"
        assert not (tmp_path / "a").exists()


def test_an_interrupted_command_says_so_in_json(capsys):
    with pytest.raises(SystemExit):
        printing.end(KeyboardInterrupt(), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"error": {"message": "stopped", "code": 130}}


def test_the_page_is_shown_in_the_browser(run_cli, tmp_path, table, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or len(shown) < 2)
    for name in ("a", "b é"):
        done = run_cli("audit", "--predictions", table, *HOW, "-o", tmp_path / name, "--open")
        assert done.code == 0, done.err
    assert shown == [(tmp_path / name / "report.html").as_uri() for name in ("a", "b é")]
    assert "no browser to show it in" in done.err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("fairvision au", ["plain,audit"]),
        ("fairvision data sc", ["plain,scenes"]),
        ("fairvision train --meth", ["plain,--method"]),
        ("fairvision train x --method equ", ["plain,equalizer"]),
        ("fairvision audit runs/b", ["file,runs/b"]),
        ("fairvision audit runs/a -o re", ["file,re"]),
        ("fairvision gate aud", ["dir,aud"]),
        ("fairvision gate audit rul", ["file,rul"]),
    ],
)
def test_completion(monkeypatch, capsys, words, completed):
    monkeypatch.setenv("_FAIRVISION_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    monkeypatch.setattr(sys, "argv", ["fairvision"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out.split() == completed


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"], ["gate", "--help"]])
def test_help_is_fast_for_it_loads_no_library(arguments):
    code = (
        "import sys; from fairvision.cli import main; sys.argv[1:] = sys.argv[1:]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'pandas', 'numpy', 'matplotlib', 'scipy', 'rich')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
