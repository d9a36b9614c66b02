"""The report: what matters first, all pictures to look through, and figures, on one page.

Needs neither torch nor a network. It holds one script, which its policy names; every name on it is
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fairvision.metrics.causes import EVIDENCE_CELLS, REASONS
from fairvision.report import leaning, overview, panels, plots, task_panels
from fairvision.report.album import (
    FIRST,
    album,
    choices,
    counted,
    script,
    script_hash,
    telling_pair,
)
from fairvision.report.notes import readable
from fairvision.report.take import take_away
from fairvision.report.template import fill, looks
from fairvision.results.expectations import checks
from fairvision.results.figures import Figure, Figures, Row, read
from fairvision.results.folder import AuditSettings, settings_from
from fairvision.results.gallery import GalleryImage
from fairvision.results.sections import TASK
from fairvision.results.summary import cards, lead
from fairvision.results.verdict import Verdict
from fairvision.schema import UNKNOWN

__all__ = ["render"]

WITH_LABELS = "those with a label, or a random sample of them"
_LABELS = {"reasons": REASONS, "evidence_cells": EVIDENCE_CELLS}


def render(
    *,
    metrics: pd.DataFrame,
    models: Sequence[str],
    verdict: Verdict | Mapping[str, Any],
    gallery: Sequence[GalleryImage | Mapping[str, Any]],
    settings: AuditSettings | Mapping[str, Any],
) -> str:
    """Write the report of an audit as one HTML page.

    Parameters
    ----------
    metrics : the metrics table (see docs/design.md), as it is or read back from `metrics.csv`
    models : names of the models; the others are compared with the first
    verdict : what the figures say; or `headline` (text), `answers` (each with `question`, `answer`
        and `status`, which is `yes`, `no` or `unclear`), `left_out` and `warnings` (texts)
    gallery : images to show; or dictionaries, each with `cell` (one of
        `KINDS` or `EVIDENCE_KINDS` of `fairvision.results.gallery`), `id`, `attribute`, `truth`,
        `labels`, `picture` (height, width, 3; uint8), `mask` (height, width; bool) or None, and
        per model `name`, `answer`, `probability`, `map` (height, width; float) and `inside`
        (whether the evidence lies on the person); where they are known, `mass` (share of the
        model's evidence that does) and the image's `chance`, or None
    settings : how the audit was made; or `dataset`, `split`, `n` (images), `attribution`,
        `replicates`, `confidence`, `seed`, `versions`, `runs` and `counts` (lists of records)

    Returns
    -------
    str
        The page, the same for the same input. What the figures do not hold is left out, with a
        sentence in its place; a figure that is undefined is a dash with its n.

    Examples
    --------
    >>> metrics = pd.DataFrame(
    ...     [["plain", "accuracy", "age", "", "", "", 0.9, 0.8, 1.0, 50, "fraction"]],
    ...     columns="model metric attribute task group label value low high n unit".split(),
    ... )
    >>> page = render(
    ...     metrics=metrics,
    ...     models=["plain"],
    ...     verdict={"headline": "No bias shown.", "answers": [], "left_out": [], "warnings": []},
    ...     gallery=[],
    ...     settings={
    ...         "dataset": "faces", "split": "test", "n": 50, "attribution": "gradcam",
    ...         "replicates": 1000, "confidence": 0.95, "seed": 0, "versions": {}, "runs": [],
    ...         "counts": [],
    ...     },
    ... )
    >>> page.startswith("<!doctype html>"), "90.0%" in page
    (True, True)
    """
    figures = read(metrics, models)
    images = [GalleryImage.of(item) for item in gallery]
    about = settings_from(AuditSettings, settings)
    marks = looks(models, plots.looks(len(models)))
    opening = lead(metrics, models, about.smallest_difference)
    pictures = album(images, marks) if images else None
    of_tasks_only = bool(images) and all(image.of_task for image in images)
    return fill(
        "page.html",
        figures=figures,
        attributes=[_attribute(figures, name) for name in figures.attributes],
        tasks={task: figures.rows(TASK, task=task) for task in figures.tasks},
        looks=marks,
        verdict=readable(Verdict.of(verdict), models),
        lead=opening,
        cards=cards(metrics, models, about.smallest_difference),
        album=pictures,
        pair=telling_pair(pictures.tiles, opening, models) if pictures else [],
        first_tiles=FIRST,
        counted=counted(
            pictures.tiles if pictures else [],
            about.n,
            chosen=WITH_LABELS if of_tasks_only else "drawn at random",
        ),
        of_tasks_only=of_tasks_only,
        choices=choices(images),
        script=script(),
        script_hash=script_hash(),
        overview=overview.columns(figures),
        take=take_away(metrics, opening, models, about),
        settings=about,
        labels_of=_LABELS,
        leaning=leaning.section(metrics, figures),
        sanity=checks(figures),
        of_tasks=task_panels.columns(figures),
        names_groups=[m for m in models if m not in figures.tasks_only],
    )


@dataclass(frozen=True)
class _Attribute:
    """All that the page shows of one attribute.

    Attributes
    ----------
    name, groups, annotated : its name, its groups, and these without `unknown`
    parts, more : rows of the comparison, under headings, shown and folded away
    panels : plots by the question that they answer
    shares : of `reasons` and of `evidence_cells`: model, group and the figure of each label
    confusion : whether there are figures of it
    """

    name: str
    groups: list[str]
    annotated: list[str]
    parts: dict[str, list[Row]]
    more: dict[str, list[Row]]
    panels: dict[str, list[panels.Panel]]
    shares: dict[str, list[tuple[str, str, list[Figure | None]]]]
    confusion: bool


def _attribute(figures: Figures, name: str) -> _Attribute:
    """Return what the page shows of an attribute: its figures, panels and reasons."""
    groups = figures.groups(name)
    drawn: dict[str, Iterable[panels.Panel]] = {
        "Does it amplify?": (
            *panels.amplification(figures, name),
            *panels.person_effects(figures, name),
        )
    }
    if figures.tasks_only:
        drawn["For whom is it right about the tasks?"] = task_panels.right(figures, name)
        drawn["Does the evidence for the tasks lie on their objects?"] = task_panels.evidence(
            figures, name
        )
    if len(figures.tasks_only) < len(figures.models):
        drawn |= {
            "Does it lean on the context?": (
                *panels.context(figures, name),
                *panels.hidden(figures, name),
                *panels.consistency(figures, name),
            ),
            "Does the evidence lie on the person?": (
                *panels.evidence(figures, name),
                *panels.split(figures, name),
            ),
        }
    return _Attribute(
        name=name,
        groups=groups,
        annotated=[group for group in groups if group != UNKNOWN],
        parts=figures.parts(name),
        more=figures.parts(name, folded=True),
        panels={question: list(plotted) for question, plotted in drawn.items()},
        shares={
            metric: _shares(figures, name, metric, labels) for metric, labels in _LABELS.items()
        },
        confusion=any(key[:2] == ("confusion", name) for _, key in figures.table),
    )


def _shares(
    figures: Figures, attribute: str, metric: str, labels: Sequence[str]
) -> list[tuple[str, str, list[Figure | None]]]:
    """Return model, group and the figure of each label, of all images and of each group."""
    rows = [
        (
            model,
            group,
            [figures.get(model, metric, attribute, group=group, label=label) for label in labels],
        )
        for group in ("", *figures.groups(attribute))
        for model in figures.models
    ]
    return [row for row in rows if any(row[2])]
