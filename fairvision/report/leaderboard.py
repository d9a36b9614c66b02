"""The page of a sweep: methods in rows, what is right, amplified and looked at in columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape

from fairvision.report.panels import Panel
from fairvision.report.scatter import Axis, Point, scatter
from fairvision.report.scatter import looks as distinct_looks
from fairvision.report.template import fill, looks
from fairvision.results import words
from fairvision.results.entries.amplification import DIRECTIONS
from fairvision.results.folder import SweepSettings
from fairvision.results.leaderboard import Board, Column
from fairvision.results.metric import Words
from fairvision.results.verdict import Verdict

STYLES = ("style.css", "leaderboard.css")
_EVIDENCE = ("pointing_game", "relevance_mass")


def render(*, board: Board, verdict: Verdict | Mapping[str, Any], settings: SweepSettings) -> str:
    """Write the leaderboard of a sweep as one HTML page.

    Parameters
    ----------
    board : means and spreads, from `fairvision.results.leaderboard.collect`
    verdict : what they say; or a dictionary as in `fairvision.report.render`
    settings : how the sweep was made

    Returns
    -------
    str
        The page, the same for the same input. A figure that is undefined is a dash with its reason.
    """
    methods = board.methods
    tables = [
        (
            attribute,
            {
                heading: shown
                for heading, columns in parts.items()
                if (shown := _shown(board, columns))
            },
        )
        for attribute, parts in board.parts.items()
    ]
    return fill(
        "leaderboard.html",
        styles=STYLES,
        board=board,
        tables=[(attribute, parts) for attribute, parts in tables if parts],
        looks=[
            replace(look, name=_breakable(look.name))
            for look in looks(methods, distinct_looks(len(methods)))
        ],
        panels=[panel for attribute in board.parts for panel in _panels(board, attribute)],
        verdict=Verdict.of(verdict),
        settings=settings,
        written=words.written,
        spread=_spread,
    )


@dataclass(frozen=True)
class _Heading:
    """A column with its heading, its best method, and the level it is held against."""

    column: Column
    words: Words
    name: str
    best: str | None
    note: str


def _shown(board: Board, columns: Sequence[Column]) -> list[_Heading]:
    """Return the columns that some method has."""
    return [
        _Heading(
            column,
            column.words,
            column.words.title.replace("Amplification, ", "").replace(
                "undirected (MALS)", f"MALS, {column.task}"
            ),
            board.best(column),
            _note(board, column),
        )
        for column in columns
        if board.defined(column)
    ]


def _note(board: Board, column: Column) -> str:
    """Return the level that a column is held against, where there is one."""
    if column.metric == "hidden_accuracy":
        share = board.share[column.attribute]
        return "" if math.isnan(share) else f"largest group {words.written(share)}"
    if column.metric in _EVIDENCE:
        chance = board.chance[column.attribute]
        return "" if math.isnan(chance) else f"by chance {words.written(chance)}"
    return ""


def _breakable(name: str) -> Markup:
    """Return a name, escaped, that may go on in the next line after an underscore."""
    return escape(words.plain(name)).replace("_", Markup("_<wbr>"))


def _spread(sd: float, unit: str) -> str:
    """Write a standard deviation, without a sign."""
    return words.written(sd, unit).removeprefix("+")


def _panels(board: Board, attribute: str) -> Iterator[Panel]:
    """Yield error, amplification and evidence against each other, as far as they are measured."""
    if not attribute:
        return
    columns = [
        column
        for of_part in board.parts[attribute].values()
        for column in of_part
        if board.defined(column)
    ]

    def first(*metrics: str) -> Column | None:
        return next((c for metric in metrics for c in columns if c.metric == metric), None)

    accuracy = next((c for c in columns if c.metric == "accuracy" and c.attribute), None) or first(
        "accuracy"
    )
    amplified, evidence = first(*reversed(DIRECTIONS)), first(*_EVIDENCE)
    axes: dict[str, tuple[Axis, Column]] = {}
    if accuracy:
        axes["error"] = (
            Axis(f"error on {accuracy.task or attribute}", "fraction", "lower is better"),
            accuracy,
        )
    if amplified:
        name = amplified.words.title.removeprefix("Amplification, ")
        axes["amplification"] = (Axis(name, "difference", "best at 0"), amplified)
    if evidence:
        axes["evidence"] = (
            Axis(evidence.words.title.lower(), "fraction", "higher is better"),
            evidence,
        )
    place = list(board.parts).index(attribute)
    for across, up in (
        ("error", "amplification"),
        ("error", "evidence"),
        ("amplification", "evidence"),
    ):
        if across not in axes or up not in axes:
            continue
        (x, x_column), (y, y_column) = axes[across], axes[up]
        title = f"{across.capitalize()} against {up}"
        if len(board.parts) > 1:
            title = f"{title}, {attribute}"
        points = [
            Point(
                method,
                list(
                    zip(
                        _values(board, method, x_column, across),
                        _values(board, method, y_column, up),
                    )
                ),
            )
            for method in board.methods
        ]
        svg = scatter(points, x, y, description=title, key=f"{across}-{up}-{place}")
        if svg is not None:
            yield Panel(title, "", svg)


def _values(board: Board, method: str, column: Column, axis: str) -> list[float]:
    """Return a method's figures by seed; of accuracy, the error."""
    figures = board.summaries[method, column].by_seed.values()
    values = [figure.value if figure else math.nan for figure in figures]
    return [1 - value for value in values] if axis == "error" else values
