"""From image files to probabilities, by a trained run or any other model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from fairvision import metrics
from fairvision.core.files import is_of_system, path_text
from fairvision.core.moved import renamed_arguments
from fairvision.datasets import image_tensor, read_image
from fairvision.datasets.batching import tensor_of
from fairvision.datasets.geometry import Geometry
from fairvision.datasets.images import Doubts
from fairvision.errors import InputError
from fairvision.inference.confidence import Familiarity, features_and_scores
from fairvision.inference.digits import prepare_digit
from fairvision.models import Model, Network, SourceOptions, find_device, geometry_of
from fairvision.runs import Run
from fairvision.runs.model import RunModel, as_model

PREPARATIONS = ("auto", "digit", "none")

ANSWER = "answer"  # in front of the columns of predicted labels, which are never those of the truth
CONFIDENCE = "confidence"
DISTANCE = "distance_percentile"


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
    """Yield the file at a path, or the readable images of a folder, sorted by name."""
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


@renamed_arguments(run="model")
def prepares_digits(model: Model | Run, prepare: str) -> bool:
    """Return whether images are made like those of MNIST for a model.

    Parameters
    ----------
    model : a model or a run
    prepare : "digit", "none", or "auto": they are for a run that was trained on MNIST
    """
    if prepare not in PREPARATIONS:
        raise InputError(f"prepare {prepare!r} is not one of {', '.join(PREPARATIONS)}")
    run = model.run if isinstance(model, RunModel) else model
    of_mnist = isinstance(run, Run) and run.config["data"].get("name") == "mnist"
    return prepare == "digit" or (prepare == "auto" and of_mnist)


@renamed_arguments(pictures="images")
def as_batch(images: list[Image.Image], size: int | Geometry, device: torch.device) -> torch.Tensor:
    """Return images as a network takes them, (n, 3, size, size) float32 in [0, 1]."""
    return torch.stack([image_tensor(image, size) for image in images]).to(device)


def predict(
    run: Model | Run | str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    prepare: str = "auto",
    familiarity: Familiarity | None = None,
    device: str = "auto",
    options: SourceOptions | None = None,
    batch_size: int = 64,
    quiet: bool = True,
) -> pd.DataFrame:
    """Return what a trained model predicts for images.

    Parameters
    ----------
    run : a run folder, the run loaded from it, any `fairvision.models.Model`, or the name of a
        model of another library, such as "timm:resnet18"
    images : image files, and folders whose image files are taken in the order of their names
        (folders inside them are not, nor what systems leave there, such as "._a.jpg")
    prepare : "digit" makes each image one like those of MNIST (`digits.prepare_digit`),
        "none" takes it as it is; "auto" is "digit" for a run that was trained on MNIST
    familiarity : from `learn_familiarity` of the same run, for the last two kinds of columns
    device : "auto", "cpu", "cuda" or "mps": where to put the network of a run
    options : what is told about a model by name
    batch_size : images in the network at one time
    quiet : show no progress on the terminal

    Returns
    -------
    One row per image: `id` (the file's name without its ending, where these are unique; else the
    path), `image` (the path); per head, which is an attribute or a task, a column `answer/<head>`,
    and a column `score/<head>/<label>` per label with its probability in [0, 1]. With
    `familiarity` a column `confidence/<head>` per head with one answer, the calibrated probability
    of that answer, and `distance_percentile`, the share of held-out images that are nearer to the
    training data. The answer is the most probable label, or where many labels may hold the tuple of
    those above .5; it is None where the network gives NaN. The groups of loose images
    are not known, so thresholds per group (`methods.threshold_optimizer`) are not applied.

    Raises
    ------
    InputError
        If the run or an image cannot be read; the message names it.
    """
    files = image_files(images)
    model = as_model(run, find_device(device), options=options)
    as_digits, geometry = prepares_digits(model, prepare), geometry_of(model)
    if familiarity is not None and not isinstance(model.module, Network):
        raise InputError(f"{model} has no features by which it is told how far images are")
    starts: Iterable[int] = range(0, len(files), batch_size)
    if not quiet:
        starts = track(starts, "pictures", console=Console(stderr=True), transient=True)
    parts, features, doubts = [], [], Doubts()
    for start in starts:
        paths = files[start : start + batch_size]
        if as_digits:
            originals = [read_image(path, doubts=doubts) for path in paths]
            digits = [prepare_digit(image).convert("RGB") for image in originals]
            tensor = as_batch(digits, geometry, model.device)
        else:
            batch = [tensor_of(geometry.read(path, doubts)) for path in paths]
            tensor = torch.stack(batch).to(model.device)
        if familiarity is not None and isinstance(model.module, Network):
            of_batch, scores = features_and_scores(model.module, tensor)
            features.append(of_batch)
        else:
            scores = {name: values.cpu().numpy() for name, values in model.predict(tensor).items()}
        parts.append(scores)
    doubts.tell()
    texts, names = list(map(path_text, files)), [path_text(Path(file.stem)) for file in files]
    unique = len(set(names)) == len(names)
    table: dict[str, pd.Series] = {
        "id": pd.Series(names if unique else texts),
        "image": pd.Series(texts),
    }
    for head in model.schema:
        labels, values = model.schema.labels(head), np.concatenate([part[head] for part in parts])
        predicted = predicted_labels(values, labels, model.schema.is_many(head))
        table[f"{ANSWER}/{head}"] = pd.Series(predicted, dtype=object)
        for label, column in zip(labels, values.T):
            table[f"score/{head}/{label}"] = pd.Series(column)
        if familiarity is not None and head in familiarity.temperature:
            table[f"{CONFIDENCE}/{head}"] = pd.Series(familiarity.calibrated(head, values))
    if familiarity is not None:
        table[DISTANCE] = pd.Series(familiarity.distance_percentile(np.concatenate(features)))
    return pd.DataFrame(table)


def predicted_labels(
    scores: npt.NDArray[np.floating], labels: Sequence[str], many: bool = False
) -> list[str | tuple[str, ...] | None]:
    """Return the labels that probabilities (n, labels) decide for; see `predict`.

    >>> predicted_labels(np.array([[0.2, 0.8], [0.9, 0.1]]), ["cat", "dog"])
    ['dog', 'cat']
    >>> predicted_labels(np.array([[0.2, 0.8], [0.1, 0.1]]), ["cat", "dog"], many=True)
    [('dog',), ()]
    """
    decided = metrics.decide(scores, many)
    if many:
        return [
            None if -1 in row else tuple(label for label, holds in zip(labels, row) if holds)
            for row in decided
        ]
    return [None if position < 0 else labels[position] for position in decided]
