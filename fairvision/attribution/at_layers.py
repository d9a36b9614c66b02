"""What layers gave for images, and the gradients at them, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fairvision.attribution.explained import NOT_REACHED, Explained
from fairvision.errors import InputError
from fairvision.models.positions import as_maps, prefix_tokens


@dataclass
class Plan:
    """At which layers a network is looked at.

    Attributes
    ----------
    modules : the modules that it had then; a network that was changed is looked at anew
    layers : dotted names
    linear : the linear layer that answers from the mean over the positions, once that is known
    checked : whether the closed form of Grad-CAM was compared with gradients
    """

    modules: tuple[nn.Module, ...]
    layers: Sequence[str]
    linear: nn.Linear | None = None
    checked: bool = False


# From a network, images, and the name of a layer if one was asked for, to names of layers.
Choose = Callable[[nn.Module, Tensor, str | None], Sequence[str]]

PLANS: WeakKeyDictionary[nn.Module, dict[object, Plan]] = WeakKeyDictionary()


def plan_of(explained: Explained, images: Tensor, choose: Choose) -> Plan:
    """Return at which layers a network is looked at; they are chosen once."""
    network, options = explained.network, explained.options
    modules = tuple(network.modules())[1:]
    key = (choose, options.layer, options.head, images.shape[1:])
    plans = PLANS.setdefault(network, {})
    plan = plans.get(key)
    same = plan is not None and len(plan.modules) == len(modules)
    if plan is None or not same or any(a is not b for a, b in zip(plan.modules, modules)):
        plan = plans[key] = Plan(modules, choose(network, images, options.layer))
    return plan


@dataclass(frozen=True)
class AtLayer:
    """What one layer gave for n images, and the gradient of their scores there.

    Attributes
    ----------
    maps, gradients : (n, channels, height, width)
    """

    maps: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Passed:
    """One forward pass, in which layers were watched.

    Attributes
    ----------
    output : what the network gave, of all heads
    kept : by layer, what it gave; gradients can be taken there
    prefix : how many tokens are not of the image
    images : (n, 3, height, width)
    """

    output: Any
    kept: dict[str, Tensor]
    prefix: int | None
    images: Tensor

    def gradients(self, scores: Tensor) -> list[AtLayer]:
        """Return maps and gradients of the layers; further scores may be asked for later.

        Raises `InputError` where nothing connects the scores to a layer, or the layer has no
        positions.
        """
        slopes = (
            torch.autograd.grad(
                scores.sum(), list(self.kept.values()), retain_graph=True, allow_unused=True
            )
            if scores.requires_grad
            else [None] * len(self.kept)
        )
        at_layers = []
        for (layer, values), slope in zip(self.kept.items(), slopes):
            if slope is None:
                raise InputError(NOT_REACHED)
            at_layers.append(
                AtLayer(self._positions(layer, values.detach()), self._positions(layer, slope))
            )
        return at_layers

    def _positions(self, layer: str, values: Tensor) -> Tensor:
        """Return a layer's output, or its gradient, as maps."""
        return positions(layer, values, self.prefix, self.images)


def watched(explained: Explained, images: Tensor, layers: Sequence[str]) -> Passed:
    """Run the network; what gradients need is kept only from the first of the layers onwards.

    No parameter may take gradients meanwhile, nor the images, see `undisturbed`.

    Parameters
    ----------
    explained : the network
    images : (n, 3, height, width)
    layers : dotted names; of a layer that is used more than once the last use counts
    """
    kept: dict[str, Tensor] = {}

    def keep(layer: str, module: nn.Module, _: object, output: Tensor) -> Tensor:
        if not output.requires_grad:  # nothing before it is watched
            output = output.detach().requires_grad_()
        kept[layer] = output
        return output.clone()  # later layers may work in place

    handles = [
        explained.network.get_submodule(layer).register_forward_hook(partial(keep, layer))
        for layer in layers
    ]
    try:
        output = explained.output(images)
    finally:
        for handle in handles:
            handle.remove()
    for layer in layers:
        if layer not in kept:
            raise InputError(f"layer {layer!r} takes no part in the answer")
    in_order = {layer: kept[layer] for layer in layers}
    return Passed(output, in_order, prefix_tokens(explained.network), images)


def positions(layer: str, values: Tensor, prefix: int | None, images: Tensor) -> Tensor:
    """Return a layer's output, or its gradient, as maps (n, channels, height, width)."""
    maps = as_maps(values, images, prefix)
    if maps is None:
        raise InputError(
            f"layer {layer!r} gives {tuple(values.shape)} for pictures of shape "
            f"{tuple(images.shape)}, which has no positions: name another layer"
        )
    return maps
