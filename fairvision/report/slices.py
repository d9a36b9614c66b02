"""The page of slices and words with many errors, whose sheets of pictures lie beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairvision.report.template import fill

STYLES = ("style.css", "explanations.css")


def render(
    audit: str, slices: Sequence[Mapping[str, Any]], words: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Write a page that shows slices, those first that are confirmed; every name is escaped.

    Parameters
    ----------
    audit : what is looked into
    slices : of each `model`, `about`, `slice`, `confirmed`, `says` and `file`, a sheet of pictures
    words : of each `model`, `about`, `word`, `n`, `confirmed`, and `error` and `elsewhere` as texts

    Examples
    --------
    >>> of = {"model": "<b>", "about": "gender", "slice": 1, "confirmed": True, "says": "wrong."}
    >>> page = render("audit", [{**of, "file": "b/slice-01.png"}])
    >>> "<b>" in page, "b/slice-01.png" in page, "1 of 1 slice is confirmed" in page
    (False, True, True)
    """
    parts = {False: [of for of in slices if not of["confirmed"]]}
    parts[True] = [of for of in slices if of["confirmed"]]
    return fill(
        "slices.html",
        styles=STYLES,
        audit=audit,
        confirmed=parts[True],
        unconfirmed=parts[False],
        words=sorted(words, key=lambda of: not of["confirmed"]),
    )
