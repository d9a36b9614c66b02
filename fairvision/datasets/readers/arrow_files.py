"""Data sets as `save_to_disk` of the package datasets writes them: Arrow, read as parquet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.core import shapes
from fairvision.errors import InputError, reading

ARROW = ".arrow"
_STATE = "state.json"
_SHAPE = shapes.table({"_data_files": shapes.each(shapes.table({"filename": shapes.text}))})


def saved_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files of Arrow among paths that hold data: where a state.json lists them, these.

    >>> saved_files([Path("nowhere/data-00000-of-00001.arrow"), Path("nowhere/cache-0a1b.arrow")])
    [PosixPath('nowhere/data-00000-of-00001.arrow')]
    """
    listed: dict[Path, set[str]] = {}
    for state in (path for path in paths if path.name == _STATE):
        content = shapes.read(state, _SHAPE, "save the data set again")
        listed[state.parent] = {entry["filename"] for entry in content["_data_files"]}
    return [
        path
        for path in paths
        if path.suffix == ARROW
        and not path.name.startswith("cache-")
        and path.name in listed.get(path.parent, {path.name})
    ]


@contextmanager
def as_parquet(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield files of parquet with what files of Arrow hold; others are yielded as they are.

    Those of parquet are there within the block only; errors in it name those of Arrow.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "data.arrow")
    ...     table = pa.table({"age": ["old", "young"]})
    ...     with pa.ipc.new_stream(path, table.schema) as stream:
    ...         stream.write_table(table)
    ...     with as_parquet([path]) as made:
    ...         pq.read_table(made[0]).to_pydict()
    {'age': ['old', 'young']}
    """
    if not any(path.suffix == ARROW for path in files):
        yield list(files)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = [Path(folder, f"{number}.parquet") for number in range(len(files))]
        try:
            for path, target in zip(files, made):
                _convert(path, target)
            yield made
        except InputError as error:
            text = str(error)
            for path, target in zip(files, made):
                text = text.replace(str(target), str(path))
            raise InputError(text) from None


def _convert(path: Path, target: Path) -> None:
    """Write what a stream of Arrow holds as parquet, a batch at a time."""
    with (
        reading(path, "a file of Arrow"),
        pa.memory_map(str(path)) as source,
        pa.ipc.open_stream(source) as stream,
        pq.ParquetWriter(target, stream.schema) as writer,
    ):
        for batch in stream:
            batch.validate(full=True)
            writer.write_batch(batch)
