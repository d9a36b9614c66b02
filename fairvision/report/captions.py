"""The report on captioners: figures, outcomes, and captions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from fairvision.datasets.doubts import Doubts
from fairvision.datasets.images import read_image
from fairvision.report import _HERE, _environment, plots
from fairvision.report.gallery import data_uri
from fairvision.results import figures as _figures
from fairvision.results import words

OUTCOMES = ("correct", "incorrect", "other")
PERSON = (
    "error",
    "error_gap",
    "accuracy_when_named",
    "ratio",
    "ratio_difference",
    "outcome_divergence",
)
AMPLIFICATION = (*reversed(words.DIRECTIONS), "bias_amplification_mals")
STYLES = ("style.css", "captions.css")
LEAKAGE = ("lic_model", "lic_human", "lic")


def render(
    *,
    metrics: pd.DataFrame,
    models: Sequence[str],
    verdict: dict[str, Any],
    gallery: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    opposed: tuple[int, Sequence[dict[str, Any]]] = (0, ()),
) -> str:
    """Write the report of an audit of captions as one HTML page.

    Parameters
    ----------
    metrics : the metrics table, as it is or read back from `metrics.csv`
    models : names of the models; the others are compared with the first
    verdict : as in `fairvision.report.render`
    gallery : images to show, from `fairvision.captioning.disagreements.items`
    settings : `dataset`, `split`, `n`, `attribute`, `task`, `groups`, `words` (by group),
        `reference` and `human` (names of files, or None), `rounds`, `replicates`, `confidence`,
        `seed`, `versions`, `runs` and `counts` (lists of records)
    opposed : images on which models contradict each other, how many and what is said of them,
        from `fairvision.captioning.disagreements.listing`

    Returns
    -------
    str
        The page, the same for the same input. What the figures do not hold is left out; a figure
        that is undefined is a dash with its n.
    """
    figures = _figures.read(metrics, list(models))
    attribute, task = settings["attribute"], settings["task"]
    parts = {
        "What is said of the person": figures.rows(PERSON, attribute),
        "What else is said": [
            *figures.rows(AMPLIFICATION, attribute, task),
            *figures.rows(LEAKAGE, attribute),
        ],
    }
    looks = [
        {"name": name, "colour": colour, "glyph": glyph}
        for name, (colour, glyph) in zip(models, plots.looks(len(models)), strict=True)
    ]
    page = (
        _environment()
        .get_template("captions.html")
        .render(
            parts={heading: rows for heading, rows in parts.items() if rows},
            bars=_bars(figures, attribute, looks, settings["groups"]),
            looks=looks,
            verdict=verdict,
            gallery=_by_kind(gallery),
            opposed=opposed,
            settings=settings,
            style=Markup("".join((_HERE / name).read_text("utf-8") for name in STYLES)),
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be saved


def _bars(
    figures: _figures.Figures, attribute: str, looks: list[dict[str, str]], groups: Sequence[str]
) -> list[tuple[str, dict[str, str], list[_figures.Figure | None]]]:
    """Return group, model, and the shares of the three outcomes."""
    found = [
        (
            group,
            look,
            [
                figures.get(look["name"], "outcomes", attribute, group=group, label=outcome)
                for outcome in OUTCOMES
            ],
        )
        for group in groups
        for look in looks
    ]
    return [(group, look, cells) for group, look, cells in found if any(cells)]


def _by_kind(gallery: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for item in gallery:
        image = (
            None if item["file"] is None else data_uri(read_image(item["file"], doubts=Doubts()))
        )
        kinds.setdefault(item["kind"], []).append({**item, "picture": image})
    return kinds
