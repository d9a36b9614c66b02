"""What a leaderboard says, in plain words; nothing is said that does not exceed the spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairvision.results.words import written
from fairvision.sweeping.board import REASON, Board, Column, Learnt

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
    warnings += [
        f"{attribute}: {method} has learnt little: {_guessed(learnt)}. What learns nothing neither "
        "amplifies nor leans, so read its other figures with that in mind, or train it longer"
        for (method, attribute), learnt in board.learnt.items()
        if learnt.little
    ]
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
    found = _compared(board, method, first)
    said = {
        way: [_change(board, method, c) if way else c.word.name for c in columns]
        for way, columns in found.items()
    }
    sentences = [
        f"{words}: {'; '.join(said[way])}."
        for way, words in ((1, "Better"), (-1, "Worse"), (0, "Not told apart"))
        if said[way]
    ]
    return {
        "question": f"Is {method} better than {first}?",
        "status": _status(found),
        "answer": " ".join(sentences) or "No figure is defined for both.",
    }


def _compared(board: Board, method: str, other: str) -> dict[int, list[Column]]:
    """Return the columns in which a method is better than another (1), worse (-1), or neither."""
    found: dict[int, list[Column]] = {1: [], -1: [], 0: []}
    for column in board.columns:
        if board.cells[method, column].seeds and board.cells[other, column].seeds:
            found[board.compare(method, other, column)].append(column)
    return found


def _status(found: dict[int, list[Column]]) -> str:
    return "unclear" if bool(found[1]) == bool(found[-1]) else "yes" if found[1] else "no"


def _change(board: Board, method: str, column: Column) -> str:
    ours, first = board.cells[method, column], board.cells[board.methods[0], column]
    before, after = (written(cell.mean, column.unit) for cell in (first, ours))
    text = f"{column.word.name} {before} to {after}"
    seeds = board.shown[method, column]
    return (
        f"{text} (shown by the pictures alone in {seeds} of {min(ours.seeds, first.seeds)} seeds)"
    )


def _headline(board: Board) -> str:
    """Tell which method to pick, then who leads in errors, amplification and evidence."""
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
    return "\n".join([_pick(board), *lines] if board.methods[1:] else lines)


def _pick(board: Board) -> str:
    """Tell which method to pick, and why: one without a price that no other such one is beyond."""
    first, others = board.methods[0], board.methods[1:]
    if board.seeds < 2:
        return "Which to pick: one seed cannot tell. Sweep again with --seeds 0,1,2."
    of_first = {
        name: own for (method, name), own in board.learnt.items() if method == first and own.seeds
    }
    if of_first and all(learnt.little for learnt in of_first.values()):
        name, learnt = next(iter(of_first.items()))
        return (
            f"Which to pick: not to be told from this sweep, as {first} has learnt little about "
            f"{name}: {_guessed(learnt)}. Train longer (--epochs), or on more pictures."
        )
    found = {name: _compared(board, name, first) for name in others}
    good = [name for name in others if _status(found[name]) == "yes"]
    leading = [
        name
        for name in good
        if not any(_status(_compared(board, other, name)) == "yes" for other in good)
    ] or good
    if leading:
        why = [f"better than {first} in {_named(found[name][1])}" for name in leading]
        if len(leading) > 1:
            why = [f"{name} is {words}" for name, words in zip(leading, why)]
        return f"Which to pick: {' or '.join(leading)}: {'; '.join(why)}; worse in no column."
    if mixed := [name for name in others if found[name][1]]:
        prices = [
            f"{name} gains in {_named(found[name][1])}, and loses in {_named(found[name][-1])}."
            for name in mixed
        ]
        return "\n".join(
            [f"Which to pick: no method is better than {first} without a price.", *prices]
        )
    return f"Which to pick: {first}. The seeds show no method to be better in any column."


def _guessed(learnt: Learnt) -> str:
    recall, guess = written(learnt.recall), written(learnt.guess)
    return f"its mean recall over the groups is {recall}, and that of a guess {guess}"


def _named(columns: Sequence[Column], most: int = 3) -> str:
    """Name some columns, the first ones if they are many."""
    names = [f"“{column.word.name}”" for column in columns]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _first(board: Board, columns: Sequence[Column], metrics: Sequence[str]) -> Column | None:
    """Return the first column of the first metric that some method has."""
    found = (c for metric in metrics for c in columns if c.metric == metric and board.defined(c))
    return next(found, None)
