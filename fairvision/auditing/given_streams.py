"""Streams and queries in the place of tables of predictions: written down once, then read as files.

What an audit asks of a table takes several passes, and many streams can be read only once. So their
rows go, some at a time, into a parquet file in a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairvision.auditing import queries
from fairvision.auditing.names import model_names
from fairvision.core.arrow_streams import is_stream, write_stream
from fairvision.errors import InputError

Source = Any
"""A path, `duckdb:FILE?QUERY`, or what speaks the stream protocol of Arrow."""
_FILE = "rows.parquet"


@dataclass(frozen=True)
class Given:
    """Tables of predictions as files.

    Attributes
    ----------
    files, train : where they are
    names : of the models, where they are said
    called : what the folders that were written are called in messages, by their paths
    """

    files: list[Path]
    train: Path | None
    names: Sequence[str] | None
    called: Mapping[str, str]

    def as_given(self, text: str) -> str:
        """Return a message with sources called as they were given, not as they were written."""
        for folder, name in self.called.items():
            text = text.replace(os.path.join(folder, _FILE), name).replace(folder, name)
        return text


@contextmanager
def as_files(
    predictions: Sequence[Source] | Mapping[str, Source],
    train: Source | None,
    names: Sequence[str] | None,
) -> Iterator[Given]:
    """Yield tables as files, streams and queries among them; what was written is removed.

    Messages of errors in the block call them as they were given.

    Parameters
    ----------
    predictions : tables of the models, perhaps by their names
    train : table of the training split
    names : of the models; streams without one are called after their position
    """
    if isinstance(predictions, Mapping):
        if names is not None:
            raise InputError("models have their names in the dictionary already: leave out names")
        names, predictions = list(map(str, predictions)), list(predictions.values())
    if names is not None:
        names = model_names([Path()] * len(predictions), names)
    with tempfile.TemporaryDirectory(prefix="fairvision-") as folder:
        called: dict[str, str] = {}
        written: list[tuple[Source, Path]] = []

        def file_of(source: Source, name: str) -> Path:
            if isinstance(source, (str, os.PathLike)) and not queries.is_query(source):
                return Path(source)
            if not queries.is_query(source) and not is_stream(source):
                raise InputError(
                    f"{name}: {type(source).__name__} is neither a path nor a stream of Arrow (a "
                    "lazy frame is collected first)"
                )
            for before, target in written:
                if before is source:  # perhaps it can be read once only
                    return target
            target = Path(folder, str(len(called)), name)
            target.mkdir(parents=True)
            called[str(target)] = name
            reading = queries.opened if queries.is_query(source) else nullcontext
            with reading(source) as rows:
                write_stream(rows, name, target / _FILE)
            written.append((source, target))
            return target

        models = names or [f"model_{i}" for i in range(1, len(predictions) + 1)]
        files = [file_of(source, name) for source, name in zip(predictions, models)]
        given = Given(files, None if train is None else file_of(train, "train"), names, called)
        try:
            yield given
        except InputError as error:
            raise InputError(given.as_given(str(error))) from None
