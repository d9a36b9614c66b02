"""Every file that a command reads, damaged by chance: it ends well, or in one clear line."""

from __future__ import annotations

import contextlib
import faulthandler
import gzip
import json
import os
import random
import resource
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mutations import mutate
from PIL import Image

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")

SECONDS, MEMORY, LONGEST = 30, 6 * 2**30, 500
TRAIN = "--model small_cnn --size 16 --epochs 1 --batch-size 16 --device cpu --quiet"
TABLE = "--attribute shirt --task context --many things --id id --quiet"
AUDIT = "--replicates 2 --device cpu --quiet"
TABLES = "audit --predictions audit/run/samples.parquet"
CAPTIONS = "captions results.json --labels labels.csv -o out --replicates 2 --rounds 0 --quiet"
PREDICT = "predict run picture.png --no-familiarity --device cpu --quiet -o out"
SWEEP = f"sweep data --methods baseline --seeds 0 -o sweep {TRAIN} --replicates 2"
COCO = "data coco instances.json captions.json imgs out --quiet"
RENAMED = "--column id=key --column shirt=pattern --column score/shirt/dotted=p"
CASES = [
    ("data/dataset.json", "data show data"),
    ("data/dataset.json", f"train data -o out {TRAIN}"),
    ("data/samples.parquet", "data show data --json"),
    ("data/samples.parquet", f"train data -o out {TRAIN}"),
    ("data/regions.parquet", f"audit run --data data -o out {AUDIT}"),
    ("plain/samples.csv", "data show plain"),
    ("plain/samples.csv", f"train plain -o out {TRAIN}"),
    ("table.csv", f"data csv table.csv out {TABLE}"),
    ("table.csv", f"data csv table.csv out {TABLE} --skip-broken"),
    ("table.tsv", f"data csv table.tsv out {TABLE}"),
    ("table.csv.gz", f"data csv table.csv.gz out {TABLE}"),
    ("table.parquet", f"data csv table.parquet out {TABLE}"),
    ("answers.csv", f"audit --predictions answers.csv -o out {AUDIT}"),
    ("answers.csv", f"audit --predictions answers.csv --attribute shirt -o out {AUDIT}"),
    ("answers.parquet", f"audit --predictions answers.parquet --data data -o out {AUDIT}"),
    ("answers.parquet", f"audit --predictions answers.csv --train answers.parquet -o out {AUDIT}"),
    ("long.csv", f"audit --predictions long.csv answers.csv -o out {AUDIT}"),
    ("long.parquet", f"audit --predictions long.parquet --data data -o out {AUDIT}"),
    ("alone.csv", f"audit --predictions alone.csv -o out {AUDIT}"),
    ("alone.parquet", f"audit --predictions alone.parquet answers.parquet -o out {AUDIT}"),
    ("logits.csv", f"audit --predictions logits.csv --logits {RENAMED} -o out {AUDIT}"),
    ("logits.parquet", f"audit --predictions logits.parquet --logits {RENAMED} -o out {AUDIT}"),
    ("instances.json", COCO),
    ("instances.json", f"{COCO} --skip-broken"),
    ("captions.json", COCO),
    ("results.json", CAPTIONS),
    ("captions.json", CAPTIONS.replace("--rounds 0", "--rounds 1 --human captions.json")),
    ("words.json", f"{CAPTIONS} --words words.json --attribute gender"),
    ("objects.json", f"{CAPTIONS} --object-words objects.json"),
    ("labels.csv", CAPTIONS),
    ("labels.csv", f"{CAPTIONS} --train labels.csv"),
    ("labels.parquet", CAPTIONS.replace("labels.csv", "labels.parquet")),
    ("mnist/train-images-idx3-ubyte", "data mnist out --source mnist --quiet"),
    ("mnist/t10k-labels-idx1-ubyte", "data mnist out --source mnist --quiet"),
    ("mnist/t10k-images-idx3-ubyte.gz", "data mnist out --source mnist --quiet"),
    ("cifar.parquet", "data cifar10s out --source cifar.parquet --quiet"),
    ("picture.png", PREDICT),
    ("picture.jpg", PREDICT.replace("picture.png", "picture.jpg")),
    *((f"picture.{end}", PREDICT.replace("png", end)) for end in ("tif", "gif", "webp", "bmp")),
    ("picture.jpg", "predict run picture.jpg --prepare digit --prepared out --quiet"),
    ("picture.png", "explain run picture.png -o out --device cpu --quiet"),
    ("data/images/PICTURE", f"train data -o out {TRAIN} --cache never"),
    ("data/masks/PICTURE", f"audit run --data data -o out {AUDIT}"),
    ("run/config.json", PREDICT),
    ("run/config.json", PREDICT.replace("--no-familiarity", "--familiarity")),
    ("run/config.json", f"train --config run/config.json -o out {TRAIN}"),
    ("run/config.json", f"train data --weights run -o out {TRAIN}"),
    ("run/config.json", f"audit run --data data -o out {AUDIT}"),
    ("run/config.json", "train data -o run --resume --quiet"),
    ("run/model.safetensors", PREDICT),
    ("run/history.csv", "train data -o run --resume --quiet"),
    ("run/postprocessing.json", "train data -o run --resume --quiet --json"),
    ("run/postprocessing.json", f"audit run --data data -o out {AUDIT}"),
    ("bare/model.safetensors", PREDICT.replace("run", "bare")),
    ("begun/last.ckpt", "train data -o begun --resume --epochs 2 --quiet --device cpu"),
    ("begun/config.json", "train data -o begun --resume --epochs 2 --quiet --device cpu"),
    ("weights.pth", f"train data --weights weights.pth -o out {TRAIN}"),
    ("weights.safetensors", f"train data --weights weights.safetensors -o out {TRAIN}"),
    ("my.toml", "train data --config my.toml --epochs 1 -o out --quiet"),
    ("my.toml", f"sweep data --config my.toml --methods baseline --seeds 0 -o out {TRAIN}"),
    ("audit/audit.json", "pictures audit run --data data -o out --device cpu --quiet"),
    ("audit/metrics.csv", "pictures audit run --data data -o out --device cpu --quiet"),
    ("audit/run/samples.parquet", "pictures audit run --data data -o out --device cpu --quiet"),
    ("audit/run/samples.parquet", f"{TABLES} -o out {AUDIT}"),
    ("audit/train.parquet", f"{TABLES} --train audit/train.parquet -o out {AUDIT}"),
    ("audit/audit.json", "export audit --to card -o out"),
    ("audit/metrics.csv", "export audit --to card -o out"),
    ("audit/audit.json", "export audit --to fiftyone --data data -o out"),
    ("audit/run/samples.parquet", "export audit --to fiftyone --data data -o out"),
    ("data/samples.parquet", "export audit --to fiftyone --data data -o out"),
    ("sweep/sweep.json", SWEEP),
    ("sweep/audits/seed-0/audit.json", SWEEP),
    ("sweep/audits/seed-0/metrics.csv", SWEEP),
    ("sweep/runs/baseline-0/config.json", SWEEP),
    ("cache/CACHE/images.npy", f"train data -o out {TRAIN}"),
    ("cache/CACHE/masks.npy", f"train data -o out {TRAIN}"),
    ("cache/CACHE/has_mask.npy", f"train data -o out {TRAIN}"),
]


