"""`timm:NAME[@WEIGHTS]`: a published classifier of timm, or a file of weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from fairvision.errors import InputError
from fairvision.models import timm_networks
from fairvision.models.backbones import check_name
from fairvision.models.model import Model
from fairvision.models.preprocessing import recognised
from fairvision.models.sources import SourceOptions, adapted
from fairvision.models.weights import read_tensors


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a classifier of timm.

    Parameters
    ----------
    reference : name of the network, as "resnet50.a1_in1k", and behind `@` a file of weights, from
        which the number of classes is read; by default the published ones
    options : what is told about it

    Raises
    ------
    InputError
        If there is no such network, or the weights cannot be had, do not fit or do not classify.
    """
    import timm

    data: Any = timm.data
    source = f"timm:{reference}"
    network_name, _, weights = reference.partition("@")
    name = f"{timm_networks.PREFIX}{network_name}"
    check_name(name)
    if not weights and not timm_networks.is_published(name):
        raise InputError(f"timm publishes no weights of {name}: name a file of them, {name}@FILE")
    state = read_tensors(weights) if weights else None
    size = options.size or timm_networks.default_size(name)
    network = timm_networks.trained(name, size, state, weights or "DEFAULT")
    if not network.num_classes:
        raise InputError(f"{source}: the weights have no classifier")
    transform = data.create_transform(**data.resolve_model_data_config(network))
    whose = "its own weights of" if weights else "these weights of"
    preprocessing = recognised(transform, f"as timm says of {whose} {network_name}")
    outputs = None if weights else _labels(network)
    return adapted(network, source, options, preprocessing, outputs=outputs)


def _labels(network: nn.Module) -> list[str] | None:
    """Return what the outputs of published weights stand for, where they are of ImageNet."""
    import timm

    data: Any = timm.data
    subset = data.infer_imagenet_subset(network)
    return None if subset is None else list(data.ImageNetInfo(subset).label_descriptions())
