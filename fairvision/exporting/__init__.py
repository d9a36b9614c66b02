"""A finished audit for other programs: model cards, trackers of experiments, viewers of images."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from fairvision.errors import InputError
from fairvision.results.audit_folder import read_audit

TARGETS = {
    "card": "fairvision.exporting.cards:write_cards",
    "fiftyone": "fairvision.exporting.fiftyone_folder:write_fiftyone",
    "mlflow": "fairvision.exporting.mlflow_runs:log_to_mlflow",
    "wandb": "fairvision.exporting.wandb_runs:log_to_wandb",
}
"""What an audit may be exported to, and the function that does it."""


def export(
    audit: str | Path,
    *,
    to: str,
    output: str | Path | None = None,
    data: str | Path | None = None,
    project: str = "fairvision",
    overwrite: bool = False,
) -> str:
    """Bring a finished audit into another program's form.

    Parameters
    ----------
    audit : folder that `fairvision.audit` or, but for fiftyone, `fairvision.captions` wrote
    to : "card", a model card of Hugging Face for each model; "fiftyone", a folder that FiftyOne
        reads; "mlflow" or "wandb", a run for each model
    output : folder to write; for mlflow a folder or a tracking URI, by default
        `MLFLOW_TRACKING_URI`; for wandb the folder in which it keeps its files, by default the one
        that wandb chooses
    data : dataset folder with the audited images, for fiftyone
    project : experiment of mlflow, project of wandb
    overwrite : replace what an earlier call wrote in `output`, of cards and fiftyone

    Returns
    -------
    Where it is: a path, or what the tracker calls the place.

    Raises
    ------
    InputError
        The folder is no finished audit or was changed, something needed is not given, or a package
        is not installed. Nothing is written then.

    Examples
    --------
    >>> import tempfile, fairvision, pandas as pd
    >>> folder = Path(tempfile.mkdtemp())
    >>> pd.DataFrame(
    ...     {"id": range(20), "gender": ["female", "male"] * 10,
    ...      "predicted/gender": ["female", "male"] * 9 + ["male", "female"]}
    ... ).to_parquet(folder / "mine.parquet")
    >>> done = fairvision.audit(predictions=folder / "mine.parquet", output=folder / "audit")
    >>> cards = export(folder / "audit", to="card", output=folder / "cards")
    >>> lines = Path(cards, "mine", "README.md").read_text().splitlines()
    >>> [line for line in lines if line.startswith("| Accuracy on gender")][0]
    '| Accuracy on gender | gender | 90.0% | 75.0% to 100.0% | 20 |'
    """
    if to not in TARGETS:
        raise InputError(f"unknown target {to!r}: one of {', '.join(TARGETS)}")
    options: dict[str, Any] = {"output": output}
    if to == "fiftyone":
        options["data"] = data
    elif data is not None:
        raise InputError("--data is for fiftyone")
    if to in ("mlflow", "wandb"):
        options["project"] = project
    elif output is None:
        raise InputError(f"say by --output which folder to write for {to}")
    if to in ("card", "fiftyone"):
        options["overwrite"] = overwrite
    module, _, name = TARGETS[to].partition(":")
    return str(getattr(import_module(module), name)(read_audit(audit), **options))
