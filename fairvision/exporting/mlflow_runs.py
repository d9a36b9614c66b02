"""An audit in MLflow: a run that holds the report, and below it a run for each model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fairvision.core.extras import need
from fairvision.errors import InputError, one_line
from fairvision.exporting.figure_names import logged_figures
from fairvision.results.audit_folder import AuditFolder

_AT_ONCE = 1000  # metrics of one call
_LONGEST = 500  # of a value of a parameter


def log_to_mlflow(audit: AuditFolder, *, output: str | Path | None, project: str) -> str:
    """Log an audit, and return the tracking URI.

    Parameters
    ----------
    output : a tracking URI; or a folder, in which there will be `mlflow.db` and the artifacts;
        None for what MLflow is set to
    project : name of the experiment
    """
    mlflow = need("mlflow", "tracking")
    uri, artifacts = _place(output)
    with _reported():
        client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(project)
        number = (
            client.create_experiment(project, artifact_location=artifacts)
            if experiment is None
            else experiment.experiment_id
        )
        parent = client.create_run(number, run_name=audit.folder.resolve().name)
    runs = [parent.info.run_id]
    try:
        with _reported():
            _log(client, mlflow, runs[0], {}, {**audit.settings, "fairvision": audit.version})
            for file in (audit.report, audit.table, audit.folder / audit.marker):
                client.log_artifact(runs[0], str(file))
            for model in audit.models:
                tags = {"mlflow.parentRunId": runs[0]}
                runs.append(client.create_run(number, run_name=model, tags=tags).info.run_id)
                figures = logged_figures(audit.metrics, model, audit.models[0])
                _log(client, mlflow, runs[-1], figures, audit.record(model))
            for run in runs:
                client.set_terminated(run, "FINISHED")
    except BaseException:
        for run in runs:
            with suppress(Exception):  # what was raised first says more
                client.set_terminated(run, "FAILED")
        raise
    return str(client.tracking_uri)


def _place(output: str | Path | None) -> tuple[str | None, str | None]:
    """Return a tracking URI and where artifacts are, None for what MLflow has for it.

    >>> _place("http://localhost:5000"), _place(None)
    (('http://localhost:5000', None), (None, None))
    """
    text = "" if output is None else str(output)
    if not text or "://" in text or text == "databricks":
        return text or None, None
    folder = Path(text).absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder, or a URI such as sqlite:///…")
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()


def _log(
    client: Any, mlflow: Any, run: str, figures: dict[str, float], about: dict[str, Any]
) -> None:
    """Log figures, and what is known of a run as parameters."""
    metrics = [mlflow.entities.Metric(name, value, 0, 0) for name, value in figures.items()]
    for start in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run, metrics=metrics[start : start + _AT_ONCE])
    for name, value in about.items():
        if isinstance(value, (str, int, float)) and value != "":
            client.log_param(run, name, one_line(value, _LONGEST))


@contextmanager
def _reported() -> Iterator[None]:
    """Turn what MLflow raises into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"mlflow: {error}") from error
