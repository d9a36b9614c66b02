"""What a reader takes away from a page: figures, a summary and a citation, as data within it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fairvision.core.csv_files import csv_text
from fairvision.results import words
from fairvision.results.folder import AuditSettings, CaptionSettings
from fairvision.results.summary import Lead, cards


@dataclass(frozen=True)
class TakeAway:
    """Files as data URIs, and how many rows the figures have."""

    markdown: str
    metrics: str
    citation: str
    rows: int


def take_away(
    metrics: pd.DataFrame,
    opening: Lead,
    models: Sequence[str],
    settings: AuditSettings | CaptionSettings,
) -> TakeAway:
    """Return the files that a page offers; figures of single labels are left to `metrics.csv`."""
    figures = metrics[metrics["label"].isna() | (metrics["label"] == "")]
    return TakeAway(
        markdown=_uri("text/markdown", markdown(metrics, opening, models, settings)),
        metrics=_uri("text/csv", csv_text(figures)),
        citation=_uri("application/x-bibtex", _citation(settings)),
        rows=len(figures),
    )


def markdown(
    metrics: pd.DataFrame,
    opening: Lead,
    models: Sequence[str],
    settings: AuditSettings | CaptionSettings,
) -> str:
    """Return a summary: the opening, and a table of the questions with what each model shows."""
    lines = [f"# Bias audit of {_cell(settings.dataset)}", ""]
    lines += [" ".join(map(_cell, opening.sentences)), ""] if opening.sentences else []
    of_split = f" of split {_cell(settings.split)}" if settings.split else ""
    lines += [f"{settings.n:,} pictures{of_split}.", ""]
    lines += ["| question | model | | figures | |", "|---|---|---|---|---|"]
    for card in cards(metrics, models, settings.smallest_difference):
        for entry in card.entries:
            pair = " / ".join(entry.pair) or "–"
            row = (card.question, entry.model, entry.status, pair, f"{entry.words} {entry.small}")
            lines.append(f"| {' | '.join(_cell(text) for text in row)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return text that is neither markup nor the end of a cell."""
    plain = " ".join(words.plain(text).split())
    return "".join(
        f"\\{character}" if character in "\\|*_`<>[]#" else character for character in plain
    )


def _citation(settings: AuditSettings | CaptionSettings) -> str:
    """Return how the audit's tool is cited."""
    version = settings.versions.get("fairvision", "")
    return (
        "@software{fairvision,\n"
        "  title = {fairvision: bias auditing for image classifiers and captioners},\n"
        "  author = {{The fairvision developers}},\n"
        f"  version = {{{version}}},\n"
        "  url = {https://github.com/fairvision/fairvision}\n}\n"
    )


def _uri(kind: str, text: str) -> str:
    """Return a file as a data URI."""
    content = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return f"data:{kind};charset=utf-8;base64,{content}"