@pytest.mark.fuzz(0.5)
@pytest.mark.filterwarnings("default")
def test_a_damaged_file_is_one_line_or_does_not_matter(
    inputs: Path, run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    here = laid_out(inputs)
    monkeypatch.chdir(here)
    monkeypatch.setenv("FAIRVISION_CACHE", str(here / "cache"))
    name, command = CASES[seed % len(CASES)]
    path = located(here / name)
    kind = mutate(path, chance)
    before = entries(here)
    with limits():
        ended = run_cli(*command.split())
    context = f"{name} ({kind}): fairvision {command}\n{ended.out[-500:]}{ended.err[-3000:]}"
    lines = ended.err.splitlines()
    assert ended.code in (0, 2), context
    assert "Traceback" not in ended.out + ended.err, context
    assert "fairvision: unexpected " not in ended.err, context
    assert "not enough memory" not in ended.err, context
    assert all(len(line.encode()) <= LONGEST for line in lines), context
    assert all(line.startswith(("fairvision: ", "warning: ", "note: ")) for line in lines), context
    assert sum(line.startswith("fairvision: ") for line in lines) == (ended.code == 2), context
    assert "\x1b" not in ended.out + ended.err, context
    if ended.code == 2 and " -o begun" not in command and " sweep" not in command:
        assert {p for p in entries(here) - before if "cache" not in p.parts} == set(), context


@pytest.mark.parametrize("command", sorted({command for _, command in CASES}))
@pytest.mark.filterwarnings("default")
def test_what_is_not_damaged_is_taken(
    inputs: Path, run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here = laid_out(inputs)
    monkeypatch.chdir(here)
    monkeypatch.setenv("FAIRVISION_CACHE", str(here / "cache"))
    ended = run_cli(*command.split())
    assert ended.code == 0, ended.err


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Let nothing wait for ever, nor take much memory beyond what is taken already."""

    def late(*_: object) -> None:
        raise TimeoutError("unexpected wait")

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True)  # where C++ waits, no signal helps
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, before)


def entries(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def laid_out(inputs: Path) -> Path:
    """Return the one folder in which commands run, with nothing but the inputs."""
    here = inputs.with_name("here")
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(inputs, here)
    return here


def located(path: Path) -> Path:
    """Return a path whose capitals stand for the first name in their folder."""
    for parent in (path, *path.parents):
        if parent.name in ("PICTURE", "CACHE"):
            first = sorted(parent.parent.iterdir())[0]
            return first / path.relative_to(parent)
    return path


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of every format; all are copied to `here`, since outputs name paths."""
    place = tmp_path_factory.mktemp("formats")
    (place / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place / "here")
        patch.setenv("FAIRVISION_CACHE", str(place / "here" / "cache"))
        _make_tables()
        _make_images()
        _make_runs()
    (place / "here").rename(place / "inputs")
    return place / "inputs"


def _make_tables() -> None:
    from fairvision import datasets

    data = datasets.scenes("data", count=24, bias=0.8, size=16)
    table = data.samples.astype(object).where(data.samples.notna(), None)
    for kind in ("image", "mask"):
        table[kind] = [path and f"data/{path}" for path in table[kind]]
    table["things"] = [("a;b", ";", "c", "")[i % 4] for i in range(len(table))]
    table.to_csv("table.csv", index=False)
    table.to_csv("table.tsv", index=False, sep="\t")
    table.to_csv("table.csv.gz", index=False)
    table.assign(things=table["things"].str.split(";")).to_parquet("table.parquet")
    shutil.copytree("data", "plain")
    data.samples.to_csv("plain/samples.csv", index=False)
    Path("plain/samples.parquet").unlink()
    answers = table[["id", "shirt", "context"]].assign(split="test")
    for name in ("shirt", "context"):
        labels = sorted(set(table[name]))
        scores = np.random.default_rng(0).dirichlet(np.ones(len(labels)), len(table)).round(4)
        scores[:, 0] = 1 - scores[:, 1:].sum(axis=1)
        answers[[f"score/{name}/{label}" for label in labels]] = scores
    answers.to_csv("answers.csv", index=False)
    answers.to_parquet("answers.parquet")
    _make_layouts(answers)
    captions = [
        f"a {('man', 'woman')[i % 3 > 0]} with a {('cat', 'dog')[i % 2]}" for i in range(12)
    ]
    entries = [{"image_id": i, "caption": caption} for i, caption in enumerate(captions)]
    sizes = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 6} for i in range(12)]
    kinds = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    square = [[1, 1, 6, 1, 6, 4, 1, 4]]
    runs = {"size": [6, 8], "counts": [3, 3, 42]}
    people = [{"image_id": i, "category_id": 1} for i in range(0, 12, 2)]
    people = [{**one, "segmentation": (runs, square)[i % 2]} for i, one in enumerate(people)]
    dogs = [{"image_id": i, "category_id": 2, "bbox": [1, 1, 4, 3]} for i in range(1, 12, 2)]
    dogs += [{"image_id": 0, "category_id": 2, "segmentation": square, "bbox": None}]
    labels = {
        "image_id": range(12),
        "gender": ["man", "woman"] * 6,
        "objects": ["dog", "cat;dog"] * 6,
    }
    pd.DataFrame(labels).to_csv("labels.csv", index=False)
    pd.DataFrame(labels).to_parquet("labels.parquet")
    instances = {"images": sizes, "categories": kinds, "annotations": people + dogs}
    for name, value in {
        "results": entries,
        "captions": {"images": [{"id": i} for i in range(12)], "annotations": entries},
        "instances": instances,
        "words": {"woman": ["woman", "she"], "man": ["man", "he"]},
        "objects": {"dog": ["puppy"], "cat": ["kitten"]},
    }.items():
        Path(f"{name}.json").write_text(json.dumps(value))


