"""Several processes that torchrun started and that work as one: shares, and what they exchange.

Nothing here is heavy to import, and with one process nothing of it costs anything.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from fairvision.errors import FairvisionWarning, InputError

if TYPE_CHECKING:
    import pandas as pd
    import torch

Outcome = TypeVar("Outcome")

_FOREVER = timedelta(days=1000)
"""Others wait while the first measures, however long that takes; a lost process is noticed."""


_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def count() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return 1 if _ALONE.get() else _started()


def rank() -> int:
    """Return the number of this process, counted from 0."""
    return 0 if _ALONE.get() else int(os.environ.get("RANK", 0))


@contextmanager
def alone(really: bool = True) -> Iterator[None]:
    """Let this process work as if there were no others, and so wait for none of them.

    >>> with alone():
    ...     count(), rank()
    (1, 0)
    """
    token = _ALONE.set(really)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _started() -> int:
    """Return how many processes torchrun started, whether or not they work as one."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return rank() == 0


@contextmanager
def only_first_warns() -> Iterator[None]:
    """Let only the first of several processes warn of what they all meet."""
    if is_first():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        yield


@dataclass(frozen=True)
class Share:
    """What a process does of a batch: `size` images from `start` on, of `total`."""

    start: int
    size: int
    total: int

    @property
    def rows(self) -> slice:
        """The places of its images in the batch."""
        return slice(self.start, self.start + self.size)


def share(total: int, rank: int, world: int) -> Share:
    """Return the share of one of `world` processes; shares differ by at most one.

    >>> [share(5, rank, 2) for rank in (0, 1)]
    [Share(start=0, size=3, total=5), Share(start=3, size=2, total=5)]
    """
    bounds = [-(-total * i // world) for i in range(world + 1)]
    return Share(bounds[rank], bounds[rank + 1] - bounds[rank], total)


def rows_of_process(total: int, batch_size: int) -> slice:
    """Return which of the rows this process takes: whole batches, cut as one process cuts them.

    So what is computed for a row does not depend on how many processes there are, to the last bit.

    >>> rows_of_process(10, batch_size=4)
    slice(0, 10, None)
    """
    batches = share(-(-total // batch_size), rank(), count()).rows
    return slice(batches.start * batch_size, min(batches.stop * batch_size, total))


def device_of_process(device: torch.device) -> torch.device:
    """Return the device of this process, where each has a GPU of its own.

    Raises
    ------
    InputError
        If the device cannot be shared out.
    """
    import torch

    if _started() == 1 or device.type == "cpu":
        return device
    if device.type == "mps":
        raise InputError("several processes need --device cpu or cuda")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", _started()))
    if here > torch.cuda.device_count():
        raise InputError(
            f"torchrun started {here} processes for {torch.cuda.device_count()} GPUs: "
            "choose --nproc_per_node accordingly"
        )
    return torch.device(device.type, int(os.environ.get("LOCAL_RANK", 0)))


@contextmanager
def none_lost() -> Iterator[None]:
    """Raise `InputError` where another process is gone and so cannot answer."""
    try:
        yield
    except RuntimeError as error:
        of_exchange = isinstance(error, _distributed().DistError) or "gloo" in str(error)
        if count() == 1 or not of_exchange:
            raise
        raise InputError("another of the processes has ended, so this one does too") from None


def wait() -> None:
    """Go on when all processes have come here."""
    if count() > 1:
        _together(lambda group: _distributed().barrier(group=group))


@contextmanager
def first_ahead() -> Iterator[None]:
    """Let one process of each machine go through the block before the others.

    What it downloads or decodes, the others find.
    """
    is_ahead = count() == 1 or int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not is_ahead:
        wait()
    yield
    if is_ahead:
        wait()


def gathered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all processes, those of the first on top; every process gets all of them.

    Examples
    --------
    >>> import pandas as pd
    >>> gathered(pd.DataFrame({"score": [0.5, 0.25]}))["score"].tolist()
    [0.5, 0.25]
    """
    if count() == 1:
        return table
    import pandas as pd

    content = io.BytesIO()
    table.to_feather(content)  # Arrow: nothing in it is executed, and numbers keep all their bits
    tables = [pd.read_feather(io.BytesIO(one)) for one in _exchanged(content.getvalue())]
    return pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)


def may_tell() -> bool:
    """Return whether this process is to tell an error: the first that asks, where all meet one."""
    if count() == 1 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = _distributed().TCPStore(host, port, is_master=False, timeout=timedelta(seconds=30))
        key = f"fairvision/told/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}"
        return int(store.add(key, 1)) == 1
    except RuntimeError:
        return True


def _exchanged(content: bytes) -> list[bytes]:
    """Return what each process gave, in their order."""
    import torch

    def exchange(group: Any) -> list[bytes]:
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(count())]
        _distributed().all_gather(sizes, torch.tensor([len(content)]), group=group)
        contents = []
        for source, size in enumerate(sizes):
            buffer = torch.empty(int(size), dtype=torch.uint8)
            if source == rank():
                buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            _distributed().broadcast(buffer, source, group=group)
            contents.append(buffer.numpy().tobytes())
        return contents

    return _together(exchange)


def _together(act: Callable[[Any], Outcome]) -> Outcome:
    """Do what needs all processes."""
    with none_lost():
        return act(_group())


@cache
def _group() -> Any:
    """Return all processes as a group that exchanges what is in memory and knows no time-out."""
    distributed = _distributed()
    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=_FOREVER)
    return distributed.new_group(backend="gloo", timeout=_FOREVER)


def _distributed() -> Any:
    """Return `torch.distributed`, imported only when it is needed."""
    import torch.distributed

    return torch.distributed
