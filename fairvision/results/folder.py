"""The folder of an audit or a sweep: how it was made, what it holds, how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from fairvision.core import checksums
from fairvision.core.csv_files import write_csv
from fairvision.core.files import write_json, write_text
from fairvision.core.version import __version__
from fairvision.metrics.caption_texts import RuleName
from fairvision.results.figures import Figure, Key, read
from fairvision.results.findings import Finding, extremes_as_json, findings
from fairvision.results.verdict import Verdict

Records = Sequence[Mapping[str, object]]

_Settings = TypeVar("_Settings", "AuditSettings", "CaptionSettings")

METRICS, PAGE = "metrics.csv", "report.html"


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """How an audit was made.

    Attributes
    ----------
    dataset, split, n : name of the data, which part of it, and of how many images
    attribution : the method of the evidence; "auto" where it differs between models
    attribution_asked : what was asked for: a method, "auto" or "none"
    swaps, fill : in how many surroundings of other groups each person was shown, 0 for none, and
        how their places were filled
    missing : what images without an answer are to accuracies
    masks : what predicted the masks of people; empty where they were drawn by hand, or none are
    replicates, confidence, seed : of the intervals
    clusters : what was resampled instead of images: `column`, `clusters` (how many), `pictures` and
        `largest`; empty where it was images
    group_noise : by attribute whose groups are observed with errors, the `source` of what is known
        of these, and how many images were `validated`
    simultaneous : how intervals were made to hold together: how many `figures`, by what `factor`
        each is wider, and by the id of each finding `p`, its p-value corrected by Holm; else None
    smallest_difference : in points, below which a difference does not matter; 0: none was stated
    reference : group whose accuracy those of others are compared with; "" for none
    versions : of packages
    runs, counts : records of the models, and of how many images groups have
    date : when it was made, as in "2026-11-30"
    licence, fingerprint : of the data, as far as they are known
    command : what was called in the shell; "" elsewhere
    """

    dataset: str
    split: str
    n: int
    attribution: str
    attribution_asked: str = ""
    swaps: int = 0
    fill: str = ""
    missing: str = ""
    masks: str = ""
    replicates: int
    confidence: float
    seed: int
    clusters: Mapping[str, object] = field(default_factory=dict)
    group_noise: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    simultaneous: Mapping[str, object] | None = None
    smallest_difference: float = 0.0
    reference: str = ""
    versions: Mapping[str, str]
    runs: Records
    counts: Records
    date: str = ""
    licence: str = ""
    fingerprint: str = ""
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class CaptionSettings:
    """How an audit of captions was made.

    Attributes
    ----------
    dataset, split, n : the labels table, which rows of it, and of how many images
    attribute, task, groups : columns of the labels table, and the groups that occur
    words : the words of each group
    reference, human : names of files, or None
    rounds : of LIC
    tokens : what captions are cut into for BLEU, CIDEr and ROUGE-L
    replicates, confidence, seed : of the intervals
    clusters, simultaneous, smallest_difference : as of `AuditSettings`
    versions : of packages
    runs, counts : records of the models, and of how many images groups have
    """

    dataset: str
    split: str
    n: int
    attribute: str
    task: str
    groups: Sequence[str]
    words: Mapping[str, Sequence[str]]
    reference: str | None
    human: str | None
    rounds: int
    tokens: RuleName = "coco"
    replicates: int
    confidence: float
    seed: int
    clusters: Mapping[str, object] = field(default_factory=dict)
    simultaneous: Mapping[str, object] | None = None
    smallest_difference: float = 0.0
    versions: Mapping[str, str]
    runs: Records
    counts: Records


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """How a sweep was made.

    Attributes
    ----------
    dataset, split, n : name of the data, the audited split, and its number of images
    model : the network
    attribution, replicates : of the audits
    seeds : of training
    options, options_of_methods : of training, for all methods and for single ones
    descriptions : what each method does
    audits : paths of the audits' pages, beside the page
    versions : of packages
    """

    dataset: str
    split: str
    n: int
    model: str
    attribution: str
    replicates: int
    seeds: Sequence[int]
    options: Mapping[str, object]
    options_of_methods: Mapping[str, Mapping[str, object]]
    descriptions: Mapping[str, str]
    audits: Sequence[str]
    versions: Mapping[str, str]


def settings_from(kind: type[_Settings], values: _Settings | Mapping[str, Any]) -> _Settings:
    """Return settings, which may be given as the dictionary that `as_json` makes of them."""
    if isinstance(values, Mapping):
        names = {entry.name for entry in fields(kind)}
        return kind(**{name: value for name, value in values.items() if name in names})
    return values


def as_json(settings: AuditSettings | CaptionSettings) -> dict[str, object]:
    """Return the form in which `audit.json` and `captions.json` hold settings."""
    return asdict(settings)


@dataclass(frozen=True)
class FinishedAudit:
    """A finished audit.

    Attributes
    ----------
    folder : where `report.html`, `metrics.csv` and the tables behind them are
    metrics : the metrics table
    verdict : what the figures say
    smallest_difference : in points, below which a difference does not matter; 0: none was stated
    """

    folder: Path
    metrics: pd.DataFrame
    verdict: Verdict
    smallest_difference: float = 0.0

    @property
    def report(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE

    @property
    def models(self) -> list[str]:
        """Names of the models; differences between them, as "B - A", are none."""
        names = [str(name) for name in dict.fromkeys(self.metrics["model"])]
        return [name for name in names if " - " not in name]

    def figure(
        self,
        metric: str,
        *,
        model: str | None = None,
        attribute: str = "",
        task: str = "",
        group: str = "",
        label: str = "",
    ) -> Figure:
        """Return one figure of the metrics table, with its interval, n and unit.

        Parameters
        ----------
        metric : its name, such as "accuracy"
        model : one of `models`, by default the first; "B - A" for what B has beyond A
        attribute, task, group, label : whom it is about; what is not given has to be empty

        Raises
        ------
        InputError
            The audit has no such figure.

        Examples
        --------
        >>> row = {"model": "m", "metric": "accuracy", "attribute": "gender", "task": "",
        ...        "group": "female", "label": "", "value": 0.9, "low": 0.8, "high": 0.95, "n": 50,
        ...        "unit": "fraction"}
        >>> done = FinishedAudit(Path("audit"), pd.DataFrame([row]), Verdict("Measured."))
        >>> figure = done.figure("accuracy", attribute="gender", group="female")
        >>> figure.value, figure.low, figure.n, figure.sentence()
        (0.9, 0.8, 50, '90.0% (80.0% to 95.0%, n = 50)')
        """
        figures = read(self.metrics, self.models)
        return figures.find(model or self.models[0], Key(metric, attribute, task, group, label))

    def _repr_html_(self) -> str:
        """Return the headline, what was found and the accuracies, for notebooks."""
        from fairvision.results.inline import as_html

        return as_html(
            *(self.metrics, self.models, self.verdict, str(self.report)),
            smallest_difference=self.smallest_difference,
        )

    @property
    def findings(self) -> list[Finding]:
        """What the figures answer, for programs: docs/gate.md."""
        return findings(self.metrics, self.models, self.smallest_difference)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints of it: paths, verdict and findings."""
        paths = {"metrics": str(self.folder / METRICS), "report": str(self.report)}
        return {**paths, "verdict": self.verdict.as_json(), **_described(self.findings)}


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
        **_described(findings(metrics, models, settings.smallest_difference)),
        checksums.KEY: checksums.of_tables(folder),
    }
    write_json(folder / marker, described)


def _described(listed: Sequence[Finding]) -> dict[str, Any]:
    """Return findings under the keys of `audit.json` and `--json`."""
    return {
        "findings": [finding.as_json() for finding in listed],
        "extremes": extremes_as_json(listed),
    }
