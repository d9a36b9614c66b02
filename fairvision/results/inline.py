"""An audit in a notebook: what a report opens with, and the accuracies, in HTML without script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from fairvision.results.figures import Figure, Figures, read
from fairvision.results.summary import Card, Entry, cards, lead
from fairvision.results.verdict import Verdict
from fairvision.results.words import plain

_WORDS = {
    "concern": "concern",
    "shown small": "shown to be small",
    "none shown": "no concern shown",
    "cannot say": "cannot say",
}
_COLOURS = {
    "concern": "#c5221f",
    "shown small": "#188038",
    "none shown": "#5f6368",
    "cannot say": "#9aa0a6",
}
_CARD = (
    "flex:1 1 14em;border:1px solid #9aa0a6;border-left:.4em solid {};border-radius:.3em;"
    "padding:.5em .8em"
)
_MOST_ROWS = 24


def as_html(
    metrics: pd.DataFrame,
    models: Sequence[str],
    verdict: Verdict,
    page: str,
    *,
    smallest_difference: float = 0.0,
) -> str:
    """Return an audit in HTML: headline, a card for each question that was answered, accuracies.

    Names are escaped, styles stand in the elements, and there is no script.

    Parameters
    ----------
    metrics : the metrics table
    models : names of the models
    verdict : what the figures say
    page : where the report is
    smallest_difference : in points, as for `fairvision.results.findings.findings`

    Examples
    --------
    >>> row = {"model": "<m>", "metric": "accuracy", "attribute": "gender", "task": "",
    ...        "label": "", "value": 0.9, "low": 0.8, "high": 1.0, "n": 50, "unit": "fraction"}
    >>> rows = [{**row, "group": "female"}, {**row, "group": "male", "value": 0.3}]
    >>> gap = {"metric": "accuracy_gap", "group": "", "value": 0.6, "low": 0.5, "high": 0.7}
    >>> table = pd.DataFrame([*rows, {**row, **gap, "n": 100}])
    >>> html = as_html(table, ["<m>"], Verdict("All is counted."), "report.html")
    >>> "It gets 9 of 10 annotated “female” right" in html, "90% / 30%" in html, "<m>" in html
    (True, True, False)
    """
    figures = read(metrics, models)
    sentences = (
        lead(metrics, models, smallest_difference).sentences
        or verdict.headline.splitlines()
        or [page]
    )
    asked = cards(metrics, models, smallest_difference)
    drawn = [_card(card) for card in asked if any(e.pair for e in card.entries)]
    title, *rest = (_text(sentence) for sentence in sentences)
    return (
        f'<div style="max-width:70em"><p><b>{title}</b><br>{" ".join(rest)}</p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:.6em">'
        f"{''.join(drawn) or _answers(verdict)}</div>"
        f"{_accuracies(figures)}<p>Report: <code>{_text(page)}</code></p></div>"
    )


def _card(card: Card) -> str:
    """Return a question with what is shown of each model."""
    body = "".join(f"<div>{_entry(entry)}</div>" for entry in card.entries)
    return (
        f'<div style="{_CARD.format(_COLOURS[card.status])}"><div><b>{_text(card.question)}</b>'
        f"</div>{body}</div>"
    )


def _entry(entry: Entry) -> str:
    """Return what a card says of a model."""
    pair = f" <b>{_text(' / '.join(entry.pair))}</b>" if entry.pair else ""
    about = "; ".join(filter(None, (entry.words, entry.small)))
    return (
        f"{_text(entry.model)}:{pair} <b>({_WORDS[entry.status]})</b>"
        f"<br><small>{_text(about)}</small>"
    )


def _answers(verdict: Verdict) -> str:
    """Return a card for each answer of a verdict."""
    return "".join(
        f'<div style="{_CARD.format(_COLOURS["none shown"])}"><div><b>{_text(answer.question)}</b>'
        f"</div>{_text(answer.answer)}</div>"
        for answer in verdict.answers
    )


def _accuracies(figures: Figures) -> str:
    """Return a table of accuracies, of all images and by group, a column for each model."""
    rows = []
    keys = [(a, "", group) for a in figures.attributes for group in ("", *figures.groups(a))]
    for attribute, task, group in [*keys, *(("", task, "") for task in figures.tasks)]:
        of_models = [figures.get(m, "accuracy", attribute, task, group) for m in figures.models]
        if any(of_models):
            head = f"Accuracy on {attribute or task}" + (f", {group}" if group else "")
            columns = "".join(f"<td>{_figure(cell) if cell else '–'}</td>" for cell in of_models)
            rows.append(f'<tr><th style="text-align:left">{_text(head)}</th>{columns}</tr>')
    if not rows:
        return ""
    names = "".join(f"<th>{_text(model)}</th>" for model in figures.models)
    more = len(rows) - _MOST_ROWS
    rest = f"<p>{more} more rows are in <code>metrics</code>.</p>" if more > 0 else ""
    return f"<table><tr><th></th>{names}</tr>{''.join(rows[:_MOST_ROWS])}</table>{rest}"


def _figure(figure: Figure) -> str:
    """Return a figure with its interval and n."""
    return f"<b>{_text(str(figure))}</b> <small>({figure.interval}, n = {figure.n})</small>"


def _text(text: str) -> str:
    """Return text that comes from data, for a page."""
    return escape(plain(text))
