"""MLflow in a file of SQLite, and wandb offline: what they hold is what the audit says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from fairvision.errors import InputError
from fairvision.exporting import export, mlflow_runs
from fairvision.exporting.figure_names import logged_figures
from fairvision.results.audit_folder import read_audit

pytestmark = pytest.mark.filterwarnings("ignore")  # of the trackers' own libraries


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """Offline, and none of the user's settings."""
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mlflow():
    pytest.importorskip("sqlalchemy", reason="needs fairvision[tracking]")
    return pytest.importorskip("mlflow", reason="needs fairvision[tracking]")


def test_mlflow_holds_the_figures(finished, tmp_path, mlflow):
    uri = export(finished, to="mlflow", output=tmp_path / "tracking", project="bias")
    assert uri == f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}"
    client, audit = mlflow.MlflowClient(tracking_uri=uri), read_audit(finished)
    experiment = client.get_experiment_by_name("bias")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {*runs} == {"audit", "base", "other"}
    assert all(run.info.status == "FINISHED" for run in runs.values())
    for model in audit.models:
        assert runs[model].data.metrics == logged_figures(audit.metrics, model, "base")
        assert runs[model].data.tags["mlflow.parentRunId"] == runs["audit"].info.run_id
    assert runs["audit"].data.params["split"] == "test"
    files = {file.path for file in client.list_artifacts(runs["audit"].info.run_id)}
    assert files == {"report.html", "metrics.csv", "audit.json"}
    assert list((tmp_path / "tracking" / "artifacts").rglob("report.html"))


def test_a_second_audit_goes_to_the_same_experiment(finished, tmp_path, mlflow):
    for _ in range(2):
        uri = export(finished, to="mlflow", output=tmp_path / "tracking")
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("fairvision")
    assert len(client.search_runs([experiment.experiment_id])) == 6


def test_what_mlflow_refuses_is_one_line(finished, tmp_path, mlflow):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file: name a folder, or a URI"):
        export(finished, to="mlflow", output=tmp_path / "file")
    with pytest.raises(InputError, match=r"^mlflow: "):
        export(finished, to="mlflow", output="nonsense://x")


class Client:
    """Stands for MLflow's, and remembers what it is asked."""

    tracking_uri = "remembered"
    full: ClassVar[bool] = False
    logged: ClassVar[dict] = {}
    status: ClassVar[dict] = {}

    def __init__(self, tracking_uri=None):
        Client.logged, Client.status = {}, {}

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name, artifact_location):
        return "0"

    def create_run(self, number, run_name, tags=None):
        self.logged[run_name] = []
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_batch(self, run, metrics):
        if self.full:
            raise OSError("no space left")
        self.logged[run].append(metrics)

    def log_param(self, run, name, value):
        assert len(value) <= 500

    def log_artifact(self, run, path):
        assert Path(path).is_file()

    def set_terminated(self, run, status):
        self.status[run] = status


@pytest.mark.parametrize("full", [False, True])
def test_mlflow_is_asked_in_batches_and_told_how_it_ended(finished, monkeypatch, full):
    """Without MLflow itself."""
    entities = SimpleNamespace(Metric=lambda name, value, time, step: (name, value))
    fake = SimpleNamespace(MlflowClient=Client, entities=entities)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setattr(mlflow_runs, "_AT_ONCE", 100)
    monkeypatch.setattr(Client, "full", full)
    if full:
        with pytest.raises(InputError, match="mlflow: no space left"):
            export(finished, to="mlflow")
        assert Client.status == {"audit": "FAILED", "base": "FAILED"}
        return
    assert export(finished, to="mlflow") == "remembered"
    assert Client.status == dict.fromkeys(["audit", "base", "other"], "FINISHED")
    assert all(len(batch) <= 100 for batch in Client.logged["other"])
    together = dict(pair for batch in Client.logged["other"] for pair in batch)
    assert together == logged_figures(read_audit(finished).metrics, "other", "base")


def test_wandb_holds_the_figures(finished, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs fairvision[tracking]")
    summaries = {}
    log_artifact = wandb.Run.log_artifact

    def remembered(run, *args):
        summaries[run.name] = {key: run.summary[key] for key in run.summary.keys()}  # noqa: SIM118
        assert run.group == "audit"
        assert run.config["split"] == "test"
        return log_artifact(run, *args)

    monkeypatch.setattr(wandb.Run, "log_artifact", remembered)
    place = export(finished, to="wandb", output=tmp_path / "tracking")
    audit = read_audit(finished)
    assert {*summaries} == {"base", "other"}
    for model, summary in summaries.items():
        of_model = {key: value for key, value in summary.items() if not key.startswith("_")}
        assert of_model == logged_figures(audit.metrics, model, "base")
    assert place.startswith(str(tmp_path / "tracking"))
    logs = list((tmp_path / "tracking").rglob("*.wandb"))
    assert len(logs) == 2
    held = b"".join(log.read_bytes() for log in logs)
    assert b"report.html" in held
    assert b"metrics.csv" in held


@pytest.mark.parametrize("to", ["mlflow", "wandb"])
def test_what_is_not_installed_is_named(finished, monkeypatch, to):
    monkeypatch.setitem(sys.modules, to, None)
    with pytest.raises(InputError, match=rf"{to} is not installed: pip install 'fairvision\[trac"):
        export(finished, to=to)
