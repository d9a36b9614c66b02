"""An audit in a notebook: what was found, as cards, and the accuracies, in HTML without script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import pandas as pd

from fairvision.results.figures import Figure, Figures, read
from fairvision.results.findings import Finding, findings
from fairvision.results.verdict import Verdict
from fairvision.results.words import plain, words_of

_WORDS = {
    "concern": "concern",
    "none shown": "no concern shown",
    "cannot say": "cannot say",
}
_COLOURS = {"concern": "#c5221f", "none shown": "#5f6368", "cannot say": "#9aa0a6"}
_CARD = (
    "flex:1 1 14em;border:1px solid #9aa0a6;border-left:.4em solid {};border-radius:.3em;"
    "padding:.5em .8em"
)
_MOST_ROWS = 24


def as_html(metrics: pd.DataFrame, models: Sequence[str], verdict: Verdict, page: str) -> str:
    """Return an audit in HTML: headline, a card for each question that was answered, accuracies.

    Names are escaped, styles stand in the elements, and there is no script.

    Parameters
    ----------
    metrics : the metrics table
    models : names of the models
    verdict : what the figures say
    page : where the report is

    Examples
    --------
    >>> row = {"model": "<m>", "metric": "accuracy_gap", "attribute": "gender", "task": "",
    ...        "group": "", "label": "", "value": 0.2, "low": 0.1, "high": 0.3, "n": 90,
    ...        "unit": "difference"}
    >>> html = as_html(pd.DataFrame([row]), ["<m>"], Verdict("All is counted."), "report.html")
    >>> "&lt;m&gt;: <b>+0.200</b>" in html, "<m>" in html, "Are all groups served alike?" in html
    (True, False, True)
    """
    figures = read(metrics, models)
    headline = "<br>".join(_text(line) for line in verdict.headline.splitlines())
    cards = "".join(_cards(figures, findings(metrics, models))) or _answers(verdict)
    return (
        f'<div style="max-width:70em"><p><b>{headline}</b></p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:.6em">{cards}</div>'
        f"{_accuracies(figures)}<p>Report: <code>{_text(page)}</code></p></div>"
    )


def _cards(figures: Figures, listed: Sequence[Finding]) -> Iterator[str]:
    """Yield a card for each question that some figure answers, with a line for each model."""
    for question in dict.fromkeys(finding.question for finding in listed):
        answers = [finding for finding in listed if finding.question == question and finding.n]
        lines = []
        for model in figures.models:
            of_model = [finding for finding in answers if finding.model == model]
            if of_model:
                lines.append(min(of_model, key=lambda f: list(_COLOURS).index(f.status)))
        if lines:
            worst = min((line.status for line in lines), key=list(_COLOURS).index)
            body = "".join(f"<div>{_line(figures, line)}</div>" for line in lines)
            yield (
                f'<div style="{_CARD.format(_COLOURS[worst])}"><div><b>{_text(question)}</b></div>'
                f"{body}</div>"
            )


def _line(figures: Figures, finding: Finding) -> str:
    """Return what a finding says of a model, in a line."""
    figure = figures.get(finding.model, finding.metric, finding.attribute, finding.task)
    title = words_of(finding.metric, finding.attribute, finding.task).title
    ends = (finding.extremes.worst, finding.extremes.best) if finding.extremes else ()
    of_ends = _text(": " * bool(ends) + ", ".join(f"{end.group} {end.figure}" for end in ends))
    value = "–" if figure is None else _figure(figure)
    return (
        f"{_text(finding.model)}: {value}<br><small>{_text(title)}{of_ends} "
        f"(<b>{_WORDS[finding.status]}</b>)</small>"
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
