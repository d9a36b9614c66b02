"""The folder of an audit, of models or of captions: what both hold, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairvision.core import checksums
from fairvision.core.csv_files import write_csv
from fairvision.core.files import write_json, write_text
from fairvision.core.version import __version__
from fairvision.results.settings import AuditSettings, CaptionSettings, as_json
from fairvision.results.verdict import Verdict

METRICS, PAGE = "metrics.csv", "report.html"


@dataclass(frozen=True)
class FinishedAudit:
    """A finished audit.

    Attributes
    ----------
    folder : where `report.html`, `metrics.csv` and the tables behind them are
    metrics : the metrics table
    verdict : what the figures say
    """

    folder: Path
    metrics: pd.DataFrame
    verdict: Verdict

    @property
    def report(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE


def write_audit(
    folder: Path,
    marker: str,
    page: str,
    metrics: pd.DataFrame,
    *,
    models: list[str],
    settings: AuditSettings | CaptionSettings,
    verdict: Verdict,
    data: dict[str, str | None] | None = None,
) -> None:
    """Write the page, the metrics table, and the json that describes them.

    Parameters
    ----------
    folder : where the tables that the figures are computed from are already
    marker : name of the json, which has the checksums of all tables
    page, metrics, models, settings, verdict : what is written
    data : name and fingerprint of the data, where there are
    """
    write_csv(metrics, folder / METRICS)
    write_text(folder / PAGE, page)
    described = {
        "fairvision": __version__,
        "models": models,
        "settings": as_json(settings),
        **({} if data is None else {"data": data}),
        "verdict": verdict.as_json(),
        checksums.KEY: checksums.of_tables(folder),
    }
    write_json(folder / marker, described)
