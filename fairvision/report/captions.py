"""The report on captioners: figures, outcomes, and captions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fairvision.report import plots
from fairvision.report.album import (
    FIRST,
    Tile,
    album,
    choices,
    counted,
    script,
    script_hash,
    telling_pair,
)
from fairvision.report.notes import readable
from fairvision.report.take import take_away
from fairvision.report.template import Look, fill, looks
from fairvision.results.figures import Figure, Figures, read
from fairvision.results.folder import CaptionSettings, settings_from
from fairvision.results.gallery import ASKED, GalleryImage
from fairvision.results.sections import (
    CAPTION_QUALITY,
    CAPTIONED_OBJECTS,
    CAPTIONED_PERSON,
    CAPTIONED_REST,
    CAUSES,
    EVIDENCE,
    WITHOUT_PERSON,
)
from fairvision.results.summary import cards, lead
from fairvision.results.verdict import Verdict

OUTCOMES = ("correct", "incorrect", "other")
WHY = (CAUSES, WITHOUT_PERSON, EVIDENCE)
STYLES = ("style.css", "captions.css")


def render(
    *,
    metrics: pd.DataFrame,
    models: Sequence[str],
    verdict: Verdict | Mapping[str, Any],
    gallery: Sequence[GalleryImage],
    settings: CaptionSettings | Mapping[str, Any],
    opposed: tuple[int, Sequence[GalleryImage]] = (0, ()),
) -> str:
    """Write the report of an audit of captions as one HTML page.

    Parameters
    ----------
    metrics : the metrics table, as it is or read back from `metrics.csv`
    models : names of the models; the others are compared with the first
    verdict : as in `fairvision.report.render`
    gallery : images to show, the most telling first, with a caption of each model (`Sentences` of
        `fairvision.results.gallery`)
    settings : how the audit was made
    opposed : how many images there are on which models contradict each other, and the first of
        them; listed where the page does not show all images

    Returns
    -------
    str
        The page, the same for the same input. What the figures do not hold is left out; a figure
        that is undefined is a dash with its n.
    """
    figures = read(metrics, models)
    settings = settings_from(CaptionSettings, settings)
    attribute, task = settings.attribute, settings.task
    parts = {
        CAPTIONED_PERSON.heading: figures.rows(CAPTIONED_PERSON, attribute),
        **{part.heading: figures.rows(part, attribute) for part in WHY},
        CAPTIONED_REST.heading: [
            *figures.rows(CAPTIONED_OBJECTS, attribute, task),
            *figures.rows(CAPTIONED_REST, attribute),
        ],
        CAPTION_QUALITY.heading: figures.rows(CAPTION_QUALITY, attribute),
    }
    opening = lead(metrics, models, settings.smallest_difference)
    marks = looks(models, plots.looks(len(models)))
    pictures = album(gallery, marks) if gallery else None
    tiles = pictures.tiles if pictures else []
    return fill(
        "captions.html",
        styles=STYLES,
        parts={heading: rows for heading, rows in parts.items() if rows},
        bars=_bars(figures, attribute, marks, settings.groups),
        looks=marks,
        lead=opening,
        cards=[
            card
            for card in cards(metrics, models, settings.smallest_difference)
            if any(e.pair for e in card.entries)
        ],
        album=pictures,
        pair=telling_pair(tiles, opening, models),
        first_tiles=FIRST,
        counted=counted(tiles, settings.n, chosen=_chosen(tiles)),
        of_tasks_only=False,
        choices=choices(gallery),
        script=script(),
        script_hash=script_hash(),
        take=take_away(metrics, opening, models, settings),
        verdict=readable(Verdict.of(verdict), models),
        opposed=(0, ()) if len(tiles) >= settings.n else opposed,
        settings=settings,
    )


def _chosen(tiles: Sequence[Tile]) -> str:
    """Say how a sample was drawn: of images that have a file first."""
    with_file = [bool(tile.uri) for tile in tiles if tile.image.kind != ASKED]
    if not any(with_file):
        return "drawn at random"
    if all(with_file):
        return "drawn at random of those with a file"
    return "those with a file and others drawn at random"


def _bars(
    figures: Figures, attribute: str, marks: Sequence[Look], groups: Sequence[str]
) -> list[tuple[str, Look, list[Figure | None]]]:
    """Return group, model, and the shares of the three outcomes."""
    bars = [
        (
            group,
            mark,
            [
                figures.get(mark.name, "outcomes", attribute, group=group, label=outcome)
                for outcome in OUTCOMES
            ],
        )
        for group in groups
        for mark in marks
    ]
    return [(group, mark, shares) for group, mark, shares in bars if any(shares)]
