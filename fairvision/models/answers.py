"""What a function answered for images: kept in memory, or in a folder that outlives the process."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairvision.errors import InputError, shown
from fairvision.models.heads import Heads

Answer = npt.NDArray[np.float64]
_FILE = "answers.sqlite"


class Answers:
    """Probabilities of all heads by what an image looks like.

    Parameters
    ----------
    heads : what is answered; answers to other heads are refused
    folder : where they are kept; by default in memory

    Examples
    --------
    >>> from fairvision.models.heads import Head
    >>> answers = Answers({"ripe": Head(("no", "yes"))})
    >>> key = answers.key(np.zeros((8, 8, 3), np.uint8))
    >>> answers.put({key: np.array([0.25, 0.75])})
    >>> answers.get([key])[key]
    array([0.25, 0.75])
    """

    def __init__(self, heads: Heads, folder: Path | None = None):
        self._width = sum(len(about.labels) for about in heads.values())
        self._memory: dict[bytes, Answer] = {}
        self._file = None if folder is None else folder / _FILE
        if self._file is not None:
            about = json.dumps({name: list(head.labels) for name, head in heads.items()})
            self._open(self._file, about)

    @staticmethod
    def key(image: npt.NDArray[np.uint8]) -> bytes:
        """Return what tells an image (height, width, 3) from others."""
        return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """Return the answers that are there."""
        if self._file is None:
            return {key: self._memory[key] for key in keys if key in self._memory}
        answers: dict[bytes, Answer] = {}
        with self._connected() as store:
            for key in dict.fromkeys(keys):
                row = store.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    answers[key] = self._answer(row[0])
        return answers

    def _answer(self, kept: object) -> Answer:
        """Return an answer from what the file holds, which anybody may have written."""
        if isinstance(kept, bytes) and len(kept) == self._width * np.dtype(np.float64).itemsize:
            answer = np.frombuffer(kept, np.float64)
            if not ((answer < 0) | (answer > 1)).any():  # NaN is no answer
                return answer
        raise InputError(f"{self._file} is damaged: remove it, and images are asked for again")

    def put(self, answers: Mapping[bytes, Answer]) -> None:
        """Keep answers; those in a folder are there once this returns."""
        if self._file is None:
            self._memory |= answers
            return
        rows = [(key, np.asarray(answer, np.float64).tobytes()) for key, answer in answers.items()]
        with self._connected() as store:
            store.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

    def _open(self, file: Path, about: str) -> None:
        """Make the file, or check that it is about the same heads."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # the latter of what no path holds
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"answers cannot be kept in {shown(str(file.parent))}: {reason}"
            ) from None
        with self._connected() as store:
            store.execute("CREATE TABLE IF NOT EXISTS about (heads TEXT)")
            store.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB)")
            row = store.execute("SELECT heads FROM about").fetchone()
            if row is None:
                store.execute("INSERT INTO about VALUES (?)", (about,))
            elif row[0] != about:
                raise InputError(
                    f"{file} holds answers for other heads or labels: give another folder as cache"
                )

    def _connected(self) -> _Connection:
        """Return a connection that commits what is done with it, or nothing of it."""
        assert self._file is not None
        return _Connection(self._file)


class _Connection:
    """A connection to a file of answers for one block; errors name the file."""

    def __init__(self, file: Path):
        self._path = file

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._store = sqlite3.connect(self._path, timeout=60)
            self._store.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise self._problem(error) from None
        return self._store

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._store.commit()
        except sqlite3.Error as problem:
            raise self._problem(problem) from None
        finally:
            self._store.close()
        if isinstance(error, sqlite3.Error):
            raise self._problem(error) from None

    def _problem(self, error: sqlite3.Error) -> InputError:
        """Return an error that names the file."""
        return InputError(
            f"answers cannot be kept in {self._path}: {error}: remove it, or give another folder"
        )
