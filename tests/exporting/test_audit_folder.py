from __future__ import annotations

import json

import pytest

from fairvision.core.files import read_json
from fairvision.errors import InputError
from fairvision.exporting import TARGETS, export
from fairvision.exporting.figure_names import figure_names, logged_figures
from fairvision.results.audit_folder import read_audit


def test_an_audit_is_read_back(finished):
    audit = read_audit(finished)
    assert audit.models == ["base", "other"]
    assert audit.record("base") == {"name": "base"}  # not where its file was
    assert audit.record("nobody") == {}
    assert len(audit.metrics) > 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "audit.json").unlink(), "is not a finished audit"),
        (lambda folder: (folder / "audit.json").write_text("{"), "is not valid JSON"),
        (lambda folder: (folder / "audit.json").write_text("{}"), "is damaged: audit again"),
        (lambda folder: (folder / "metrics.csv").write_text("x"), "is damaged or was changed"),
        (lambda folder: (folder / "report.html").unlink(), "does not exist"),
    ],
)
def test_what_is_no_finished_audit_is_refused(finished, tmp_path, change, words):
    change(finished)
    with pytest.raises(InputError, match=words):
        export(finished, to="card", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "paper"}, "unknown target 'paper': one of card, fiftyone, mlflow, wandb"),
        ({"to": "card"}, "say by --output"),
        ({"to": "fiftyone", "output": "x"}, "say by --data where the dataset folder is"),
        ({"to": "card", "output": "x", "data": "y"}, "--data is for fiftyone"),
    ],
)
def test_options_that_do_not_fit(finished, options, words):
    with pytest.raises(InputError, match=words):
        export(finished, **options)


def test_the_command_knows_the_same_targets(finished, tmp_path, run_cli):
    from fairvision.cli.export import TARGETS as of_command

    assert of_command == tuple(sorted(TARGETS))
    done = run_cli("export", finished, "--to", "card", "-o", tmp_path / "cards")
    assert done.code == 0, done.err
    assert done.out == f"card: {tmp_path / 'cards'}\n"
    again = run_cli(
        *("export", finished, "--to", "card", "-o", tmp_path / "cards", "--overwrite", "--json")
    )
    assert json.loads(again.out) == {"to": "card", "place": str(tmp_path / "cards")}
    refused = run_cli("export", finished, "--to", "card", "-o", tmp_path / "cards")
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1


def test_names_of_figures_are_unique_and_legal(finished):
    audit = read_audit(finished)
    figures = logged_figures(audit.metrics, "other", "base")
    assert {"accuracy/age/18_25", "accuracy/age/18_25_2", "n/accuracy/age/none"} <= {*figures}
    assert "accuracy/age/none" not in figures  # undefined on no images
    assert figures["n/accuracy/age/none"] == 0
    both = audit.metrics.query("metric == 'accuracy' and attribute == 'age' and task == ''")
    of_group = both[both["group"] == "18 25"].set_index("model")["value"]
    by_name = {figures["accuracy/age/18_25"], figures["accuracy/age/18_25_2"]}
    assert of_group["other"] in by_name
    assert of_group["other - base"] in {
        figures["difference/accuracy/age/18_25"],
        figures["difference/accuracy/age/18_25_2"],
    }
    parts = [part for name in figures for part in name.split("/")]
    assert all(part.replace("_", "a").isalnum() and part.isascii() for part in parts)
    assert max(map(len, figures)) <= 250
    kinds = [name for name in figures if not name.startswith(("low/", "high/", "n/"))]
    defined = audit.metrics[audit.metrics["model"].isin(["other", "other - base"])]["value"]
    assert len(kinds) == defined.notna().sum()


def test_names_differ_whatever_their_case():
    names = figure_names([("a", "X"), ("a", "x"), ("a", "é"), ("a", "")], reserved=["a"])
    assert list(names.values()) == ["a/X", "a/x_2", "a/_", "a_2"]


def test_descriptions_without_records(finished):
    about = read_json(finished / "audit.json")
    del about["settings"]["runs"]
    (finished / "audit.json").write_text(json.dumps(about))
    assert read_audit(finished).record("base") == {}
