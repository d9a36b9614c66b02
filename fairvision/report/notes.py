"""Cautions, and what was left out, as a page says them: each once, without options of the shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fairvision.results.verdict import Verdict

_OPTION = re.compile(r"--([a-z][a-z-]*)")


def readable(verdict: Verdict, models: Sequence[str]) -> Verdict:
    """Return a verdict whose cautions, and what it left out, are written for a page."""
    return Verdict(
        verdict.headline,
        verdict.answers,
        tuple(grouped(map(without_options, verdict.left_out), models)),
        tuple(grouped(map(without_options, verdict.warnings), models)),
    )


def grouped(texts: Iterable[str], models: Sequence[str]) -> list[str]:
    """Return texts in their order; of several models the same is said once, and names them.

    Parameters
    ----------
    texts : those about a model begin with its name and a colon or comma
    models : names of the models

    Examples
    --------
    >>> grouped(["A: few", "B: few", "C: none", "few: A"], ["A", "B", "C"])
    ['A, B: few', 'C: none', 'few: A']
    """
    names: dict[str, list[str]] = {}
    longest_first = sorted(models, key=len, reverse=True)
    for text in texts:
        model = next(
            (name for name in longest_first if text.startswith((f"{name}:", f"{name},"))), ""
        )
        of_text = names.setdefault(text.removeprefix(model), [])
        if model not in of_text:
            of_text.append(model)
    return [", ".join(of_text) + rest for rest, of_text in names.items()]


def without_options(text: str) -> str:
    """Return a text without what it says of options of the shell, which the shell is for.

    These are remarks in brackets, and what follows a semicolon; else the name alone stays.

    >>> without_options("A: 3 are left out (see --missing); --seed 1 differs")
    'A: 3 are left out'
    >>> without_options("choose --attribution hirescam")
    'choose attribution hirescam'
    """
    text = re.sub(r"\s*\([^()]*--[a-z][^()]*\)", "", text)
    first, *rest = text.split("; ")
    clauses = [first, *(clause for clause in rest if not _OPTION.search(clause))]
    return _OPTION.sub(r"\1", "; ".join(clauses))
