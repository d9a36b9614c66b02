"""The state of an unfinished training: written whole, the last two kept, damage noticed."""

from __future__ import annotations

import hashlib
import io
import math
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import pandas as pd
import torch
from torch import Tensor

from fairvision import runs
from fairvision.core.files import clear_inside, whole_file
from fairvision.errors import FairvisionWarning, InputError, reading
from fairvision.training.log import Sums

PREVIOUS = "previous.ckpt"

_FORMAT = 3
_HEAD = b"fairvision checkpoint\n"
_DIGEST = hashlib.sha256().digest_size
_SECONDS = 60
_SHARE = 0.05


class Stateful(Protocol):
    """A network, an optimizer: what has a state to write down."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take a state."""
        ...


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    epoch : epochs that are done
    history : what was measured after each
    best : weights of the best epoch so far
    best_epoch, best_score : its number, 0 while there is none, and its score, see `runs.score`
    step : steps that are done of the next epoch
    begun : what is known of that epoch: learning rate at its beginning, seconds spent
    sums : running averages over those steps, see `Averages.state`
    """

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_score: float = -math.inf
    step: int = 0
    begun: dict[str, float] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)

    def take(self, row: dict[str, float], network: torch.nn.Module, select: str) -> None:
        """Add an epoch, whose figures and weights these are; `select` says which is best."""
        self.epoch += 1
        self.step, self.begun, self.sums = 0, {}, {}
        self.history.append(row)
        score = float(runs.score(pd.DataFrame([row]), select).iloc[0])
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score
            self.best = weights(network)

    def has_waited(self, patience: int | None) -> bool:
        """Return whether so many epochs have brought nothing better."""
        return bool(patience and self.best_epoch and self.epoch - self.best_epoch >= patience)


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's weights, on the CPU."""
    return {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}


def save(folder: Path, progress: Progress, state: Mapping[str, Stateful]) -> None:
    """Write everything from which the next step follows; what was the last becomes the previous.

    A process that is killed at any moment leaves at least one whole checkpoint, if there was one.
    """
    content = {
        "format": _FORMAT,
        "progress": {f.name: getattr(progress, f.name) for f in fields(progress)},
        **{name: part.state_dict() for name, part in state.items()},
    }
    last = folder / runs.CHECKPOINT
    with whole_file(last) as part:
        with part.open("wb") as file:
            file.write(_HEAD + bytes(_DIGEST))
            body = _Digesting(file)
            _save(content, cast(BinaryIO, body))
            file.seek(len(_HEAD))
            file.write(body.digest.digest())
            file.flush()
            os.fsync(file.fileno())
        if last.is_file():
            last.replace(folder / PREVIOUS)


def load(folder: Path, state: Mapping[str, Stateful]) -> Progress:
    """Bring everything to the state that was saved last; nothing is touched where none was.

    A damaged checkpoint is passed over with a warning. What a killed process left half written is
    removed.

    Raises
    ------
    InputError
        If there are checkpoints and none can be used.
    """
    clear_inside(folder)
    damaged: list[str] = []
    for path in (folder / runs.CHECKPOINT, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            content = _read(path)
        except _DamagedError as error:
            damaged.append(f"{path} is damaged ({error})")
            continue
        for name, part in state.items():
            with reading(path, "the state of this training"):
                part.load_state_dict(content[name])
        if damaged:
            warnings.warn(
                f"{damaged[0]}: the run continues from {path.name}, which is a little older",
                FairvisionWarning,
                stacklevel=2,
            )
        return Progress(**content["progress"])
    if damaged:
        raise InputError(
            f"{' and '.join(damaged)}: delete {'it' if len(damaged) == 1 else 'both'} and --resume "
            "starts the run from its first epoch"
        )
    return Progress()


def is_there(folder: Path) -> bool:
    """Return whether a run folder holds a checkpoint."""
    return any((folder / name).is_file() for name in (runs.CHECKPOINT, PREVIOUS))


class Rhythm:
    """When to write within an epoch.

    Parameters
    ----------
    every : steps; by default about once a minute, and for at most a twentieth of the time. What is
        written, and so the end of the training, does not depend on it.

    Examples
    --------
    >>> rhythm = Rhythm(every=2)
    >>> [rhythm.is_due(step) for step in range(1, 6)]
    [False, True, False, True, False]
    """

    def __init__(self, every: int | None = None):
        self._every = every
        self._wait, self._since = float(_SECONDS), time.monotonic()

    def is_due(self, step: int) -> bool:
        """Return whether to write after this step of the epoch, counted from 1."""
        if self._every is not None:
            return step % self._every == 0
        return time.monotonic() - self._since > self._wait

    def wrote(self, seconds: float) -> None:
        """Learn how long writing took."""
        self._wait, self._since = max(_SECONDS, seconds / _SHARE), time.monotonic()


class _DamagedError(Exception):
    pass


class _Digesting(io.RawIOBase):
    """A file to write to, which computes the digest of what is written."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write bytes to the file, add them to the digest, and return how many there were."""
        self.digest.update(data)
        return self._file.write(data)


def _save(content: Mapping[str, Any], file: BinaryIO) -> None:
    """Write by `torch.save`; what stopped it is raised, not torch's complaint that it was."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        stop = error.__context__
        while stop is not None and not isinstance(stop, (KeyboardInterrupt, OSError, MemoryError)):
            stop = stop.__context__
        raise stop or error from None


def _read(path: Path) -> Mapping[str, Any]:
    """Return the content of a checkpoint; raise if it is damaged or of another version."""
    with path.open("rb") as file:
        if file.read(len(_HEAD)) != _HEAD:
            raise _DamagedError("it is no checkpoint, or one of an older fairvision")
        digest = file.read(_DIGEST)
        start = file.tell()
        if hashlib.file_digest(file, "sha256").digest() != digest:
            raise _DamagedError("cut off or changed: its checksum differs")
        file.seek(start)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            raise _DamagedError(f"not what torch writes: {type(error).__name__}") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path} was written by another version of fairvision")
    return content
