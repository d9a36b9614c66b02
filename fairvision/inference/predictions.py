"""Probabilities for any image files, from a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from fairvision import metrics, runs
from fairvision.core.files import is_of_system, path_text
from fairvision.datasets import image_tensor, read_image
from fairvision.datasets.decoding import read_to_size
from fairvision.datasets.doubts import Doubts
from fairvision.errors import InputError
from fairvision.inference.digits import prepare_digit
from fairvision.models import Network, find_device

if TYPE_CHECKING:
    from fairvision.inference.confidence import Familiarity

PREPARATIONS = ("auto", "digit", "none")
ANSWER = "answer"  # in front of the columns of answers, which are never those of the truth


def predict(
    run: runs.Run | str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    prepare: str = "auto",
    familiarity: Familiarity | None = None,
    device: str = "auto",
    batch_size: int = 64,
    quiet: bool = True,
) -> pd.DataFrame:
    """Return what a trained model says about images.

    Parameters
    ----------
    run : a run folder, or the run loaded from it
    images : image files, and folders whose image files are taken in the order of their names
        (folders inside them are not, nor what systems leave there, such as "._a.jpg")
    prepare : "digit" makes each image one like those of MNIST (`own_images.prepare_digit`),
        "none" takes it as it is; "auto" is "digit" for a run that was trained on MNIST
    familiarity : what `learn_familiarity` found, for the last two kinds of columns
    device : "auto", "cpu", "cuda" or "mps"
    batch_size : images in the network at one time
    quiet : show no progress on the terminal

    Returns
    -------
    One row per image: `id` (the file's name without its ending, where these are unique; else the
    path), `image` (the path); per head, which is an attribute or a task, a column `answer/<head>`,
    and a column `score/<head>/<label>` per label with its probability in [0, 1]. With
    `familiarity` a column `sure/<head>` per head with one answer, the calibrated probability of
    that answer, and `farther_than`, the share of held-out images that are nearer to the training
    data. The answer is the most probable label, or where many labels may hold the tuple of those
    above .5; it is None where the network gives NaN. The groups of loose images
    are not known, so thresholds per group (`methods.threshold_optimizer`) are not applied.

    Raises
    ------
    InputError
        If the run or an image cannot be read; the message names it.
    """
    run = as_run(run)
    files = image_files(images)
    where = find_device(device)
    network = runs.network(run, device=where)
    as_digits = prepares_digits(run, prepare)
    starts: Iterable[int] = range(0, len(files), batch_size)
    if not quiet:
        starts = track(starts, "pictures", console=Console(stderr=True), transient=True)
    found, features, doubts = [], [], Doubts()
    for start in starts:
        now = files[start : start + batch_size]
        if as_digits:
            read = [read_image(file, doubts=doubts) for file in now]
            some = [prepare_digit(image).convert("RGB") for image in read]
        else:
            some = [read_to_size(file, run.size, doubts) for file in now]
        seen, given = features_and_scores(network, as_batch(some, run.size, where))
        features.append(seen)
        found.append(given)
    doubts.tell()
    paths, names = list(map(path_text, files)), [path_text(Path(file.stem)) for file in files]
    unique = len(set(names)) == len(names)
    table: dict[str, pd.Series] = {
        "id": pd.Series(names if unique else paths),
        "image": pd.Series(paths),
    }
    for name, labels in run.heads.items():
        scores = np.concatenate([batch[name] for batch in found])
        said = answers(scores, labels, name in network.many)
        table[f"{ANSWER}/{name}"] = pd.Series(said, dtype=object)
        for label, column in zip(labels, scores.T):
            table[f"score/{name}/{label}"] = pd.Series(column)
        if familiarity is not None and name in familiarity.temperature:
            table[f"sure/{name}"] = pd.Series(familiarity.sure(name, scores))
    if familiarity is not None:
        table["farther_than"] = pd.Series(familiarity.farther_than(np.concatenate(features)))
    return pd.DataFrame(table)


def prepares_digits(run: runs.Run, prepare: str) -> bool:
    """Return whether images are made like those of MNIST; see `predict`."""
    if prepare not in PREPARATIONS:
        raise InputError(f"prepare {prepare!r} is not one of {', '.join(PREPARATIONS)}")
    return prepare == "digit" or (prepare == "auto" and run.config["data"].get("name") == "mnist")


def features_and_scores(
    network: Network, images: torch.Tensor
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return features (n, width) and the probabilities of every head, in one pass."""
    with torch.inference_mode():
        features = network.features(images)
        logits = {name: head(features) for name, head in zip(network.head_names, network.heads)}
        scores = network.as_probabilities(logits)
    return features.float().cpu().numpy(), {k: v.cpu().numpy() for k, v in scores.items()}


def answers(
    scores: np.ndarray, labels: Sequence[str], many: bool = False
) -> list[str | tuple[str, ...] | None]:
    """Turn probabilities (n, labels) into answers; see `predict`.

    >>> answers(np.array([[0.2, 0.8], [0.9, 0.1]]), ["cat", "dog"])
    ['dog', 'cat']
    >>> answers(np.array([[0.2, 0.8], [0.1, 0.1]]), ["cat", "dog"], many=True)
    [('dog',), ()]
    """
    decided = metrics.decide(scores, many)
    if many:
        return [
            None if -1 in row else tuple(label for label, holds in zip(labels, row) if holds)
            for row in decided
        ]
    return [None if position < 0 else labels[position] for position in decided]


def image_files(images: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the files; in place of a folder, the image files that lie in it, by name.

    Raises
    ------
    InputError
        If there are none, a folder holds none, or a path does not exist.
    """
    if isinstance(images, str | Path):
        images = [images]
    files = [file for path in images for file in _files_at(Path(path))]
    if not files:
        raise InputError("no pictures were given")
    return files


def _files_at(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"picture {path} is missing")
        yield path
        return
    readable = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in readable and not is_of_system(file.name) and file.is_file()
    )
    if not files:
        raise InputError(f"folder {path} holds no pictures")
    yield from files


def as_run(run: runs.Run | str | Path) -> runs.Run:
    """Return a run, loaded if it is given by its folder."""
    return run if isinstance(run, runs.Run) else runs.load(run)


def as_batch(images: list[Image.Image], size: int, device: torch.device) -> torch.Tensor:
    """Return images as a network takes them, (n, 3, size, size) float32 in [0, 1]."""
    return torch.stack([image_tensor(image, size) for image in images]).to(device)
