"""The gate in the shell: exit codes, files for other programs, and rules beside an audit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return a folder with tables of a model that errs on one group, and of one that does not."""
    folder = tmp_path_factory.mktemp("answers")
    groups = np.repeat(["a", "b"], 60)
    for name, wrong in {"bad": 40, "good": 3}.items():
        is_wrong = np.r_[np.arange(60) < 3, np.arange(60) < wrong]
        score = np.where((groups == "a") ^ is_wrong, 0.9, 0.1)
        table = {"id": np.arange(120), "group": groups, "score/group/a": score}
        pd.DataFrame({**table, "score/group/b": 1 - score}).to_csv(
            folder / f"{name}.csv", index=False
        )
    return folder


def audit(run_cli, answers, name, output, *more):
    table = str(answers / f"{name}.csv")
    how = ("--attribute", "group", "--replicates", "100", "-o", str(output))
    return run_cli("audit", "--predictions", table, *how, *more)


RULE = "accuracy_gap.low > 0.05"


def test_a_finished_audit_passes_or_not(run_cli, answers, tmp_path):
    for name, code in {"bad": 1, "good": 0}.items():
        assert audit(run_cli, answers, name, tmp_path / name).code == 0
        junit, page = tmp_path / f"{name}.xml", tmp_path / f"{name}.md"
        done = run_cli(
            *("gate", str(tmp_path / name), RULE),
            *("--junit", str(junit), "--markdown", str(page)),
        )
        assert done.code == code, done.err
        assert ("BROKEN" in done.out) is bool(code)
        assert f'failures="{code}"' in junit.read_text()
        assert ("broken" in page.read_text()) is bool(code)
        told = json.loads(run_cli("gate", str(tmp_path / name), RULE, "--json").out)
        assert [rule["passed"] for rule in told] == [not code]


def test_rules_may_stand_in_a_file_of_options(run_cli, answers, tmp_path):
    assert audit(run_cli, answers, "bad", tmp_path / "bad").code == 0
    (tmp_path / "gate.toml").write_text(f'rules = ["{RULE}"]\nmarkdown = "{tmp_path / "g.md"}"\n')
    assert run_cli("gate", tmp_path / "bad", "--config", tmp_path / "gate.toml").code == 1
    assert "broken" in (tmp_path / "g.md").read_text()


def test_rules_beside_an_audit(run_cli, answers, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text(f'rules = ["{RULE}"]')
    assert audit(run_cli, answers, "bad", tmp_path / "bad", "--fail-on", str(rules)).code == 1
    assert (tmp_path / "bad" / "report.html").exists()
    done = audit(run_cli, answers, "good", tmp_path / "good", "--fail-on", RULE, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["findings"]
    assert told[0]["question"] == "Are all groups served alike?"
    assert told[0]["status"] == "none shown"
    assert json.loads((tmp_path / "good" / "audit.json").read_text())["findings"] == told


def test_bad_rules_and_folders_are_one_line(run_cli, answers, tmp_path):
    done = audit(run_cli, answers, "bad", tmp_path / "bad", "--fail-on", "nonsense")
    assert done.code == 2
    assert "cannot be read" in done.err
    assert not (tmp_path / "bad").exists()
    assert run_cli("gate", str(tmp_path), RULE).code == 2
    assert run_cli("gate", str(tmp_path / "absent"), RULE).code == 2
    assert run_cli("gate", str(tmp_path)).code == 2


def test_files_of_the_audit_are_not_replaced(run_cli, answers, tmp_path):
    assert audit(run_cli, answers, "good", tmp_path / "a").code == 0
    table = tmp_path / "a" / "metrics.csv"
    before = table.read_bytes()
    done = run_cli("gate", str(tmp_path / "a"), RULE, "--markdown", str(table))
    assert done.code == 2
    assert "would replace a file of the audit" in done.err
    assert table.read_bytes() == before
    inside = tmp_path / "a" / "gate.md"
    assert run_cli("gate", str(tmp_path / "a"), RULE, "--markdown", str(inside)).code == 0
