"""Values that other programs code in another way: what -1, 255 and the like may mean is said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fairvision.errors import warn_caller

_VOID = 255  # what images of classes have where there is none


def tell_of_signs(what: str, table: np.ndarray) -> None:
    """Warn where -1 in a table of labels seems to be the other class, not unknown."""
    if (table == -1).any() and (table == 1).any() and not (table == 0).any():
        _tell_of_minus_one(what)


def tell_of_codes(what: str, names: Iterable[Any]) -> None:
    """Warn of 255 among small codes, and of -1 as the other of two."""
    held = {name for name in names if isinstance(name, (int, float)) and name == name}
    if held == {1, -1}:
        _tell_of_minus_one(what)
    if _VOID in held and len(held) > 1:
        rest = max(code for code in held if code != _VOID)
        if rest < _VOID // 2:
            warn_caller(
                f"{what} holds the code {_VOID}, and else none above {rest}: it counts as a class; "
                "give -1 where it means unknown"
            )


def _tell_of_minus_one(what: str) -> None:
    warn_caller(
        f"{what} holds 1 and -1, and nowhere 0: -1 counts as unknown; give 0 where it is a class"
    )


def tell_of_void_scores(what: str, table: np.ndarray) -> None:
    """Warn where all scores lie between 0 and 1 but for one code, such as -1."""
    low, high = (of.reduce(table, axis=None, initial=np.nan) for of in (np.fmin, np.fmax))
    if (low < 0) == (high > 1):
        return
    code = low if low < 0 else high
    if code == _VOID or (code < 0 and code % 1 == 0):
        inside, coded = (table >= 0) & (table <= 1), table == code
        if inside.any() and (inside | coded | np.isnan(table)).all():
            warn_caller(
                f"{what} lie between 0 and 1 but for {code:g} in {coded.any(axis=1).sum()} rows, "
                "which counts as a score: give NaN where it means unknown"
            )
