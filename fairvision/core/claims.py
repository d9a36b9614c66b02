"""Claims to pieces of work in a folder that several machines share, by whatever clocks they go.

A claim is a file that is made exclusively, which shared file systems do in one step, and that grows
while its owner lives. Who sees no change in it for long enough, by the time that passes where they
are, may follow it: by making the file of the next number, exclusively again. Nothing is compared
but a file with itself, so no clock has to be right, of no node and of no server; and no claim is
ever taken away from its place, so none that is alive can be.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

BEAT = 10.0
"""Seconds after which a living owner lets its claim grow."""
LAPSE = 120.0
"""Seconds without a change after which a claim is that of a dead one."""

Stamp = tuple[int, int]


class Claims:
    """What one process claims, and what it has seen of the claims of others.

    Parameters
    ----------
    lapse : seconds without any change after which a claim may be followed
    beat : seconds after which claims of this process change; several fit into `lapse`

    Examples
    --------
    >>> import tempfile
    >>> piece = Path(tempfile.mkdtemp()) / "piece"
    >>> with Claims().claimed(piece) as mine, Claims().claimed(piece) as theirs:
    ...     mine, theirs
    (True, False)
    >>> with Claims().claimed(piece) as again:
    ...     again
    True
    """

    def __init__(self, lapse: float = LAPSE, beat: float = BEAT):
        self.lapse, self._beat = lapse, min(beat, lapse / 6)
        self._seen: dict[Path, tuple[Stamp, float]] = {}

    @contextmanager
    def claimed(self, piece: Path) -> Iterator[bool]:
        """Yield whether a piece of work is this process's for the block, and give it back after.

        Parameters
        ----------
        piece : a path in the shared folder; the claim lies beside it

        Raises
        ------
        OSError
            If no file can be made there.
        """
        claim = self._take(piece)
        if claim is None:
            yield False
            return
        ended = threading.Event()
        beating = threading.Thread(target=self._keep, args=(claim, ended), daemon=True)
        beating.start()
        try:
            yield True
        finally:
            ended.set()
            beating.join()
            with suppress(OSError):  # the share is lost: the claim lapses
                claim.unlink()

    def _take(self, piece: Path) -> Path | None:
        """Return the claim that this process has made; None where another has a living one."""
        for number in count(1):
            claim = piece.with_name(f"{piece.name}.claim-{number}")
            try:
                descriptor = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                if self._is_alive(claim):
                    return None
                continue
            with suppress(OSError):  # for people only
                os.write(descriptor, f"{platform.node()} {os.getpid()} ".encode())
            os.close(descriptor)
            return claim
        raise AssertionError

    def _is_alive(self, claim: Path) -> bool:
        """Return whether a claim has changed lately, as far as this process has looked."""
        stamp, now = _stamp(claim), time.monotonic()
        if stamp is None:  # given back this moment: next time it is free
            self._seen.pop(claim, None)
            return True
        seen = self._seen.get(claim)
        if seen is None or seen[0] != stamp:
            self._seen[claim] = (stamp, now)
            return True
        return now - seen[1] < self.lapse

    def _keep(self, claim: Path, ended: threading.Event) -> None:
        """Let a claim change until its work has ended."""
        while not ended.wait(self._beat):
            try:
                descriptor = os.open(claim, os.O_WRONLY | os.O_APPEND)  # makes none
                try:
                    os.write(descriptor, b".")
                finally:
                    os.close(descriptor)
            except OSError:  # no room, or no share: the time of change will do, or the next beat
                with suppress(OSError):
                    os.utime(claim)


def _stamp(claim: Path) -> Stamp | None:
    """Return size and time of change of a claim; None where it is gone.

    It is opened, because shared file systems ask their server anew only then.
    """
    try:
        descriptor = os.open(claim, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return status.st_size, status.st_mtime_ns
