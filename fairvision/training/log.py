"""What a training tells: figures of an epoch, the bar on a terminal, history.csv, TensorBoard."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from types import TracebackType
from typing import TypedDict, TypeVar

import pandas as pd
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from fairvision import runs
from fairvision.core.files import whole_file
from fairvision.core.processes import is_first
from fairvision.datasets import Batch
from fairvision.errors import visible
from fairvision.methods.method import Terms

_PENDING = 32

_Served = TypeVar("_Served")


class NotFinite(ArithmeticError):
    """A loss term became infinite or NaN; the message names it."""


class Sums(TypedDict, total=False):
    """Sums and counts by name, and the number of images: empty, or all three."""

    sums: dict[str, float]
    counts: dict[str, int]
    pictures: int


class Averages:
    """Loss terms and accuracies, summed batch by batch.

    Examples
    --------
    A term of 3.0 over one image and of 0.0 over two is 1.0 on average:

    >>> import torch
    >>> averages = Averages()
    >>> averages.add({"loss": torch.tensor(3.0)}, {"loss": torch.tensor(1)})
    >>> averages.add({"loss": torch.tensor(0.0)}, {"loss": torch.tensor(2)})
    >>> averages.means(), averages.counts()
    ({'loss': 1.0}, {'loss': 3})
    """

    def __init__(self, state: Sums | None = None):
        state = state or {"sums": {}, "counts": {}, "pictures": 0}
        self._sums: dict[str, float] = dict(state["sums"])
        self._counts: dict[str, int] = dict(state["counts"])
        self.images: int = state["pictures"]
        self._pending: list[tuple[list[str], Tensor]] = []

    def add(self, values: dict[str, Tensor], counts: dict[str, Tensor]) -> None:
        """Add means (scalars) over so many images each.

        They are read from the device some batches later, so that it need not wait. `NotFinite` then
        names what is not finite.
        """
        both = torch.stack([*values.values(), *(counts[name] for name in values)])
        self._pending.append((list(values), both))
        if len(self._pending) >= _PENDING:
            self.settle()

    def settle(self) -> None:
        """Read what was added; raise `NotFinite` with the name of what is not finite."""
        pending, self._pending = self._pending, []
        for names, both in pending:
            numbers = both.tolist()
            for name, value, count in zip(names, numbers[: len(names)], numbers[len(names) :]):
                if not math.isfinite(value):
                    raise NotFinite(name)
                self._sums[name] = self._sums.get(name, 0.0) + value * count
                self._counts[name] = self._counts.get(name, 0) + int(count)

    def state(self) -> Sums:
        """Return what a new one continues from."""
        self.settle()
        return {"sums": self._sums, "counts": self._counts, "pictures": self.images}

    def means(self) -> dict[str, float]:
        """Return each mean; NaN where no image took part."""
        self.settle()
        return {
            k: s / self._counts[k] if self._counts[k] else math.nan for k, s in self._sums.items()
        }

    def counts(self) -> dict[str, int]:
        """Return how many images took part in each."""
        self.settle()
        return dict(self._counts)


class WorstGroup:
    """Counts right predictions by subgroup, batch by batch: accuracy where it is smallest.

    For every head and every attribute the subgroups are the pairs of group and true label; for the
    attribute's own head, and where many labels may hold, the groups. Unknowns take no part.

    Parameters
    ----------
    attributes : groups of each attribute
    """

    def __init__(self, attributes: Mapping[str, Sized]):
        self._groups = {name: len(groups) for name, groups in attributes.items()}
        self._sums: dict[tuple[str, str], Tensor] = {}

    @torch.no_grad()
    def add(self, terms: Terms, batch: Batch) -> None:
        """Count the right predictions of a batch."""
        targets = batch.targets
        for head, logits in terms.logits.items():
            right, labelled = is_right(logits, targets[head])
            for attribute, n in self._groups.items():
                subgroup, subgroups = batch.attributes[attribute], n
                takes_part = labelled & (subgroup >= 0)
                if attribute != head and targets[head].ndim == 1:
                    subgroup = subgroup * logits.shape[1] + targets[head]
                    subgroups = n * logits.shape[1]
                both = torch.stack([right * takes_part, takes_part.float()])
                sums = torch.zeros(2, subgroups, device=both.device)
                sums.index_add_(1, subgroup.where(takes_part, 0), both)
                key = (head, attribute)
                self._sums[key] = self._sums[key] + sums if key in self._sums else sums

    def worst(self, total: Callable[[Tensor], Tensor] = lambda sums: sums) -> tuple[float, int]:
        """Return the smallest accuracy of a subgroup with images, and how many it has.

        NaN and 0 if none has. `total` sums over processes.
        """
        worst, size = math.nan, 0
        for sums in self._sums.values():
            for right, n in total(sums).T.tolist():
                if n and not right / n >= worst:
                    worst, size = right / n, int(n)
        return worst, size


@torch.no_grad()
def measure(terms: Terms, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return loss terms and the accuracy of each head over a batch, and their counts.

    Where many labels may hold, accuracy is the share of image-label decisions that are right.
    """
    values = {k: v.detach() for k, v in {**terms.losses, **terms.measures}.items()}
    counts = dict(terms.counts)
    targets = batch.targets
    for head, logits in terms.logits.items():
        right, labelled = is_right(logits, targets[head])
        counts[f"accuracy/{head}"] = labelled.sum()
        values[f"accuracy/{head}"] = (right * labelled).sum() / labelled.sum().clamp(min=1)
    return values, counts


def is_right(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether predictions are right, or their share that is (n,), and who is labelled (n,).

    Parameters
    ----------
    logits : (n, classes)
    targets : (n,), or (n, classes) where many labels may hold; -1 unknown
    """
    if targets.ndim == 2:
        right = ((logits > 0) == (targets > 0)).float().mean(dim=1)
        return right, (targets >= 0).all(dim=1)
    return (logits.argmax(dim=1) == targets).float(), targets >= 0


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
