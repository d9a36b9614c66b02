"""From image files to what a model is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image

from fairvision.core.files import is_of_system
from fairvision.core.moved import renamed_arguments
from fairvision.datasets import image_tensor
from fairvision.errors import InputError
from fairvision.models import Model
from fairvision.runs import Run
from fairvision.runs.model import RunModel

PREPARATIONS = ("auto", "digit", "none")


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
def as_batch(images: list[Image.Image], size: int, device: torch.device) -> torch.Tensor:
    """Return images as a network takes them, (n, 3, size, size) float32 in [0, 1]."""
    return torch.stack([image_tensor(image, size) for image in images]).to(device)
