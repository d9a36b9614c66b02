"""What a leaderboard says, in plain words; nothing is said that does not exceed the spread."""

from __future__ import annotations

from collections.abc import Sequence

from fairvision.results.entries.amplification import A_TO_T, T_TO_A
from fairvision.results.leaderboard import Board, Column, Learnt
from fairvision.results.verdict import Answer, Status, Verdict
from fairvision.results.words import written

ONE_SEED = (
    "every method was trained with one seed: another seed adds a spread of its own, so no method "
    "is called better than another"
)


def judge(board: Board, *, notes: Sequence[str] = ()) -> Verdict:
    """Put the leaderboard into words.

    Parameters
    ----------
    board : the leaderboard
    notes : what to know before trusting the figures
    """
    warnings = [ONE_SEED] if board.seeds < 2 else []
    warnings += [
        f"{attribute}: {method} has learnt little: {_figure_and_guess(learnt)}. What learns "
        "nothing neither amplifies nor leans, so read its other figures with that in mind, or "
        "train it longer"
        for (method, attribute), learnt in board.learnt.items()
        if learnt.little
    ]
    return Verdict(
        _headline(board),
        tuple(_better(board, method) for method in board.methods[1:]),
        tuple(
            f"{column.words.title}: {column.words.undefined}"
            for column in board.columns
            if not board.defined(column)
        ),
        (*warnings, *notes),
    )


def _better(board: Board, method: str) -> Answer:
    """Yes where a method is better in something and worse in nothing; no the other way round.

    No as well where it has learnt little of what the first method has learnt.
    """
    first = board.methods[0]
    compared = _compared(board, method, first)
    phrases = {
        sign: [_change(board, method, c) if sign else c.words.title for c in columns]
        for sign, columns in compared.items()
    }
    little = board.learnt_little(method)
    sentences = [f"It has learnt little about {', '.join(little)}."] if little else []
    sentences += [
        f"{way}: {'; '.join(phrases[sign])}."
        for sign, way in ((1, "Better"), (-1, "Worse"), (0, "Not told apart"))
        if phrases[sign]
    ]
    return Answer(
        f"Is {method} better than {first}?",
        " ".join(sentences) or "No figure is defined for both.",
        "no" if _falls_short(board, method) else _status(compared),
    )


def _falls_short(board: Board, method: str) -> bool:
    """Return whether a method has learnt little of what the first one has learnt."""
    return not {*board.learnt_little(method)} <= {*board.learnt_little(board.methods[0])}


def _compared(board: Board, method: str, other: str) -> dict[int, list[Column]]:
    """Return the columns in which a method is better than another (1), worse (-1), or neither."""
    compared: dict[int, list[Column]] = {1: [], -1: [], 0: []}
    for column in board.columns:
        if board.summaries[method, column].seeds and board.summaries[other, column].seeds:
            compared[board.compare(method, other, column)].append(column)
    return compared


def _status(compared: dict[int, list[Column]]) -> Status:
    """Return "yes" if figures are only better, "no" if only worse, and "unclear" otherwise."""
    better, worse = bool(compared[1]), bool(compared[-1])
    return "unclear" if better == worse else "yes" if better else "no"


def _change(board: Board, method: str, column: Column) -> str:
    """Return in words how a method changes a figure, and in how many seeds that is shown."""
    ours, first = board.summaries[method, column], board.summaries[board.methods[0], column]
    before, after = (written(summary.mean, column.unit) for summary in (first, ours))
    text = f"{column.words.title} {before} to {after}"
    seeds = board.shown[method, column]
    return (
        f"{text} (shown by the pictures alone in {seeds} of {min(ours.seeds, first.seeds)} seeds)"
    )


def _headline(board: Board) -> str:
    """Tell which method to pick, then who leads in rank, errors, amplification and reasons."""
    lines = []
    for attribute, parts in board.parts.items():
        columns = [column for of_part in parts.values() for column in of_part]
        leaders = {
            "fewest errors": _first(board, columns, ("accuracy",)),
            "least amplification": _first(board, columns, (T_TO_A, A_TO_T)),
            "most right for the right reasons": _first(board, columns, ("reasons",)),
        }
        phrases = _leading(board, attribute)
        for title, column in leaders.items():
            if column is None:
                continue
            best = board.best(column)
            if column.metric != "reasons":
                title = f"{title} ({column.words.title.removeprefix('Amplification, ')})"
            mean = "" if best is None else written(board.summaries[best, column].mean, column.unit)
            phrases.append(f"{title}: {f'{best}, {mean}' if best else 'no method stands out'}")
        if phrases:
            lines.append(f"{attribute or 'All pictures'}: {'; '.join(phrases)}.")
    return "\n".join([_pick(board), *lines] if board.methods[1:] else lines)


def _leading(board: Board, attribute: str) -> list[str]:
    """Return in words who has the first rank, where not all that have one share it."""
    ranks = {method: board.rank(method, attribute) for method in board.methods}
    ranked = [rank for rank in ranks.values() if rank is not None]
    if not ranked or max(ranked) == 1:
        return []
    return [f"first in rank: {', '.join(method for method, rank in ranks.items() if rank == 1)}"]


def _pick(board: Board) -> str:
    """Tell which method to pick, and why: one without a price that no other such one is beyond."""
    first, others = board.methods[0], board.methods[1:]
    if board.seeds < 2:
        return "Which to pick: one seed cannot tell. Sweep again with --seeds 0,1,2."
    of_first = {
        name: learnt
        for (method, name), learnt in board.learnt.items()
        if method == first and learnt.seeds
    }
    if of_first and all(learnt.little for learnt in of_first.values()):
        name, learnt = next(iter(of_first.items()))
        return (
            f"Which to pick: not to be told from this sweep, as {first} has learnt little about "
            f"{name}: {_figure_and_guess(learnt)}. Train longer (--epochs), or on more pictures."
        )
    compared = {
        name: _compared(board, name, first) for name in others if not _falls_short(board, name)
    }
    good = [name for name in compared if _status(compared[name]) == "yes"]
    leading = [
        name
        for name in good
        if not any(_status(_compared(board, other, name)) == "yes" for other in good)
    ] or good
    if leading:
        why = [f"better than {first} in {_named(compared[name][1])}" for name in leading]
        if len(leading) > 1:
            why = [f"{name} is {reason}" for name, reason in zip(leading, why)]
        return f"Which to pick: {' or '.join(leading)}: {'; '.join(why)}; worse in no column."
    if mixed := [name for name in compared if compared[name][1]]:
        prices = [
            f"{name} gains in {_named(columns[1])}, and loses in {_named(columns[-1])}."
            for name, columns in compared.items()
            if name in mixed
        ]
        return "\n".join(
            [f"Which to pick: no method is better than {first} without a price.", *prices]
        )
    return f"Which to pick: {first}. The seeds show no method to be better in any column."


def _figure_and_guess(learnt: Learnt) -> str:
    """Return in words how well a method tells groups or labels apart, and how well a guess does."""
    figure, guess = written(learnt.figure), written(learnt.guess)
    return f"its {learnt.noun} is {figure}, and that of a guess {guess}"


def _named(columns: Sequence[Column], most: int = 3) -> str:
    """Name some columns, the first ones if they are many."""
    names = [f"“{column.words.title}”" for column in columns]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _first(board: Board, columns: Sequence[Column], metrics: Sequence[str]) -> Column | None:
    """Return the first column of the first metric that some method has."""
    defined = (c for metric in metrics for c in columns if c.metric == metric and board.defined(c))
    return next(defined, None)
