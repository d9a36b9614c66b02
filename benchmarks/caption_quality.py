"""BLEU, CIDEr and ROUGE-L: ours, and those of pycocoevalcap.

    python benchmarks/caption_quality.py [HUMAN.json CAPTIONS.json] [--images 10000] [--rounds 3]

Human captions in COCO's format of annotations and a captioner's in that of results; without files,
captions of as many images, with five references each, are drawn from words whose frequencies fall
as those of a language do. Both are given the same texts, pycocoevalcap after our tokens (its own
are cut by a program in Java, which is not timed); ours cuts them itself, and with 1000 resamples
draws intervals. Values are compared to 1e-9. Printed is the median of CPU seconds, of all threads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from fairvision import metrics
from fairvision.metrics.caption_tokens import coco_tokens

Texts = tuple[list[str], list[list[str]]]  # captions, and references of each image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    captions, references = read(*given.files) if given.files else draw(given.images)
    print(f"{len(captions):,} images, {sum(map(len, references)):,} references")
    cut = {i: [" ".join(coco_tokens(text))] for i, text in enumerate(captions)}
    written = {i: [" ".join(coco_tokens(text)) for text in of] for i, of in enumerate(references)}
    theirs: dict[str, Callable[[], float]] = {
        "bleu": lambda: Bleu(4).compute_score(written, cut, verbose=0)[0][3],
        "cider": lambda: Cider().compute_score(written, cut)[0],
        "rouge_l": lambda: Rouge().compute_score(written, cut)[0],
    }
    for name, their in theirs.items():
        works = {
            "pycocoevalcap": their,
            "ours": ours(name, captions, references, replicates=0),
            "ours, with intervals": ours(name, captions, references),
        }
        compare(name, works, given.rounds)
    together = {"all three, with intervals": ours("caption_metrics", captions, references)}
    compare("caption_metrics", together, given.rounds)


def ours(name: str, captions: Any, references: Any, **sampling: Any) -> Callable[[], Any]:
    return lambda: getattr(metrics, name)(captions, references, **sampling)


def compare(name: str, works: Mapping[str, Callable[[], Any]], rounds: int) -> None:
    seconds: dict[str, list[float]] = {work: [] for work in works}
    values = {}
    for _ in range(rounds):
        for work, run in works.items():
            start = time.process_time()
            values[work] = run()
            seconds[work].append(time.process_time() - start)
    print(name)
    taken = {work: float(np.median(of)) for work, of in seconds.items()}
    for work, of in taken.items():
        times = f"{of / taken['ours']:8.2f}× ours" if "ours" in taken else ""
        print(f"{work:>26}: {of:8.2f} s {times}", flush=True)
    if "ours" in values:
        np.testing.assert_allclose([*values.values()], float(values["ours"]), rtol=0, atol=1e-9)


def read(human: Path, model: Path) -> Texts:
    references: dict[Any, list[str]] = {}
    for entry in load(human)["annotations"]:
        references.setdefault(entry["image_id"], []).append(entry["caption"])
    captions = {entry["image_id"]: entry["caption"] for entry in load(model)}
    images = [image for image in references if image in captions]
    return [captions[image] for image in images], [references[image] for image in images]


def load(path: Path) -> Any:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(text)


def draw(images: int) -> Texts:
    random = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(8000)])
    share = 1 / np.arange(1, len(words) + 1)
    lengths = random.integers(8, 15, images * 6)
    drawn = random.choice(words, lengths.sum(), p=share / share.sum())
    texts = [" ".join(of) for of in np.split(drawn, np.cumsum(lengths)[:-1])]
    return texts[:images], [texts[images + 5 * i : images + 5 * i + 5] for i in range(images)]


if __name__ == "__main__":
    main()