def _make_layouts(answers: pd.DataFrame) -> None:
    """The answers as a row per label, as labels alone, and as logits in columns of other names."""
    scores = [name for name in answers if name.startswith("score/")]
    rest = [name for name in answers if name not in scores]
    long = answers.melt(rest, scores, value_name="score")
    long[["head", "label"]] = long.pop("variable").str.split("/", expand=True)[[1, 2]]
    alone = answers[rest].copy()
    for name in ("shirt", "context"):
        of_head = [column for column in scores if f"/{name}/" in column]
        alone[f"predicted/{name}"] = answers[of_head].idxmax(axis=1).str.split("/").str[-1]
    logits = answers.assign(**{name: np.log(answers[name].clip(lower=1e-9)) for name in scores})
    names = {"id": "key", "shirt": "pattern", "score/shirt/dotted": "p"}
    logits = logits.rename(columns=names)
    for name, table in {"long": long, "alone": alone, "logits": logits}.items():
        table.to_csv(f"{name}.csv", index=False)
        table.to_parquet(f"{name}.parquet")


def _make_images() -> None:
    chance = np.random.default_rng(0)
    Path("imgs").mkdir()
    for i in range(12):
        Image.fromarray(chance.integers(0, 256, (6, 8, 3), np.uint8)).save(f"imgs/{i}.png")
    image = Image.fromarray(chance.integers(0, 256, (24, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    for end in ("png", "jpg", "tif", "webp"):
        image.save(f"picture.{end}", exif=exif)
    for end in ("gif", "bmp"):
        image.save(f"picture.{end}")
    Path("mnist").mkdir()
    for part, n in (("train", 12), ("t10k", 10)):
        digits = struct.pack(">IIII", 2051, n, 28, 28) + chance.bytes(n * 784)
        labels = struct.pack(">II", 2049, n) + bytes(i % 10 for i in range(n))
        Path(f"mnist/{part}-images-idx3-ubyte").write_bytes(digits)
        Path(f"mnist/{part}-labels-idx1-ubyte").write_bytes(labels)
    plain = Path("mnist/t10k-images-idx3-ubyte")
    plain.with_suffix(".gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    small = Image.fromarray(chance.integers(0, 256, (32, 32, 3), np.uint8))
    small.save("small.png")
    encoded = {"bytes": Path("small.png").read_bytes(), "path": "a.png"}
    columns = {"img": [encoded] * 40, "label": [i % 10 for i in range(40)]}
    columns["split"] = ["train"] * 20 + ["test"] * 20
    pq.write_table(pa.table(columns), "cifar.parquet")


def _make_runs() -> None:
    import torch
    from safetensors.torch import load_file

    from fairvision import audit, sweep, train

    quick: dict[str, Any] = {
        **{"model": "small_cnn", "size": 16, "epochs": 1, "batch_size": 16, "device": "cpu"}
    }
    options = "".join(f"{key} = {json.dumps(value)}\n" for key, value in quick.items())
    Path("my.toml").write_text(f'{options}attribute = ["shirt"]\n[equalizer]\nbeta = 2.5\n')
    train("data", output="run", method="threshold_optimizer", **quick)
    train("data", output="begun", **{**quick, "epochs": 2})
    shutil.copytree("run", "bare")
    config = json.loads(Path("bare/config.json").read_text())
    config.pop("sha256")
    Path("bare/config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "previous.ckpt"):
        Path("begun", name).unlink()
    weights = load_file("run/model.safetensors")
    backbone = {k.removeprefix("backbone."): v for k, v in weights.items() if "backbone." in k}
    torch.save({"state_dict": backbone}, "weights.pth")
    shutil.copy("run/model.safetensors", "weights.safetensors")
    audit(["run"], output="audit", data="data", replicates=2, device="cpu")
    sweep("data", output="sweep", methods=["baseline"], seeds=[0], replicates=2, **quick)
