"""Flat memory, handles and threads: the same work over and over, for as many minutes as are asked.

    python benchmarks/soak.py [--minutes 60] [--images 80]

A round audits drawn images in shards, once from files and once from tar archives, audits the table
of the first as a stream, and counts it. Printed is, about ten times, how many rounds there were,
the memory of the process, its open handles and its threads. It ends with 1 where the medians of the
last quarter exceed those of the second: memory by over 5 % and 20 MB, handles or threads by any.
The first quarter is passed over, in which libraries load what they need.

A run of 5 minutes is printed in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch

import fairvision
from fairvision import datasets
from fairvision.auditing.shards import Shards
from fairvision.metrics import Counts
from fairvision.schema import Schema

QUICK: dict[str, Any] = {"replicates": 10, "sanity": False, "leaning": False, "swaps": 1}


class Usage(NamedTuple):
    """What the process holds: megabytes, handles, threads."""

    memory: float
    handles: int
    threads: int


class Darkness:
    """A model that costs nothing: it answers by how dark an image is."""

    name, size, device, module = "darkness", 32, torch.device("cpu"), None

    def __init__(self, groups: tuple[str, ...]):
        self.schema = Schema({"shirt": groups})

    def predict(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return how light images are, and how dark."""
        light = images.mean(dim=(1, 2, 3))
        return {"shirt": torch.stack([light, 1 - light], dim=1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--images", type=int, default=80)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        end(soak(Path(folder), 60 * given.minutes, given.images))


def soak(folder: Path, seconds: float, images: int) -> list[Usage]:
    """Work for a time; return what was held after each round."""
    drawn = datasets.scenes(folder / "files", count=images, bias=0.8, size=32)
    packed = datasets.from_webdataset(
        pack(drawn, folder / "archives"), folder / "tars", attributes=["shirt"], tasks=["context"]
    )
    uses: list[Usage] = []
    start, lines = time.monotonic(), 0
    print(f"{'minutes':>8} {'rounds':>7} {'MB':>8} {'handles':>8} {'threads':>8}", flush=True)
    while (passed := time.monotonic() - start) < seconds:
        work(drawn, packed, folder)
        gc.collect()
        uses.append(usage())
        if passed >= lines * seconds / 10:
            memory, handles, threads = uses[-1]
            print(
                f"{passed / 60:8.1f} {len(uses):7} {memory:8.1f} {handles:8} {threads:8}",
                flush=True,
            )
            lines += 1
    return uses


def work(drawn: datasets.Dataset, packed: datasets.Dataset, folder: Path) -> None:
    """Do a round."""
    model = Darkness(drawn.attributes["shirt"])
    for name, data in (("of-files", drawn), ("of-tars", packed)):
        fairvision.audit(
            {"darkness": model},
            data=data.root,
            output=folder / name,
            shards=Shards(folder / "shards" / name, images=8),
            batch_size=8,
            cache="never",
            overwrite=True,
            **QUICK,
        )
    table = pq.read_table(folder / "of-files" / "darkness" / "samples.parquet")
    fairvision.audit(predictions={"again": table}, output=folder / "again", replicates=10)
    counts = Counts()
    for _ in range(20):
        counts.update(table.select(["shirt", "context"]).rename_columns(["truth", "groups"]))
    for name in ("shards", "of-files", "of-tars", "again"):
        shutil.rmtree(folder / name)


def pack(drawn: datasets.Dataset, folder: Path) -> Path:
    """Put images of each split into an archive."""
    folder.mkdir()
    for split in datasets.SPLITS:
        with tarfile.open(folder / f"{split}-000.tar", "w") as tar:
            for row in drawn.split(split).samples.to_dict("records"):
                about = json.dumps({name: row[name] for name in ("shirt", "context")}).encode()
                files = {"json": about, "png": (drawn.root / row["image"]).read_bytes()}
                if isinstance(row["mask"], str):
                    files["mask.png"] = (drawn.root / row["mask"]).read_bytes()
                for ending, content in files.items():
                    entry = tarfile.TarInfo(f"{row['id']}.{ending}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return folder


def usage() -> Usage:
    """Return what the process holds; as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    handles, threads = (len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task"))
    return Usage(memory, handles, threads)


def end(uses: list[Usage]) -> None:
    """Say what grew, and end with 1 where anything did."""
    quarter = len(uses) // 4
    if not quarter:
        sys.exit(f"only {len(uses)} rounds: give it more minutes")
    before = np.median(uses[quarter : 2 * quarter], axis=0)
    after = np.median(uses[-quarter:], axis=0)
    grown = after - before
    for name, of_before, of_after in zip(Usage._fields, before, after):
        print(f"{name}: {of_before:.1f} in the second quarter, {of_after:.1f} in the last")
    if grown[0] > max(20, 0.05 * before[0]) or grown[1:].max() > 0:
        sys.exit("it grows")
    print("flat")


if __name__ == "__main__":
    main()
