"""The gate where programs call it: the example workflow of GitHub, the hook of pre-commit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pre_commit.clientlib import load_config, load_manifest

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "docs" / "examples" / "gate-workflow.yml"
RULES = 'rules = ["accuracy_gap.low > 0.05 [attribute=gender]", "accuracy.high < 0.5 [group=*]"]\n'


@pytest.fixture
def environment(tmp_path, monkeypatch) -> dict[str, str]:
    """Return an environment in which the command is this checkout, and pip installs nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, line in {
        "fairvision": f'exec "{sys.executable}" -m fairvision "$@"',
        "pip": ":",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


@pytest.fixture
def project(tmp_path) -> Path:
    """Return a folder with the rules."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rules.toml").write_text(RULES)
    return folder


def write_predictions(folder: Path, wrong: int) -> None:
    """Write answers about 60 women and 60 men, of which the first so many women are wrong."""
    groups = np.repeat(["female", "male"], 60)
    is_wrong = np.r_[np.arange(60) < wrong, np.arange(60) < 3]
    score = np.where((groups == "female") ^ is_wrong, 0.9, 0.1)
    columns = {"score/gender/female": score, "score/gender/male": 1 - score}
    table = pd.DataFrame({"id": np.arange(120), "gender": groups, **columns})
    table.to_csv(folder / "predictions.csv", index=False)


@pytest.mark.parametrize(("wrong", "code"), [(40, 1), (4, 0)], ids=["bad", "good"])
def test_the_example_workflow_stops_a_bad_model(tmp_path, environment, project, wrong, code):
    write_predictions(project, wrong)
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    codes = []
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "run" in step and not any(codes):
            shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
            done = subprocess.run(
                shell, cwd=project, env=environment, capture_output=True, text=True, check=False
            )
            codes.append(done.returncode)
            assert done.returncode in (0, code), done.stderr
    assert codes == [0, 0, code]
    summary = (tmp_path / "summary.md").read_text()
    assert ("2 of 2 rules broken" if code else "all rules kept") in summary
    (upload,) = [step for step in job["steps"] if "artifact" in step.get("uses", "")]
    for path in upload["with"]["path"].split():
        assert (project / path).exists()


def git(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", *who, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="pre-commit needs git")
def test_the_hook_stops_a_commit(tmp_path, environment, project):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    for folder in (hooks, project):
        git(folder, environment, "init", "--quiet")
    git(hooks, environment, "add", ".")
    git(hooks, environment, "commit", "--quiet", "-m", "hooks")
    rev = git(hooks, environment, "rev-parse", "HEAD")
    hook = {"id": "fairvision-gate", "args": ["audit", "rules.toml"]}
    config = {"repos": [{"repo": str(hooks), "rev": rev, "hooks": [hook]}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    for wrong, passes in ((40, False), (4, True)):
        write_predictions(project, wrong)
        audit = "fairvision audit --predictions predictions.csv --attribute gender -o audit"
        subprocess.run(
            [*audit.split(), "--replicates", "100", "--overwrite"],
            cwd=project,
            env=environment,
            check=True,
            capture_output=True,
        )
        git(project, environment, "add", ".")
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "run"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (0 if passes else 1), done.stdout + done.stderr
        assert "fairvision gate" in done.stdout
        assert ("BROKEN: accuracy_gap.low" in done.stdout) is not passes


def test_manifests_are_valid_and_call_what_there_is():
    (hook,) = load_manifest(ROOT / ".pre-commit-hooks.yaml")
    assert hook["entry"] == "fairvision gate"
    for path in (
        "audit/audit.json",
        "captions.json",
        "a/metrics.csv",
        "rules.toml",
        "my-rules.toml",
    ):
        assert re.search(hook["files"], path)
    assert not re.search(hook["files"], "pyproject.toml")
    targets = re.findall(r"^([\w-]+):(?! )?", (ROOT / "Makefile").read_text(), re.M)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    (repository,) = load_config(ROOT / ".pre-commit-config.yaml")["repos"]
    commands += [hook["entry"] for hook in repository["hooks"]]
    for command in commands:
        if command.startswith("make "):
            assert command.split()[1] in targets
        else:
            assert command.startswith(".venv/bin/ruff ")
