"""CIFAR-10S: CIFAR-10 in which five classes are mostly grey and five mostly in colour."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from urllib.error import URLError

import numpy as np
import pandas as pd
from PIL import Image

from fairvision.core.files import check_vacant, whole_folder
from fairvision.datasets.folder import Dataset, load, save
from fairvision.datasets.readers.cifar10_parquet import CLASSES, Cifar10, read_parquet
from fairvision.datasets.readers.small_images import held_out, image_paths, write_images
from fairvision.errors import InputError
from fairvision.schema import Task

GREY_CLASSES = ("airplane", "bird", "deer", "frog", "ship")
DOMAINS = ("grey", "colour")
AUTHORS_SEED = 42


def from_cifar10(
    folder: str | Path,
    *,
    source: str | Path | None = None,
    skew: float = 0.95,
    val: int = 0,
    seed: int = AUTHORS_SEED,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a dataset folder of CIFAR-10S: task `class`, attribute `colour`.

    In training, `skew` of the images of airplane, bird, deer, frog and ship are grey, and as many
    of automobile, cat, dog, horse and truck are in colour; the others of each class are the other
    way. Of 5,000 images of a class 4,750 and 250. Every test image is there twice, grey and in
    colour, so that the attribute tells nothing about the class. Grey is ITU-R 601 luma.

    Parameters
    ----------
    folder : where to write the dataset folder
    source : a folder that holds `cifar-10-batches-py`, read by torchvision; or a parquet file, or
        a folder of them, of encoded images: see docs/cifar10s.md. By default CIFAR-10 is
        downloaded. The files of `cifar-10-batches-py` are pickles: torchvision opens them only
        where their digests are those of the published files.
    skew : share of each class in the domain that is typical of it, above .5 and below 1
    val : how many of the training images are held out for validation, chosen at random, with
        their skew; none by default, as published
    seed : of the choice of images. The default makes the authors' own choice, where the images
        are in the order of torchvision.
    workers : threads that write; by default one per core
    overwrite : replace a dataset folder that is there
    quiet : show no progress

    Returns
    -------
    Dataset
        The `id` of a test image ends in `-grey` or `-colour`; what stands before is the image.

    Raises
    ------
    InputError
        If the source is missing, damaged, of another layout, or cannot be downloaded; nothing is
        written.

    References
    ----------
    Z. Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias
    Mitigation", CVPR 2020, section 3. arXiv:1911.11834.

    Examples
    --------
    >>> from fairvision.datasets.readers.cifar10s import from_cifar10
    >>> skewed = from_cifar10("cifar10s", source="downloads")  # doctest: +SKIP
    >>> skewed.attributes  # doctest: +SKIP
    {'colour': ('grey', 'colour')}
    """
    if not 0.5 < skew < 1:
        raise InputError(f"skew must be above 0.5 and below 1, not {skew:g}")
    check_vacant(folder, marker="dataset.json", overwrite=overwrite)
    if source is None:
        train, test = _from_torchvision(None)
    elif (Path(source) / "cifar-10-batches-py").is_dir():
        train, test = _from_torchvision(Path(source))
    else:
        train, test = read_parquet(Path(source))
    grey = _choose_grey(train.labels, skew, seed)
    images = [np.where(grey[:, None, None, None], _to_grey(train.images), train.images)]
    images += [_to_grey(test.images), test.images]
    paths = image_paths("train", len(grey))
    for domain in DOMAINS:
        paths += image_paths(f"test-{domain}", len(test.labels))
    shown = ["train-{:05d}"] * len(grey)
    tests = [f"test-{i:05d}-{domain}" for domain in DOMAINS for i in range(len(test.labels))]
    labels = np.concatenate([train.labels, test.labels, test.labels])
    samples = pd.DataFrame(
        {
            "id": [*(name.format(i) for i, name in enumerate(shown)), *tests],
            "image": paths,
            "mask": None,
            "split": [*held_out(len(grey), val, seed), *["test"] * len(tests)],
            "colour": [
                *np.where(grey, *DOMAINS).tolist(),
                *np.repeat(DOMAINS, len(test.labels)).tolist(),
            ],
            "class": [CLASSES[label] for label in labels],
        }
    )
    with whole_folder(folder, marker="dataset.json", overwrite=overwrite) as part:
        write_images(part, paths, np.concatenate(images), workers=workers, quiet=quiet)
        dataset = Dataset(
            root=part,
            name="cifar10s",
            attributes={"colour": DOMAINS},
            tasks={"class": Task(CLASSES)},
            samples=samples,
            source=f"CIFAR-10 {train.origin}; skew {skew:g}, seed {seed}",
            licence="as CIFAR-10: none stated; for research",
            size=(32, 32),
        )
        save(dataset, part)
    return load(folder)


def _choose_grey(labels: np.ndarray, skew: float, seed: int) -> np.ndarray:
    """Return which training images turn grey, (n,) bool.

    It draws as the authors' program does (class by class, by Python's generator), so that their
    seed gives their images.
    """
    random, grey = Random(seed), np.zeros(len(labels), bool)
    for number, name in enumerate(CLASSES):
        rows: Sequence[int] = np.flatnonzero(labels == number).tolist()
        typical = random.sample(rows, int(len(rows) * skew))
        is_grey = name in GREY_CLASSES
        grey[rows] = not is_grey
        grey[typical] = is_grey
    return grey


def _to_grey(images: np.ndarray) -> np.ndarray:
    """Return images, (n, height, width, 3) uint8, without their colours."""
    n, height, width, _ = images.shape
    flat = Image.fromarray(images.reshape(n * height, width, 3)).convert("L")
    grey = np.asarray(flat).reshape(n, height, width, 1)
    return np.repeat(grey, 3, axis=3)


def _from_torchvision(source: Path | None) -> tuple[Cifar10, Cifar10]:
    """Return the training and the test part."""
    from torchvision.datasets import CIFAR10

    with tempfile.TemporaryDirectory(prefix="cifar10-") as place:
        root = place if source is None else source
        try:
            if source is None:
                CIFAR10(root, download=True)
            parts = [CIFAR10(root, train=is_train) for is_train in (True, False)]
        except (RuntimeError, URLError, OSError) as error:
            if source is None:
                raise InputError(
                    f"CIFAR-10 cannot be downloaded ({str(error).strip().splitlines()[-1]}): "
                    "--source takes a folder that holds cifar-10-batches-py, or a parquet file"
                ) from None
            raise InputError(
                f"{source}/cifar-10-batches-py is incomplete or not as published: its files are "
                "pickles, which are opened only where their digests are the published ones"
            ) from None
    train, test = (
        Cifar10(part.data, np.asarray(part.targets), "read by torchvision") for part in parts
    )
    return train, test
