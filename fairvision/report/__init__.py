"""The report: figures, plots and telling images on one page that needs nothing else.

Needs neither torch nor a network, and holds no script; every name on it is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairvision.report import gallery as _gallery
from fairvision.report import leaning as _leaning
from fairvision.report import panels, plots
from fairvision.report import sanity as _sanity
from fairvision.results import figures as _figures
from fairvision.results import words

__all__ = ["render"]

_HERE = Path(__file__).parent


def render(
    *,
    metrics: pd.DataFrame,
    models: Sequence[str],
    verdict: dict[str, Any],
    gallery: Sequence[dict[str, Any]],
    settings: dict[str, Any],
) -> str:
    """Write the report of an audit as one HTML page.

    Parameters
    ----------
    metrics : the metrics table (see docs/design.md), as it is or read back from `metrics.csv`
    models : names of the models; the others are compared with the first
    verdict : `headline` (text), `answers` (each with `question`, `answer` and `status`, which is
        `yes`, `no` or `unclear`), `left_out` and `warnings` (texts)
    gallery : images to show, each with `cell` (a name of `words.GALLERY_CELLS`), `id`,
        `attribute`, `truth`, `labels`, `image` (height, width, 3; uint8), `mask` (height,
        width; bool) or None, and per model `name`, `answer`, `probability`, `map` (height,
        width; float) and `inside` (whether the evidence lies on the person); where they are known,
        `mass` (share of the model's evidence that does) and the image's `chance`, or None
    settings : `dataset`, `split`, `n` (images), `attribution`, `replicates`, `confidence`,
        `seed`, `versions`, `runs` and `counts` (lists of records)

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
    figures = _figures.read(metrics, list(models))
    items = [_gallery.drawn(item) for item in gallery]
    page = (
        _environment()
        .get_template("page.html")
        .render(
            figures=figures,
            attributes=[_attribute(figures, name) for name in figures.attributes],
            tasks={task: figures.rows(words.TASK_ROWS, task=task) for task in figures.tasks},
            looks=[
                {"name": name, "colour": colour, "glyph": glyph}
                for name, (colour, glyph) in zip(models, plots.looks(len(models)), strict=True)
            ],
            verdict=verdict,
            gallery={
                cell: [item for item in items if item["cell"] == cell]
                for cell in words.GALLERY_CELLS
            },
            scale=_gallery.scale() if items else "",
            settings=settings,
            style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
            reasons=words.REASONS,
            leaning=_leaning.section(metrics, figures),
            sanity=_sanity.section(figures),
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be saved


def _attribute(figures: _figures.Figures, name: str) -> dict[str, Any]:
    """Return all that the page shows of one attribute."""
    groups = figures.groups(name)
    drawn = {
        "Does it amplify?": panels.amplification(figures, name),
        "Does it lean on the context?": (
            *panels.context(figures, name),
            *panels.hidden(figures, name),
        ),
        "Does the evidence lie on the person?": (
            *panels.evidence(figures, name),
            *panels.split(figures, name),
        ),
    }
    return {
        "name": name,
        "groups": groups,
        "known": [group for group in groups if group != _figures.UNKNOWN],
        "parts": figures.parts(name),
        "more": figures.more(name),
        "panels": {question: list(found) for question, found in drawn.items()},
        "reasons": [
            (model, group, cells)
            for group in ("", *groups)
            for model in figures.models
            if any(cells := _cells(figures, model, name, group))
        ],
        "confusion": any(key[1:3] == ("confusion", name) for key in figures.table),
    }


def _cells(
    figures: _figures.Figures, model: str, attribute: str, group: str
) -> list[_figures.Figure | None]:
    """Return a model's figures of the four cells of `reasons`, in order."""
    return [
        figures.get(model, "reasons", attribute, group=group, label=cell) for cell in words.REASONS
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: words.plain(value) if type(value) is str else value,
    )
    environment.filters["short"] = words.short
    environment.filters["svg"] = Markup
    return environment
