"""LayerCAM: maps of several layers, deep and shallow, put together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairvision.attribution.at_layers import AtLayer, plan_of, watched
from fairvision.attribution.explained import Explained, head_logits, target_scores
from fairvision.attribution.gradcam import enlarged
from fairvision.attribution.layers import chosen_layer, gradcam_layer, stage_layers

FINE = 14
"""Rows and columns from which on a map can be laid over a photograph."""
_GAMMA = 2.0
_DEEP = 2  # how many stages are put together as they are


def layercam(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return LayerCAM of the deepest stages, up to the first with `FINE` rows and columns.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    TIP 30, 2021. The unit is that of the deepest stage.
    """
    plan = plan_of(explained, images, stages)
    passed = watched(explained, images, plan.layers)
    logits = head_logits(passed.output, explained.options.head, images)
    return fused(passed.gradients(target_scores(logits, targets)), images)


def stages(network: nn.Module, images: Tensor, layer: str | None = None) -> list[str]:
    """Return the layers that LayerCAM looks at, the deepest first."""
    if chosen_layer(network, layer) is not None:
        return [gradcam_layer(network, images, layer)]
    return stage_layers(network, images, FINE)


def fused(at_layers: list[AtLayer], images: Tensor) -> Tensor:
    """Return the maps of layers, the deepest first, put together by their maximum.

    The map of a layer adds up its channels times the positive part of their gradients, place by
    place. Before several are put together each is divided by its maximum, and those of shallow
    layers go through tanh(2 x), as published, where shallow are all but the last two stages. The
    result is as large as the deepest map, so that maps of two classes can be compared.

    Returns
    -------
    (n, 1, height, width), not negative; of several layers at the size of the images

    Examples
    --------
    >>> deep, shallow = torch.tensor([[0.0, 4.0]]), torch.tensor([[3.0, 3.0, 1.5, 0.0]])
    >>> layers = [AtLayer(values.expand(1, 1, -1, -1), torch.ones(1)) for values in (deep, shallow)]
    >>> fused(layers, torch.zeros(1, 3, 1, 4))
    tensor([[[[4., 4., 3., 4.]]]])
    """
    maps = [_map_of(layer) for layer in at_layers]
    if len(maps) == 1:
        return maps[0]
    strongest = maps[0].amax(dim=(1, 2, 3), keepdim=True)
    scaled = shares(maps, images)
    scaled[_DEEP:] = [torch.tanh(_GAMMA * share) for share in scaled[_DEEP:]]
    return torch.stack(scaled).amax(dim=0) * strongest


def shares(maps: list[Tensor], images: Tensor) -> list[Tensor]:
    """Return maps (n, 1, …), not negative, over the maximum of each, at the size of the images."""
    strongest = [values.amax(dim=(1, 2, 3), keepdim=True) for values in maps]
    return [
        enlarged(values / torch.where(most > 0, most, 1), images)
        for values, most in zip(maps, strongest)
    ]


def _map_of(layer: AtLayer) -> Tensor:
    """Return LayerCAM of one layer, (n, 1, height, width) in float32 or better."""
    wide = torch.promote_types(layer.maps.dtype, torch.float32)
    weights = layer.gradients.to(wide).relu()
    return (weights * layer.maps.to(wide)).sum(dim=1, keepdim=True).relu()
