"""Work of an audit in shards: a file each in a folder that any number of processes share.

Who is there takes a shard that nobody has, and writes it beside its place; who finds all of them
made makes the audit. docs/shards.md says what is promised.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fairvision.auditing.steps import Step, stacked
from fairvision.core.claims import LAPSE, Claims
from fairvision.core.files import digest, read_json, resolved, whole_file, write_json
from fairvision.errors import InputError, reading, shown

IMAGES = 4096
"""Images of a shard, where nothing else is asked for."""
PLAN, MADE = "plan.json", "made.json"
_FORMAT, _KEY = 1, b"fairvision.shard"
_POLL = 2.0  # seconds between looks at what others do

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Shards:
    """Where an audit is divided, and how.

    Attributes
    ----------
    folder : shared by all who take part; made if it is not there
    images : of a shard, rounded up to whole batches: what a lost process costs
    lapse : seconds without a sign of life after which another does the shard of a lost process
    """

    folder: Path
    images: int = IMAGES
    lapse: float = LAPSE

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.images < 1 or not self.lapse > 0:
            raise InputError("images of a shard, and seconds until it is taken over, must be > 0")

    def is_made(self, output: str | Path) -> bool:
        """Return whether the audit in a folder is the one that was made of these shards."""
        note, audit = self.folder / MADE, Path(output) / "audit.json"
        if not note.is_file() or not audit.is_file():
            return False
        described = read_json(note)
        return isinstance(described, dict) and described.get("audit.json") == digest(audit)

    def note_made(self, audit: Path) -> None:
        """Note what the audit is that comes to its place now, by its description."""
        write_json(self.folder / MADE, {"audit.json": digest(audit)})


class SharedWork:
    """What one process does of the work in a folder of shards; a `steps.Division`.

    Parameters
    ----------
    shards : where and how
    output : folder of the audit
    options : of the audit, whatever changes any figure
    """

    def __init__(self, shards: Shards, output: Path, options: Mapping[str, object]):
        if resolved(shards.folder).is_relative_to(resolved(output)):
            raise InputError(
                f"{shards.folder} lies in {output}, which is written whole: name another"
            )
        self.shards, self._output = shards, output
        self._claims = Claims(shards.lapse)
        self._held = ExitStack()
        self._plan: dict[str, Any] = {"format": _FORMAT, "options": dict(options)}

    def __enter__(self) -> SharedWork:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def check(self, **about: object) -> None:
        """Raise `InputError` where the folder holds shards of something else, see `about`.

        Parameters
        ----------
        about : what the shards are of, as JSON
        """
        self._plan |= json.loads(json.dumps({**about, "images": self.shards.images}))
        path = self.shards.folder / PLAN
        if path.exists():
            self._compare(read_json(path))

    def ahead(self, steps: Sequence[Step[Any]]) -> bool:
        """Make shards until all are there; return whether this process makes the audit of them."""
        self._agree(steps)
        while left := self._left(steps):
            if not sum(self._make(step, number) for step, number in left):
                time.sleep(min(_POLL, self.shards.lapse / 6))
        while not self.shards.is_made(self._output):
            trial = ExitStack()
            if trial.enter_context(self._claims.claimed(self.shards.folder / MADE)):
                self._held = trial
                return not self.shards.is_made(self._output)
            time.sleep(min(_POLL, self.shards.lapse / 6))
        return False

    def outcome(self, step: Step[Outcome]) -> Outcome:
        """Return the outcome of a step all of whose shards are there."""
        tables = [self._read(step, number) for number in range(self._count(step))]
        return step.conclude(stacked(tables) if tables else step.measure(slice(0, 0)))

    def _rows_per_shard(self, step: Step[Any]) -> int:
        """Return how many rows a shard has: whole batches."""
        return step.batch_size * -(-self.shards.images // (step.batch_size * step.cost))

    def _count(self, step: Step[Any]) -> int:
        """Return how many shards a step has."""
        return -(-step.total // self._rows_per_shard(step))

    def _rows(self, step: Step[Any], number: int) -> slice:
        """Return the rows of a shard."""
        start = number * self._rows_per_shard(step)
        return slice(start, min(start + self._rows_per_shard(step), step.total))

    def _path(self, step: Step[Any], number: int) -> Path:
        """Return where a shard lies."""
        return self.shards.folder / "shards" / step.name / f"{number:06}.parquet"

    def _agree(self, steps: Sequence[Step[Any]]) -> None:
        """Write the plan if there is none; raise `InputError` where there is another."""
        self._plan["steps"] = {
            step.name: {"rows": step.total, "rows_per_shard": self._rows_per_shard(step)}
            for step in steps
        }
        path = self.shards.folder / PLAN
        for step in steps:
            self._path(step, 0).parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Beside its place, and linked there: the first of several wins, whole.
            part = path.with_name(f".{secrets.token_hex(8)}.{PLAN}")
            try:
                write_json(part, self._plan)
                try:
                    os.link(part, path)
                except FileExistsError:
                    pass
                except OSError:  # a share without such names: the last one wins, and all compare
                    part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        self._compare(read_json(path))

    def _compare(self, there: Any) -> None:
        """Raise `InputError` where the plan in the folder is another than that of this process."""
        path = self.shards.folder / PLAN
        if not isinstance(there, dict):
            raise InputError(f"{path} is no plan of shards: name another folder")
        for name, theirs, ours in _differences(there, self._plan, self._plan):
            raise InputError(
                f"{path} is the plan of another audit: {name} is {_value(theirs)} there and "
                f"{_value(ours)} here; call it alike, or name another folder for --shards"
            )

    def _mark(self, path: Path, schema: pa.Schema) -> bytes:
        """What tells the shard of a path from others, and from those of other plans.

        Of its columns, too: pages have checksums in their file, and names of columns have none.
        """
        place = path.relative_to(self.shards.folder).as_posix()
        columns = schema.remove_metadata().to_string(), str((schema.metadata or {}).get(b"pandas"))
        text = json.dumps([self._plan, place, columns], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest().encode()

    def _left(self, steps: Sequence[Step[Any]]) -> list[tuple[Step[Any], int]]:
        """Return the shards that are not there, from a place on that each process draws."""
        left = []
        for step in steps:
            there = set(os.listdir(self._path(step, 0).parent))
            every = range(self._count(step))
            left += [(step, n) for n in every if self._path(step, n).name not in there]
        start = secrets.randbelow(len(left)) if left else 0
        return left[start:] + left[:start]

    def _make(self, step: Step[Any], number: int) -> bool:
        """Make a shard if nobody else does; return whether it was made here."""
        path = self._path(step, number)
        if path.exists():
            return False
        with self._claims.claimed(path) as mine:
            if not mine or path.exists():
                return False
            table = step.measure(self._rows(step, number))
            self._write(pa.Table.from_pandas(table, preserve_index=False), path)
        return True

    def _write(self, table: pa.Table, path: Path) -> None:
        """Write a shard, whole or not at all; another may write the same at the same time."""
        marked = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), _KEY: self._mark(path, table.schema)}
        )
        try:
            with whole_file(path) as part:
                pq.write_table(marked, part, write_page_checksum=True)
        except FileNotFoundError:  # where shares know no locks, it was cleared away for rubble
            if not path.exists():
                raise

    def _read(self, step: Step[Any], number: int) -> pd.DataFrame:
        """Return the table of a shard; `InputError` where it is damaged, or of something else."""
        path = self._path(step, number)
        again = "remove it, and start once more"
        try:
            with reading(path, "parquet"):
                table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
                mark = self._mark(path, table.schema)
        except InputError as error:
            raise InputError(f"{error}: {again}") from None
        if (table.schema.metadata or {}).get(_KEY) != mark:
            raise InputError(f"{path} is damaged, or the shard of another plan or place: {again}")
        held: pd.DataFrame = table.to_pandas()
        return held


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any], names: Iterable[str], within: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield where two plans differ in what has these names: name, there, here."""
    for name in names:
        theirs, ours = there.get(name), here.get(name)
        if isinstance(theirs, dict) and isinstance(ours, dict):
            every = dict.fromkeys([*ours, *theirs])
            yield from _differences(theirs, ours, every, f"{within}{name}.")
        elif theirs != ours:
            yield f"{within}{name}", theirs, ours


def _value(value: Any) -> str:
    """Return in words what a plan says of something."""
    return "absent" if value is None else shown(value)


def weights(module: Any) -> str:
    """Return a digest of the numbers of a torch module; "" without one.

    >>> import torch
    >>> one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    >>> weights(one) == weights(other), weights(None)
    (False, '')
    """
    if module is None:
        return ""
    import torch

    sums = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        values = tensor.detach().cpu().contiguous()
        sums.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        sums.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sums.hexdigest()[:16]
