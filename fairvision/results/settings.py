"""How an audit, an audit of captions or a sweep was made: what its page and its json tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

Records = Sequence[Mapping[str, object]]

_Settings = TypeVar("_Settings", "AuditSettings", "CaptionSettings")


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """How an audit was made.

    Attributes
    ----------
    dataset, split, n : name of the data, which part of it, and of how many images
    attribution : the method of the evidence
    missing : what images without an answer are to accuracies
    replicates, confidence, seed : of the intervals
    versions : of packages
    runs, counts : records of the models, and of how many images groups have
    """

    dataset: str
    split: str
    n: int
    attribution: str
    missing: str = ""
    replicates: int
    confidence: float
    seed: int
    versions: Mapping[str, str]
    runs: Records
    counts: Records


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
    replicates, confidence, seed : of the intervals
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
    replicates: int
    confidence: float
    seed: int
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


def as_json(settings: AuditSettings | CaptionSettings) -> dict[str, Any]:
    """Return the form in which `audit.json` and `captions.json` hold settings."""
    return asdict(settings)
