"""How far images are from the training data, and how sure a model may be of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors

from fairvision import runs
from fairvision.core.moved import former_attributes
from fairvision.datasets import Dataset, batches, load, open_pixels
from fairvision.errors import InputError
from fairvision.models import Network, find_device

NEIGHBOURS = 10
MOST_TRAINING = 10_000
MOST_HELD_OUT = 5_000
FAR = 0.99
_BATCH = 64
_LEAST = 1e-30  # probability that float32 may have rounded to 0
_RANGE = (-3.0, 3.0)  # of the logarithm of the temperature


@dataclass(frozen=True)
class Familiarity:
    """How confident a network may be, and how far images are, judged by held-out images.

    Attributes
    ----------
    split : the held-out split: "val", or "test" where the data has no "val"
    training, held_out : numbers of images looked at
    annotated : of each head with one answer per image, the number of held-out images with a label
    temperature : of the same heads; NaN where no image has a label
    accuracy, mean_probability : of the same heads, on the held-out images: the share of answers
        that are right, and the mean probability that the network itself gives to its answers
    """

    split: str
    training: int
    held_out: int
    annotated: Mapping[str, int]
    temperature: Mapping[str, float]
    accuracy: Mapping[str, float]
    mean_probability: Mapping[str, float]
    _neighbours: NearestNeighbors
    _distances: npt.NDArray[np.floating]

    __getattr__ = former_attributes(
        {
            "known": "annotated",
            "confidence": "mean_probability",
            "sure": "calibrated",
            "farther_than": "distance_percentile",
        }
    )

    def calibrated(self, head: str, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the calibrated probability (n,) of the answers that (n, classes) `scores` give."""
        highest: npt.NDArray[np.floating] = tempered(scores, self.temperature[head]).max(axis=1)
        return highest

    def distance_percentile(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return which share of the held-out images is nearer to the training data.

        Parameters
        ----------
        features : (n, width) as `Network.features` gives them

        Returns
        -------
        (n,) in [0, 1]; NaN where a feature is not finite. An image like the training data has any
        value with equal chance, one unlike it a value near 1.
        """
        distance = _distance(self._neighbours, features)
        shares = np.searchsorted(self._distances, distance, side="left") / len(self._distances)
        return np.where(np.isnan(distance), np.nan, shares)


def learn_familiarity(
    run: runs.Run | str | Path,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> Familiarity:
    """Calibrate a trained network, and measure how far held-out images are from the training data.

    *Confidence.* One temperature T per head, by which logits are divided, is fitted to the held-out
    images by their likelihood (Guo et al., section 4.2). T above 1: the network is too
    confident. It does not change the answer, and it holds for images like the held-out ones only.

    *Distance.* The distance of an image is that from its features, scaled to length 1, to the
    tenth nearest of the training images (Sun et al., section 3), and it is set against the
    distances of the held-out images.

    Parameters
    ----------
    run : a finished run
    data : dataset folder; by default the one that the run was trained on
    device : "auto", "cpu", "cuda" or "mps"
    workers : threads that decode images; by default one per core
    seed : of the choice of at most 10,000 training and 5,000 held-out images
    quiet : show no progress

    Raises
    ------
    InputError
        If the data cannot be read, is no longer what the run was trained on (unless it is given),
        has other labels than the run, or has no training or no held-out images.

    References
    ----------
    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Y. Sun et al.,
    "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.
    """
    run = runs.as_run(run)
    dataset = _data_of(run, data)
    split = next((s for s in ("val", "test") if (dataset.samples["split"] == s).any()), None)
    if split is None:
        raise InputError(f"{dataset.root} has neither val nor test pictures to compare with")
    network = runs.network(run, device=find_device(device))
    rng = np.random.default_rng(seed)
    train = _sample(dataset.split("train"), MOST_TRAINING, rng)
    held_out = _sample(dataset.split(split), MOST_HELD_OUT, rng)
    reference, _ = _features_and_scores(network, train, run.size, workers, quiet)
    features, scores = _features_and_scores(network, held_out, run.size, workers, quiet)
    if not (np.isfinite(reference).all() and np.isfinite(features).all()):
        raise InputError(f"the network of {run.folder} gives features that are not finite")
    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(train))).fit(_unit(reference))
    annotated, temperature, accuracy, mean_probability = {}, {}, {}, {}
    for name in scores:
        if name in network.many:
            continue
        truth = held_out.codes(name) if name in run.attributes else held_out.targets(name)
        given, truth = scores[name][truth >= 0].astype(float), truth[truth >= 0]
        annotated[name] = n = len(truth)
        temperature[name] = fit_temperature(given, truth)
        accuracy[name] = float((given.argmax(axis=1) == truth).mean()) if n else np.nan
        mean_probability[name] = float(given.max(axis=1).mean()) if n else np.nan
    return Familiarity(
        split=split,
        training=len(train),
        held_out=len(held_out),
        annotated=annotated,
        temperature=temperature,
        accuracy=accuracy,
        mean_probability=mean_probability,
        _neighbours=neighbours,
        _distances=np.sort(_distance(neighbours, features)),
    )


def fit_temperature(scores: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """Return the temperature under which the truth is most likely.

    Parameters
    ----------
    scores : (n, classes) probabilities
    truth : (n,) positions of the true classes

    Returns
    -------
    In [1/20, 20]: e to the power of ±3. NaN without images.

    Examples
    --------
    Nine of ten right, but always sure of 99%: T makes it 90%.

    >>> scores = np.tile([0.99, 0.01], (10, 1))
    >>> T = fit_temperature(scores, np.array([0] * 9 + [1]))
    >>> round(T, 2), tempered(scores, T)[0].round(2)
    (2.09, array([0.9, 0.1]))
    """
    if not len(truth):
        return float("nan")

    def mean_surprise(log_temperature: float) -> float:
        given = tempered(scores, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        return -float(np.log(np.maximum(given, _LEAST)).mean())

    return float(np.exp(minimize_scalar(mean_surprise, bounds=_RANGE, method="bounded").x))


def tempered(scores: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.floating]:
    """Return the probabilities whose logits are those of `scores` divided by a temperature.

    Parameters
    ----------
    scores : (n, classes) probabilities that sum to 1
    temperature : above 0; NaN gives NaN
    """
    logits = np.log(np.maximum(scores.astype(float), _LEAST))
    given: npt.NDArray[np.floating] = softmax(logits / temperature, axis=1)
    return given


def _data_of(run: runs.Run, data: str | Path | None) -> Dataset:
    """Return the data of a run, or the data given for it; `InputError` where it does not fit."""
    stored = run.config["data"]
    if data is None:
        path = stored.get("path")
        if not path or not Path(path).is_dir():
            raise InputError(
                f"the data that {run.folder} was trained on is not at {path or 'a known place'}: "
                "say where it is with --data"
            )
        dataset = load(path).originals()
        if dataset.fingerprint() != stored["fingerprint"]:
            raise InputError(
                f"{path} is no longer what {run.folder} was trained on: --data {path} takes it as "
                "it is"
            )
    else:
        dataset = load(data).originals()
    labels_of_data = dataset.schema.heads
    for name, labels in run.heads.items():
        if labels_of_data.get(name) != labels:
            raise InputError(
                f"{dataset.root} has no {name!r} with the labels of {run.folder} "
                f"({', '.join(labels)})"
            )
    return dataset


def _sample(dataset: Dataset, most: int, rng: np.random.Generator) -> Dataset:
    """Return at most so many rows, chosen at random, in their order."""
    if len(dataset) <= most:
        return dataset
    rows = np.sort(rng.choice(len(dataset), most, replace=False))
    return replace(dataset, samples=dataset.samples.iloc[rows].reset_index(drop=True))


def features_and_scores(
    network: Network, images: torch.Tensor
) -> tuple[npt.NDArray[np.floating], dict[str, npt.NDArray[np.floating]]]:
    """Return features (n, width) and the probabilities of every head, in one pass."""
    with torch.inference_mode():
        logits, features = network(images, with_features=True)
        scores = network.as_probabilities(logits)
    return features.float().cpu().numpy(), {k: v.cpu().numpy() for k, v in scores.items()}


def _features_and_scores(
    network: Network, dataset: Dataset, size: int, workers: int | None, quiet: bool
) -> tuple[npt.NDArray[np.floating], dict[str, npt.NDArray[np.floating]]]:
    """Return what `features_and_scores` does, for all images of a dataset."""
    pixels = open_pixels(dataset, size, workers=workers, quiet=quiet)
    parts = [
        features_and_scores(network, batch.images)
        for batch in track(
            batches(dataset, pixels, _BATCH, device=network.mean.device),
            "known pictures",
            total=-(-len(dataset) // _BATCH),
            console=Console(stderr=True),
            transient=True,
            disable=quiet,
        )
    ]
    features = np.concatenate([features for features, _ in parts])
    return features, {k: np.concatenate([s[k] for _, s in parts]) for k in network.head_names}


def _unit(features: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return features scaled to length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: npt.NDArray[np.floating] = features / np.maximum(lengths, 1e-12)
    return unit


def _distance(
    neighbours: NearestNeighbors, features: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Return the distance to the tenth nearest training image; NaN of features not finite."""
    finite = np.isfinite(features).all(axis=1)
    distances = np.full(len(features), np.nan)
    if finite.any():
        distances[finite] = neighbours.kneighbors(_unit(features[finite]))[0][:, -1]
    return distances
