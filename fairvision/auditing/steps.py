"""Questions to a model that can be divided by rows, and answered by several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd

from fairvision.core import processes

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Step(Generic[Outcome]):
    """One kind of question to a model: what is computed row by row, and what is made of all rows.

    Attributes
    ----------
    name : unlike that of any other step of an audit
    total : how many rows there are: images, or things in them
    batch_size : so many rows are asked about together, counted from the first of all; whoever cuts
        rows elsewhere gets other last bits
    measure : from some of the rows, whole batches, to a table; tables of successive rows, one below
        the other, are that of all
    conclude : from the table of all rows to the outcome
    cost : as how many images a row counts where shards are cut
    """

    name: str
    total: int
    batch_size: int
    measure: Callable[[slice], pd.DataFrame]
    conclude: Callable[[pd.DataFrame], Outcome]
    cost: int = 1


class Division(Protocol):
    """How the work of an audit is divided."""

    def ahead(self, steps: Sequence[Step[Any]]) -> bool:
        """Do what can be done of all steps; return whether this process makes the audit of it."""

    def outcome(self, step: Step[Outcome]) -> Outcome:
        """Return the outcome of one of them."""


class Together:
    """Processes that torchrun started share each step; each gets its outcome."""

    def ahead(self, steps: Sequence[Step[Any]]) -> bool:
        """Leave each step for when its outcome is asked for."""
        return True

    def outcome(self, step: Step[Outcome]) -> Outcome:
        """Return the outcome of a step, see `together`."""
        return together(step)


def together(step: Step[Outcome]) -> Outcome:
    """Return the outcome of a step of which each process of torchrun takes its share.

    >>> def squares(rows: slice) -> pd.DataFrame:
    ...     return pd.DataFrame({"n": [n * n for n in range(rows.start, rows.stop)]})
    >>> together(Step("squares", 4, 2, squares, lambda table: int(table["n"].sum())))
    14
    """
    rows = processes.rows_of_process(step.total, step.batch_size)
    return step.conclude(processes.gathered(step.measure(rows)))


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of successive rows as one; those without rows do not decide on its types."""
    return pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)
