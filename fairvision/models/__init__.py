"""Networks with a head per attribute and per task, and `Model`: whatever can be audited."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from fairvision.metrics.caption_words import GENDER_WORDS
from fairvision.models.architectures import Architecture
from fairvision.models.backbones import (
    SMALL,
    Backbone,
    backbone,
    default_size,
    names,
    register,
)
from fairvision.models.black_box import black_box
from fairvision.models.captioner import as_captioner
from fairvision.models.heads import Head, read_heads_file
from fairvision.models.model import Model, find_device, geometry_of, probabilities
from fairvision.models.module_model import module_model
from fairvision.models.network import DomainHead, Domains, ImageNetwork, Network
from fairvision.models.sources import SourceOptions, is_source, open_source, register_source
from fairvision.models.tuning import REGIMES, choose_regime, learning_parts, tune
from fairvision.models.vocabulary import Vocabulary
from fairvision.models.weights import fit, load_weights, read_tensors
from fairvision.models.writing import Captioner

__all__ = [
    "REGIMES",
    "SMALL",
    "Architecture",
    "Captioner",
    "DomainHead",
    "Domains",
    "Head",
    "ImageNetwork",
    "Model",
    "Network",
    "SourceOptions",
    "Vocabulary",
    "black_box",
    "build",
    "build_captioner",
    "choose_regime",
    "default_size",
    "find_device",
    "fit",
    "geometry_of",
    "is_source",
    "learning_parts",
    "module_model",
    "names",
    "open_source",
    "probabilities",
    "read_heads_file",
    "read_tensors",
    "register",
    "register_source",
    "tune",
]


def build(
    name: str,
    heads: Mapping[str, int],
    *,
    size: int,
    weights: str | None = None,
    many: Collection[str] = (),
    domains: Mapping[str, Domains] | None = None,
) -> Network:
    """Make a network with untrained heads.

    Parameters
    ----------
    name : one of `names()`; a timm network may have the tag of its weights, as in
        "timm:resnet50.a1_in1k"
    heads : number of classes, by the name of the attribute or task
    size : height and width of the images in pixels
    weights : what the backbone starts from: a name that torchvision publishes ("IMAGENET1K_V1",
        "DEFAULT"), "DEFAULT" of timm, or a local .pth or .safetensors file; by default random
    many : tasks in which several labels may hold for one image
    domains : heads that answer for every group by itself, see `DomainHead`

    Raises
    ------
    InputError
        If the network or the weights do not exist, do not fit, or the size is too small.

    Examples
    --------
    >>> import torch
    >>> network = build("lecture_cnn", {"gender": 2, "objects": 5}, size=28, many=["objects"])
    >>> {k: tuple(v.shape) for k, v in network(torch.rand(4, 3, 28, 28)).items()}
    {'gender': (4, 2), 'objects': (4, 5)}
    """
    base = _backbone(name, size, weights)
    network = Network(base.module, base.width, heads, many, domains)
    network.mean.copy_(torch.tensor(base.mean).view(3, 1, 1))
    network.std.copy_(torch.tensor(base.std).view(3, 1, 1))
    return network


def build_captioner(
    name: str,
    vocabulary: Vocabulary,
    words: Mapping[str, Collection[str]] = GENDER_WORDS,
    *,
    size: int,
    weights: str | None = None,
    decoder: str = "transformer",
) -> Captioner:
    """Make a network that writes captions, with an untrained decoder.

    Parameters
    ----------
    name, size, weights : as of `build`
    vocabulary : what it reads and writes
    words : the words by which captions name each group
    decoder : "transformer", which attends to the positions of an image, or "lstm", which is shown
        the image first

    Raises
    ------
    InputError
        As `build` does; or if the network has no layer with positions.

    Examples
    --------
    >>> import torch
    >>> network = build_captioner("small_cnn", Vocabulary.learn(["a man", "a woman"]), size=32)
    >>> network(torch.rand(2, 3, 32, 32), torch.ones(3, 5).long(), torch.tensor([0, 0, 1])).shape
    torch.Size([3, 5, 7])
    """
    return as_captioner(_backbone(name, size, weights), vocabulary, size, decoder, words)


def _backbone(name: str, size: int, weights: str | None) -> Backbone:
    """Return a backbone, with weights where they are asked for."""
    base = backbone(name, size)
    if weights is not None:
        load_weights(base, name, size, weights)
    return base
