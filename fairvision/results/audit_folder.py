"""The folder of a finished audit, read back as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairvision.core import checksums
from fairvision.core.files import read_json
from fairvision.errors import InputError, check_file
from fairvision.results.figures import read_metrics
from fairvision.results.folder import METRICS, PAGE
from fairvision.results.verdict import Verdict

AUDIT = "audit.json"
MARKERS = (AUDIT, "captions.json")


@dataclass(frozen=True)
class AuditFolder:
    """A finished audit of models or of captions.

    Attributes
    ----------
    folder : where it is
    marker : name of its description, one of `MARKERS`
    version : of fairvision, which made it
    models : their names, the one that the others are compared with first
    settings : how it was made, as the description holds them
    metrics : the metrics table
    verdict : what the figures say
    """

    folder: Path
    marker: str
    version: str
    models: list[str]
    settings: Mapping[str, Any]
    metrics: pd.DataFrame
    verdict: Verdict

    @property
    def report(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE

    @property
    def table(self) -> Path:
        """Path of the metrics table."""
        return self.folder / METRICS

    def record(self, model: str) -> dict[str, Any]:
        """Return what is known of a model, such as its method, but not where its file is."""
        records = [of for of in self.settings.get("runs", ()) if of.get("name") == model]
        return {key: value for record in records for key, value in record.items() if key != "file"}


def read_audit(folder: str | Path) -> AuditFolder:
    """Read a finished audit; `InputError` where it is none, or is not as it was written."""
    folder = Path(folder)
    there = [marker for marker in MARKERS if (folder / marker).is_file()]
    if not there:
        raise InputError(f"{folder} is not a finished audit: it holds none of {', '.join(MARKERS)}")
    path = folder / there[0]
    described = read_json(path)
    checksums.check(folder / METRICS, path, described)
    check_file(folder / PAGE, "a page")
    try:
        return AuditFolder(
            folder=folder,
            marker=there[0],
            version=str(described["fairvision"]),
            models=[str(name) for name in described["models"]],
            settings=dict(described["settings"]),
            metrics=read_metrics(folder / METRICS),
            verdict=Verdict.of(described["verdict"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: audit again") from None
