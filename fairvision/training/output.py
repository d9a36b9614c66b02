"""The run folder while it is being made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors.torch import save as tensor_bytes
from torch import Tensor

from fairvision import runs
from fairvision.core import checksums
from fairvision.core.files import (
    check_vacant,
    digest,
    drop_replaced,
    keep_replaced,
    whole_file,
    whole_folder,
    write_json,
)
from fairvision.errors import InputError
from fairvision.runs import thresholds
from fairvision.training.settings import check_same


def check_output(folder: Path, *, resume: bool, overwrite: bool) -> bool:
    """Return whether the folder holds a run to continue.

    Raises
    ------
    InputError
        If the folder holds something and may neither be continued nor replaced.
    """
    if resume and overwrite:
        raise InputError("--resume continues a run and --overwrite replaces it: choose one")
    is_run = (folder / runs.CONFIG).is_file()
    if resume and is_run:
        return True
    if is_run and not overwrite and not (folder / runs.BEST).is_file():
        raise InputError(
            f"{folder} holds an unfinished run: --resume continues it, --overwrite replaces it"
        )
    check_vacant(folder, marker=runs.CONFIG, overwrite=overwrite)
    return False


def begin(folder: Path, config: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make a run folder that holds the settings only; not in place of one in use.

    A finished run that it replaces stays in it, as `replaced`, until the new one is finished.
    """
    used = (folder / runs.CONFIG).is_file()
    with (
        kept_from_others(folder) if used else nullcontext(),
        whole_folder(folder, marker=runs.CONFIG, overwrite=overwrite) as part,
    ):
        write_json(part / runs.CONFIG, config)
        keep_replaced(folder, part, runs.BEST)


def take_up(folder: Path, config: Mapping[str, Any]) -> bool:
    """Check that a run was started with these settings; return whether it is finished."""
    check_same(folder, runs.read_config(folder), config)
    return (folder / runs.BEST).is_file()


@contextmanager
def kept_from_others(folder: Path) -> Iterator[None]:
    """Lock a run folder, as far as the system and its disk know locks; killing this ends it.

    Raises
    ------
    InputError
        If another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is training into {folder}: let it end, or name another folder"
            ) from None
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(descriptor)


def finish(folder: Path, best: Mapping[str, Tensor], last: Mapping[str, Tensor]) -> None:
    """Write the weights and, into config.json, checksums of all that the run's answers rest on.

    The best come last: a folder that holds them is a finished run.
    """
    contents = {
        name: tensor_bytes({k: v.detach().cpu().contiguous() for k, v in state.items()})
        for name, state in ((runs.LAST, last), (runs.BEST, best))
    }
    by_name = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    if (folder / thresholds.FILE).is_file():
        by_name[thresholds.FILE] = digest(folder / thresholds.FILE)
    config = runs.read_config(folder)
    write_json(folder / runs.CONFIG, {**config, checksums.KEY: by_name})
    for name, content in contents.items():
        with whole_file(folder / name) as part:
            part.write_bytes(content)
    drop_replaced(folder)
