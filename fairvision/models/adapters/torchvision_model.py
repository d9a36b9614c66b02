"""`torchvision:NAME[@WEIGHTS]`: a published classifier of torchvision, or a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError
from fairvision.models.backbones import default_size, torchvision_options
from fairvision.models.model import Model
from fairvision.models.preprocessing import Preprocessing, recognised
from fairvision.models.sources import SourceOptions, adapted
from fairvision.models.weights import fit, is_weights_file, published, read_tensors

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a classifier of torchvision.

    Parameters
    ----------
    reference : name of the network, and behind `@` the name of published weights or a file of
        weights, from which the number of classes is read; by default "DEFAULT"
    options : what is told about it

    Raises
    ------
    InputError
        If there is no such network, or the weights cannot be had or do not fit.
    """
    import torchvision

    source = f"torchvision:{reference}"
    name, _, weights = reference.partition("@")
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(f"{source}: torchvision has no classifier {name!r}")
    build = torchvision.models.get_model
    arguments = torchvision_options(name, options.size or default_size(name))
    if is_weights_file(weights):
        with torch.device("meta"):
            shape = build(name, **arguments)
        state = read_tensors(weights, shape.state_dict().keys())
        network = build(name, **arguments, num_classes=_classes(shape, state, source))
        fit(network, state, source=weights)
        return adapted(network, source, options, _usual(name))
    state, about = published(weights or "DEFAULT", name)
    outputs = list(about.meta["categories"])
    network = build(name, **arguments, num_classes=len(outputs))
    fit(network, state, source=f"{weights or 'DEFAULT'} of {name}")
    preprocessing = recognised(about.transforms(), "as torchvision says of these weights")
    return adapted(network, source, options, preprocessing, outputs=outputs)


def _usual(name: str) -> Preprocessing:
    """Return the preprocessing of a network's published weights, for others of its shape."""
    import torchvision

    try:
        about: Any = torchvision.models.get_model_weights(name).DEFAULT
    except AttributeError:
        return Preprocessing(Geometry(224, 256, exact=True), _MEAN, _STD, "usual in torchvision")
    return recognised(about.transforms(), f"as torchvision says of its own weights of {name}")


def _classes(network: nn.Module, state: Mapping[str, Tensor], source: str) -> int:
    """Return how many classes weights have: the length of the last layer that has weights."""
    layers = [k for k, m in network.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    key = f"{layers[-1]}.weight"
    if key not in state:
        raise InputError(f"{source}: the file has no classifier, {key!r}")
    return len(state[key])
