"""The run folder while it is being made: its settings, its lock, its weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from fairvision import methods, runs
from fairvision.core import checksums, shapes
from fairvision.core.files import (
    check_vacant,
    digest,
    drop_replaced,
    keep_replaced,
    whole_file,
    whole_folder,
    write_json,
)
from fairvision.core.version import __version__
from fairvision.errors import InputError
from fairvision.runs import thresholds
from fairvision.training.caption_plan import CaptionPlan
from fairvision.training.preparation import Plan
from fairvision.training.settings import DECODERS, LEARNING, Settings

_PLAIN = ("method", "model", "weights", "keep_head", "size")


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


def begin(
    folder: Path, config: Mapping[str, Any], captions: CaptionPlan | None, *, overwrite: bool
) -> None:
    """Make a run folder that holds the settings only; not in place of one in use.

    A finished run that it replaces stays in it, as `replaced`, until the new one is finished.
    """
    used = (folder / runs.CONFIG).is_file()
    with (
        kept_from_others(folder) if used else nullcontext(),
        whole_folder(folder, marker=runs.CONFIG, overwrite=overwrite) as part,
    ):
        write_json(part / runs.CONFIG, config)
        if captions is not None:
            captions.vocabulary.write(part / runs.VOCABULARY)
            if captions.pretrained is not None:
                captions.pretrained.write(part / runs.CAPTIONER)
        keep_replaced(folder, part, runs.BEST)


def take_up(folder: Path, config: runs.Config) -> bool:
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
    for name in (thresholds.FILE, runs.VOCABULARY, runs.CAPTIONER):
        if (folder / name).is_file():
            by_name[name] = digest(folder / name)
    config = runs.read_config(folder)
    write_json(folder / runs.CONFIG, {**config, checksums.KEY: by_name})
    for name, content in contents.items():
        with whole_file(folder / name) as part:
            part.write_bytes(content)
    drop_replaced(folder)


def run_config(plan: Plan) -> runs.Config:
    """Return the contents of config.json."""
    settings, dataset = plan.settings, plan.learnt
    config = {
        "fairvision": __version__,
        "method": settings.method,
        "model": settings.model,
        "weights": settings.weights,
        **({"keep_head": True} if settings.keep_head else {}),
        "size": settings.size,
        "attributes": dataset.attributes,
        "tasks": {name: asdict(task) for name, task in dataset.tasks.items()},
        "domains": {name: asdict(domains) for name, domains in plan.domains.items()},
        "postprocessing": plan.thresholds.attribute if plan.thresholds else None,
        **({"captions": plan.captions.as_json()} if plan.captions else {}),
        "options": {**settings.learning(), **asdict(plan.method)},
        "seed": settings.seed,
        "data": {
            "path": str(dataset.root.resolve()),
            "name": dataset.name,
            "fingerprint": plan.annotated.fingerprint(),
        },
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
        **({"chosen": plan.why} if plan.why else {}),
    }
    contents: runs.Config = json.loads(json.dumps(config))
    return contents


def stored_options(folder: str | Path) -> Mapping[str, Any]:
    """Return the keywords of `fairvision.train` with which a run was started; none if no run."""
    folder = Path(folder)
    if not (folder / runs.CONFIG).exists():
        return {}
    config = runs.read_config(folder)
    kinds = {
        **shapes.fields_of(Settings, LEARNING),
        **shapes.fields_of(methods.find(config["method"], captions="captions" in config)),
    }
    shapes.read(
        folder / runs.CONFIG, shapes.table({"options": shapes.table({}, kinds)}), runs.AGAIN
    )
    options: dict[str, Any] = {
        **{name: value for name, value in config.items() if name in (*_PLAIN, "seed")},
        "attribute": list(config["attributes"]),
        "task": list(config["tasks"]),
        **config["options"],
    }
    if (learnt := config.get("captions")) is not None:
        attribute = [learnt["attribute"]] if learnt["attribute"] else []
        same = {"decoder": learnt["decoder"], "vocabulary": learnt["vocabulary"]}
        if learnt["decoder"] not in DECODERS:  # of a captioner that came whole
            same = {}
        options |= {"captions": True, "attribute": attribute, "words": learnt["words"], **same}
    return options


def check_same(folder: Path, stored: runs.Config, now: runs.Config) -> None:
    """Raise `InputError` unless a run is continued with the settings that it was started with."""
    if stored["data"]["fingerprint"] != now["data"]["fingerprint"]:
        raise InputError(
            f"{now['data']['path']} is not, or no longer, what run {folder} was started on: "
            "train again with --overwrite or into another folder"
        )
    before, after = _flat(stored), _flat(now)
    different = [
        f"{name} was {before.get(name)}, now {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if different:
        raise InputError(
            f"run {folder} was started with other settings ({'; '.join(different)}): repeat them, "
            "or train into another folder"
        )


def _flat(config: runs.Config) -> Mapping[str, Any]:
    """Return settings of a run and the options of its method as one level of names."""
    names = (*_PLAIN, "attributes", "tasks", "seed")
    plain = {name: value for name, value in config.items() if name in names}
    return {**plain, **config.get("captions", {}), **config["options"]}
