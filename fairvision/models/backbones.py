"""Networks by name, without the layer that classifies: images in, features out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
import torchvision
from torch import nn

from fairvision.core.moved import renamed_arguments
from fairvision.core.plugins import Plugins
from fairvision.datasets.pixels import LARGEST_SIDE
from fairvision.errors import InputError
from fairvision.models import timm_networks
from fairvision.models.architectures import OURS, Architecture, InceptionV3

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network without its classifying layer.

    Attributes
    ----------
    module : normalised images (n, 3, size, size) in, features (n, width) out
    width : number of features
    classifier : names of the layers that were taken away, under which weight files hold them
    mean, std : of each channel, which normalise the images
    """

    module: nn.Module
    width: int
    classifier: tuple[str, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


SMALL = tuple(name for name, architecture in OURS.items() if architecture.keeps_small_images)

_ARCHITECTURES: Plugins[Architecture] = Plugins(
    "network",
    "fairvision.networks",
    {name: f"fairvision.models.architectures:{name.upper()}" for name in OURS},
    lambda name, build: build if isinstance(build, Architecture) else Architecture(build),
)


def register(
    name: str,
    build: Callable[[int], nn.Module],
    *,
    size: int = 224,
    has_classifier: bool = False,
    keeps_small_images: bool = False,
) -> None:
    """Let a network from outside of fairvision be trained, loaded and audited by a name.

    A package may also declare an entry point of the group `fairvision.networks`, which is the name
    of a function like `build`, or of an `Architecture`.

    Parameters
    ----------
    name : what the network is called by `--model`, and in run folders
    build, size, has_classifier, keeps_small_images : see `Architecture`

    Raises
    ------
    InputError
        If there is a network of that name already.

    Examples
    --------
    >>> def build(size):
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 16), nn.ReLU())
    >>> register("one_hidden_layer", build, size=28)
    >>> default_size("one_hidden_layer"), backbone("one_hidden_layer", 28).width
    (28, 16)
    """
    architecture = Architecture(build, size, has_classifier, keeps_small_images)
    if name in _of_torchvision():
        raise InputError(f"there is a network {name!r} already: choose another name")
    _ARCHITECTURES.register(name, architecture)


def is_registered(name: str) -> bool:
    """Tell whether a network is ours or from outside of fairvision, not torchvision's or timm's."""
    return name in _ARCHITECTURES


def names() -> list[str]:
    """Return the names of all networks: ours and registered ones, torchvision's, then timm's.

    >>> names()[:3], "alexnet" in names(), "timm:resnet50" in names()
    (['lecture_cnn', 'small_cnn', 'resnet18_32px'], True, True)
    """
    return [*_ARCHITECTURES, *_of_torchvision(), *timm_networks.names()]


def is_timm(name: str) -> bool:
    """Tell whether a network is asked of timm, as in "timm:resnet50"."""
    return name.startswith(timm_networks.PREFIX)


@renamed_arguments(pictures="images")
def default_size(name: str, images: tuple[int, int] | None = None) -> int:
    """Return the side in pixels at which a network is used unless another is asked for.

    Parameters
    ----------
    name : of the network
    images : (width, height) of all images, where they have one; networks that keep small images
        do not enlarge them

    Raises
    ------
    InputError
        If there is no such network.

    Examples
    --------
    >>> default_size("lecture_cnn", (28, 28)), default_size("resnet18", (28, 28))
    (28, 224)
    """
    check_name(name)
    if is_timm(name):
        return timm_networks.default_size(name)
    if not is_registered(name):
        return 299 if name == "inception_v3" else 224
    architecture = _ARCHITECTURES[name]
    if images and architecture.keeps_small_images:
        return min(architecture.size, max(images))
    return architecture.size


def check_name(name: str) -> None:
    """Raise `InputError` with names that come near unless there is such a network."""
    if timm_networks.has(name) if is_timm(name) else name in (*_ARCHITECTURES, *_of_torchvision()):
        return
    near = get_close_matches(name, names(), n=4) or list(SMALL)
    of_timm = timm_networks.PREFIX + name
    if not is_timm(name) and timm_networks.has(of_timm):
        near = [of_timm, *(one for one in near if one != of_timm)][:4]
    raise InputError(
        f"there is no network {name!r}: choose {', '.join(near)} or another of torchvision's or, "
        f"with {timm_networks.PREFIX} before the name, of timm's"
    )


def backbone(name: str, size: int) -> Backbone:
    """Return an untrained network without its classifying layer.

    Of torchvision's networks that layer, the last linear or convolutional one, becomes the
    identity. Inception v3 keeps its auxiliary classifier but for its last layer, where the images
    are large enough; others are left out. Activations never work in place, so that attributions may
    read every layer.

    Raises
    ------
    InputError
        If there is no such network, or if it cannot take images of this size.
    """
    check_name(name)
    if size > LARGEST_SIDE:
        raise InputError(
            f"{name} cannot take pictures of {size} × {size} pixels, choose another size "
            f"(usual: {default_size(name)}, at most {LARGEST_SIDE})"
        )
    try:
        network, classifier = _without_classifier(name, size)
        for module in network.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # type: ignore[assignment]
        network.eval()
        with torch.no_grad():
            features = network(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{name} cannot take pictures of {size} × {size} pixels, choose another size "
            f"(usual: {default_size(name)}): {reason}"
        ) from None
    if features.ndim != 2:
        raise InputError(f"{name} gives no features for a classifier: choose another network")
    network, width = network.train(), features.shape[1]
    if is_timm(name):
        return Backbone(network, width, classifier, *timm_networks.normalisation(name))
    return Backbone(network, width, classifier)


def _of_torchvision() -> list[str]:
    """Return the names of torchvision's image classifiers."""
    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _without_classifier(name: str, size: int) -> tuple[nn.Module, tuple[str, ...]]:
    """Return an untrained network, and the names of the layers that were taken away."""
    if is_timm(name):
        return timm_networks.build(name, size)
    if is_registered(name):
        architecture = _ARCHITECTURES[name]
        network = architecture.build(size)
        if not architecture.has_classifier:
            return network, ()
    elif name == "inception_v3":
        network = InceptionV3(size)
    else:
        network = torchvision.models.get_model(name, **torchvision_options(name, size))
    layers = [k for k, m in network.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    network.set_submodule(layers[-1], nn.Identity())
    return network, (layers[-1],)


def torchvision_options(name: str, size: int) -> Mapping[str, Any]:
    """Return what the constructors of several families of torchvision's need besides.

    >>> torchvision_options("vit_b_16", 192), torchvision_options("resnet50", 192)
    ({'image_size': 192}, {})
    """
    if name.startswith("vit_"):
        return {"image_size": size}
    if name.startswith("maxvit_"):
        return {"input_size": (size, size)}
    if name in ("googlenet", "inception_v3"):
        # Their published weights want inputs in [-1, 1], which transform_input provides.
        return {"aux_logits": False, "transform_input": True, "init_weights": True}
    return {}
