"""Every command that writes, killed at a random change of the file system: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

TRAIN = "--model small_cnn --size 16 --epochs 2 --batch-size 16 --device cpu --quiet"
COMMANDS = {
    "scenes": "data scenes OUT --count 24 --size 16 --bias .8 --seed SEED --quiet",
    "csv": "data csv table.csv OUT --attribute shirt --task context --seed SEED --quiet",
    "coco": "data coco instances.json human.json data/images OUT --seed SEED --quiet",
    "mnist": "data mnist OUT --source idx --val 4 --seed SEED --quiet",
    "train": f"train data -o OUT {TRAIN} --checkpoint-every 1 --seed SEED",
    "audit": "audit run -o OUT --data data --replicates 5 --seed SEED --device cpu --quiet",
    "predict": "predict run picture.png -o OUT --no-familiarity --device cpu --quiet",
    "explain": "explain run picture.png -o OUT --device cpu --quiet",
    "pictures": "pictures audit run -o OUT --device cpu --quiet",
    "captions": "captions captions.json --labels labels.csv -o OUT --replicates 5 --seed SEED",
    "sweep": f"sweep data --methods baseline --seeds SEED -o OUT {TRAIN} --replicates 5",
}
RESUMED = ("train", "sweep")
FINISHED = {"train": "model.safetensors", "sweep": "leaderboard.html"}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)

Job = Callable[..., dict[str, int]]


@pytest.fixture(scope="session")
def job() -> Iterator[Job]:
    """Run a command in a folder, perhaps killed; return how it ended and its changes."""
    program = Path(__file__).with_name("killed.py")
    with subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def run(folder: Path, args: str, **how: Any) -> dict[str, int]:
            assert server.stdin is not None
            assert server.stdout is not None
            order = {"folder": str(folder), "args": args.split(), **how}
            server.stdin.write(json.dumps(order) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield run
        server.stdin.close()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, job: Job) -> Path:
    """A folder with what the commands read; it is copied to `here`, since outputs name paths."""
    folder = tmp_path_factory.mktemp("kills") / "inputs"
    folder.mkdir()
    finish(job, folder, "data scenes data --count 40 --size 16 --bias .8 --quiet")
    samples = pd.read_parquet(folder / "data/samples.parquet")
    samples["image"] = "data/" + samples["image"]
    samples[["id", "image", "shirt", "context"]].to_csv(folder / "table.csv", index=False)
    shutil.copy(folder / samples["image"][0], folder / "picture.png")
    captions = [f"a {['man', 'woman'][i % 3 > 0]} skis" for i in range(20)]
    entries = [{"image_id": i, "caption": caption} for i, caption in enumerate(captions)]
    (folder / "captions.json").write_text(json.dumps(entries))
    labels = {"image_id": range(20), "gender": ["man", "woman"] * 10}
    pd.DataFrame(labels).to_csv(folder / "labels.csv", index=False)
    write_coco(folder, samples["image"].map(lambda path: Path(path).name))
    write_idx(folder / "idx")
    finish(job, folder, COMMANDS["train"].replace("OUT", "run").replace("SEED", "0"))
    finish(job, folder, COMMANDS["audit"].replace("OUT", "audit").replace("SEED", "0"))
    return folder


def laid_out(inputs: Path) -> Path:
    """Return the one folder in which commands run, with nothing but the inputs."""
    here = inputs.with_name("here")
    if here.exists():
        shutil.rmtree(here)
    shutil.copytree(inputs, here)
    return here


@pytest.fixture(scope="session")
def references(inputs: Path, job: Job) -> Callable[[str], tuple[Reference, Reference]]:
    """What a command writes when nobody stops it, with one seed and with another."""

    @cache
    def of(name: str) -> tuple[Reference, Reference]:
        made = []
        for seed in "010":
            here = laid_out(inputs)
            changes = finish(job, here, arguments(name, seed))["changes"]
            made.append(Reference(changes, contents(here / "out")))
        new, old, again = made
        assert new.files.keys() == again.files.keys()
        changing = {path for path in new.files if new.files[path] != again.files[path]}
        return replace(new, changing=changing), replace(old, changing=changing)

    return of


@pytest.mark.fuzz(share=0.07, most=300)
def test_nothing_is_lost(
    inputs: Path,
    job: Job,
    references: Callable[[str], tuple[Reference, Reference]],
    seed: int,
) -> None:
    chance = random.Random(seed)
    name = list(COMMANDS)[seed % len(COMMANDS)]
    new, old = references(name)
    folder = laid_out(inputs)
    output, args = folder / "out", arguments(name, "0")
    replaces = chance.random() < 0.5
    if replaces:
        for path, content in old.files.items():
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_bytes(content)
        args += " --overwrite"
    kill_at, number = chance.randint(1, new.changes), chance.choice(SIGNALS)
    ended = job(folder, args, kill_at=kill_at, signal=number)
    assert ended["code"] in (0, -number, 130), (folder / "err.txt").read_text()

    may_continue = (name in RESUMED and any(output.glob("config.json"))) or name == "sweep"
    present = contents(output)
    if name in FINISHED and replaces and FINISHED[name] not in present:
        kept = [path for path in present if path.startswith("replaced/")]
        assert old.is_written_as({path.removeprefix("replaced/"): present[path] for path in kept})
    if not may_continue:
        states = [new.is_written_as(present), not present and not replaces]
        assert any([*states, replaces and old.is_written_as(present)]), sorted(present)
    if number != signal.SIGKILL and name not in RESUMED:
        assert not rubble(folder)

    args = arguments(name, "0")
    if name == "train" and may_continue and not (output / "model.safetensors").exists():
        args += " --resume"
    elif present and not (name == "sweep" and not old.is_written_as(present)):
        args += " --overwrite"
    finish(job, folder, args)
    assert new.is_written_as(contents(output))
    assert not rubble(folder)


@dataclass(frozen=True)
class Reference:
    """An output: the changes of the file system that made it, and the bytes of its files by path.

    Those of `changing` are not the same every time: they hold a time.
    """

    changes: int
    files: dict[str, bytes]
    changing: set[str] = field(default_factory=set)

    def is_written_as(self, present: dict[str, bytes]) -> bool:
        """Say whether an output is this one, whole."""
        return present.keys() == self.files.keys() and all(
            present[path] == content
            for path, content in self.files.items()
            if path not in self.changing
        )


def arguments(name: str, seed: str) -> str:
    return COMMANDS[name].replace("OUT", "out").replace("SEED", seed)


def contents(output: Path) -> dict[str, bytes]:
    """Return the bytes of an output's files by their paths; TensorBoard's have a time as name."""
    if output.is_file():
        return {"": output.read_bytes()}
    files = (path for path in output.rglob("*") if path.is_file())
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in files
        if "tensorboard" not in path.parts and path.name != "previous.ckpt"
    }


def rubble(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if "fairvision" in path.name]


def write_coco(folder: Path, names: Iterable[str]) -> None:
    """Write annotations of one person in each image of 16 pixels, and a caption."""
    names = list(names)
    places = range(len(names))
    box = [2, 2, 9, 2, 9, 9, 2, 9]
    images = [{"id": i, "file_name": names[i], "width": 16, "height": 16} for i in places]
    people = [
        {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [2, 2, 7, 7]}
        | {"segmentation": [box]}
        for i in places
    ]
    categories = [{"id": 1, "name": "person"}]
    instances = {"images": images, "annotations": people, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(instances))
    captions = [
        {"id": i, "image_id": i, "caption": f"a {['man', 'woman'][i % 2]} skis"} for i in places
    ]
    (folder / "human.json").write_text(json.dumps({"images": images, "annotations": captions}))


def write_idx(folder: Path) -> None:
    """Write a small MNIST."""
    folder.mkdir()
    for part, count in (("train", 20), ("t10k", 8)):
        pixels = bytes(place * 7 % 256 for place in range(count * 784))
        images = struct.pack(">4I", 2051, count, 28, 28) + pixels
        labels = struct.pack(">2I", 2049, count) + bytes(i % 10 for i in range(count))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def finish(job: Job, folder: Path, args: str) -> dict[str, int]:
    """Run a command that must succeed."""
    ended = job(folder, args)
    assert ended["code"] == 0, (folder / "err.txt").read_text()
    return ended
