"""The page of drawings of what a network saw, which lie beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairvision.report.template import fill

STYLES = ("style.css", "explanations.css")


def render(settings: Mapping[str, object], entries: Sequence[Mapping[str, object]]) -> str:
    """Write a page that shows drawings; every name is escaped.

    Parameters
    ----------
    settings : `run`, `head`, `method`; perhaps `layer` and `kernels`
    entries : per image `image`, `answers`, and `evidence`, a file; perhaps `activations`, another

    Examples
    --------
    >>> settings = {"run": "a", "head": "b", "method": "c"}
    >>> entry = {"image": "<script>.png", "answers": "b: d", "evidence": "001.png"}
    >>> page = render(settings, [entry])
    >>> "<script>" in page, "001.png" in page
    (False, True)
    """
    return fill("explanations.html", styles=STYLES, settings=settings, entries=entries)
