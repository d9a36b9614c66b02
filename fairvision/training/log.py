"""What a training tells: the bar on a terminal, history.csv, TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from fairvision import runs
from fairvision.core.files import whole_file
from fairvision.core.processes import is_first
from fairvision.errors import visible

_Served = TypeVar("_Served")


def is_quiet(quiet: bool) -> bool:
    """Return whether to show no progress: as asked, or because nobody looks at a terminal."""
    return quiet or not sys.stderr.isatty()


class Log:
    """Shows progress while it is open, and keeps the history of a run.

    Parameters
    ----------
    folder : the run folder
    epochs : how many there will be
    done : how many there are already
    quiet : show nothing; the history is kept all the same. Of several processes only the first
        shows and keeps anything.
    """

    def __init__(self, folder: Path, epochs: int, done: int, *, quiet: bool):
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.epochs, self.quiet = folder, epochs, quiet or not is_first()
        self._events = None
        if is_first():
            self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=self.quiet,
        )

    def __enter__(self) -> Log:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._events is not None:
            self._events.close()

    def follow(
        self, batches: Iterable[_Served], total: int, title: str, done: int = 0
    ) -> Iterator[_Served]:
        """Yield the batches and show how many of all are done."""
        task = self._bar.add_task(title, total=total, completed=done)
        for batch in batches:
            yield batch
            self._bar.advance(task)
        self._bar.remove_task(task)

    def epoch(self, history: list[dict[str, float]]) -> None:
        """Write down and show what was measured after the last epoch of `history`."""
        if self._events is None:
            return
        row = history[-1]
        with whole_file(self.folder / runs.HISTORY) as part:
            pd.DataFrame(history).to_csv(part, index=False)
        for name, value in row.items():
            if name != "epoch":
                self._events.add_scalar(name, value, int(row["epoch"]))
        self._events.flush()
        if not self.quiet:
            line = Text(visible(one_line(row, self.epochs)))
            self._bar.console.print(line, soft_wrap=True)


def one_line(row: dict[str, float], epochs: int) -> str:
    """Return losses and accuracies of an epoch on a line.

    >>> one_line({"epoch": 2, "lr": 0.1, "train/loss": 0.5, "val/loss": 0.625,
    ...           "val/accuracy/gender": 0.75, "seconds": 8.2}, epochs=10)
    'epoch 2/10  train loss 0.500  val loss 0.625  val accuracy gender 0.750  8 s'
    """
    shown = [f"epoch {row['epoch']:.0f}/{epochs}"]
    split = "val" if "val/loss" in row else "train"
    for name, value in row.items():
        is_accuracy = name.startswith(f"{split}/accuracy/") or name == "val/worst_group_accuracy"
        if name.endswith("/loss") or is_accuracy:
            shown.append(f"{name.replace('/', ' ')} {value:.3f}")
    return "  ".join([*shown, f"{row['seconds']:.0f} s"])
