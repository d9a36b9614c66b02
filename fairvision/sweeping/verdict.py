"""What a leaderboard says, in plain words; nothing is said that does not exceed the spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairvision.report.words import written
from fairvision.sweeping.board import REASON, Board, Column

ONE_SEED = (
    "every method was trained with one seed: another seed adds a spread of its own, so no method "
    "is called better than another"
)


def decide(board: Board, *, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Put the leaderboard into words.

    Parameters
    ----------
    board : the leaderboard
    notes : what to know before trusting the figures

    Returns
    -------
    `headline` (text), `answers` (each with `question`, `answer` and `status`: yes, no or unclear),
    `left_out` and `warnings`. Names are raw text.
    """
    warnings = [ONE_SEED] if board.seeds < 2 else []
    return {
        "headline": _headline(board),
        "answers": [_better(board, method) for method in board.methods[1:]],
        "left_out": [
            f"{column.word.name}: {column.word.undefined}"
            for column in board.columns
            if not board.defined(column)
        ],
        "warnings": [*warnings, *notes],
    }


def _better(board: Board, method: str) -> dict[str, str]:
    """Yes where a method is better in something and worse in nothing; no the other way round."""
    first = board.methods[0]
    said: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for column in board.columns:
        if board.cells[method, column].seeds and board.cells[first, column].seeds:
            way = board.compare(method, first, column)
            said[way].append(_change(board, method, column) if way else column.word.name)
    sentences = [
        f"{words}: {'; '.join(said[way])}."
        for way, words in ((1, "Better"), (-1, "Worse"), (0, "Not told apart by the spread"))
        if said[way]
    ]
    return {
        "question": f"Is {method} better than {first}?",
        "status": "unclear" if bool(said[1]) == bool(said[-1]) else "yes" if said[1] else "no",
        "answer": " ".join(sentences) or "No figure is defined for both.",
    }


def _change(board: Board, method: str, column: Column) -> str:
    ours, first = board.cells[method, column], board.cells[board.methods[0], column]
    before, after = (written(cell.mean, column.unit) for cell in (first, ours))
    text = f"{column.word.name} {before} to {after}"
    seeds = board.shown[method, column]
    return (
        f"{text} (shown by the pictures alone in {seeds} of {min(ours.seeds, first.seeds)} seeds)"
    )


def _headline(board: Board) -> str:
    """Tell who leads in errors, amplification and evidence, then whom to look at."""
    lines = []
    for attribute, parts in board.parts.items():
        columns = [column for some in parts.values() for column in some]
        asked = {
            "fewest errors": _first(board, columns, ("accuracy",)),
            "least amplification": _first(board, columns, ("directional T->A", "directional A->T")),
            REASON: _first(board, columns, ("reasons",)),
        }
        told = []
        for words, column in asked.items():
            if column is None:
                continue
            best = board.best(column)
            name = column.word.name.removeprefix("Amplification, ")
            what = f"{words} ({name})" if words != REASON else f"most {words}"
            value = "" if best is None else written(board.cells[best, column].mean, column.unit)
            told.append(f"{what}: {f'{best}, {value}' if best else 'no method stands out'}")
        if told:
            lines.append(f"{attribute or 'All pictures'}: {'; '.join(told)}.")
    first, others = board.methods[0], board.methods[1:]
    if others:
        good = [name for name in others if _better(board, name)["status"] == "yes"]
        lines.append(
            f"Better than {first} in something and worse in nothing: {', '.join(good) or 'none'}."
        )
    return "\n".join(lines)


def _first(board: Board, columns: Sequence[Column], metrics: Sequence[str]) -> Column | None:
    """Return the first column of the first metric that some method has."""
    found = (c for metric in metrics for c in columns if c.metric == metric and board.defined(c))
    return next(found, None)
