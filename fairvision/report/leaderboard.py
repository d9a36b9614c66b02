"""The page of a sweep: methods in rows, what is right, amplified and looked at in columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from fairvision.methods import METHODS
from fairvision.report import _HERE, _environment
from fairvision.report.panels import Panel
from fairvision.report.scatter import Axis, Point, looks, scatter
from fairvision.results import words

if TYPE_CHECKING:
    from fairvision.sweeping.board import Board, Column

STYLES = ("style.css", "leaderboard.css")
_EVIDENCE = ("pointing_game", "relevance_mass")


def render(*, board: Board, verdict: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Write the leaderboard of a sweep as one HTML page.

    Parameters
    ----------
    board : means and spreads, from `fairvision.sweeping.board.collect`
    verdict : `headline` (text), `answers` (each with `question`, `answer` and `status`), `left_out`
        and `warnings` (texts)
    settings : `dataset`, `split`, `n` (images), `model`, `attribution`, `replicates`, `seeds`,
        `options`, `options_of_methods`, `audits` (paths beside the page), `versions`

    Returns
    -------
    str
        The page, the same for the same input. A figure that is undefined is a dash with its reason.
    """
    styles = [
        {"name": _breakable(name), "key": name, "colour": colour, "glyph": glyph}
        for name, (colour, glyph) in zip(board.methods, looks(len(board.methods)), strict=True)
    ]
    tables = [
        (
            attribute,
            {heading: shown for heading, some in parts.items() if (shown := _shown(board, some))},
        )
        for attribute, parts in board.parts.items()
    ]
    page = (
        _environment()
        .get_template("leaderboard.html")
        .render(
            board=board,
            tables=[(attribute, parts) for attribute, parts in tables if parts],
            looks=styles,
            panels=[panel for attribute in board.parts for panel in _panels(board, attribute)],
            verdict=verdict,
            settings=settings,
            methods=METHODS,
            written=words.written,
            spread=_spread,
            style=Markup("".join((_HERE / name).read_text("utf-8") for name in STYLES)),
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be saved


def _shown(board: Board, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the columns that some method has, each with its heading and its best method."""
    return [
        {
            "column": column,
            "word": column.word,
            "name": column.word.name.replace("Amplification, ", "").replace(
                "undirected (MALS)", f"MALS, {column.task}"
            ),
            "best": board.best(column),
            "note": _note(board, column),
        }
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
    columns = [column for some in board.parts[attribute].values() for column in some]

    def first(*metrics: str) -> Column | None:
        wanted = (c for metric in metrics for c in columns if c.metric == metric)
        return next((c for c in wanted if board.defined(c)), None)

    accuracy = next(
        (c for c in columns if c.metric == "accuracy" and c.attribute and board.defined(c)), None
    ) or first("accuracy")
    amplified, evidence = first(*reversed(words.DIRECTIONS)), first(*_EVIDENCE)
    axes: dict[str, tuple[Axis, Column]] = {}
    if accuracy:
        axes["error"] = (
            Axis(f"error on {accuracy.task or attribute}", "fraction", "lower is better"),
            accuracy,
        )
    if amplified:
        name = amplified.word.name.removeprefix("Amplification, ")
        axes["amplification"] = (Axis(name, "difference", "best at 0"), amplified)
    if evidence:
        axes["evidence"] = (
            Axis(evidence.word.name.lower(), "fraction", "higher is better"),
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


def _values(board: Board, method: str, column: Column, kind: str) -> list[float]:
    found = board.cells[method, column].by_seed.values()
    values = [figure.value if figure else math.nan for figure in found]
    return [1 - value for value in values] if kind == "error" else values
