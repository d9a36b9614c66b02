"""Layers of an exported graph, which has operators in place of modules: what methods hook into."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

_MAPS = {
    *("add", "cat", "batch_norm", "mul", "conv2d", "convolution", "layer_norm", "group_norm"),
    *("relu", "hardtanh", "relu6", "gelu", "silu", "hardswish", "leaky_relu", "elu", "mish"),
}
"""Operators whose results (n, channels, height, width) are layers; a trailing _ is left out."""
_TOKENS = {"add", "layer_norm"}
"""Those whose results (n, tokens, channels) are: what else there is lies inside of attention."""


class Place(nn.Module):
    """A layer that gives what it is given, so that it can be watched there."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


def add_places(graph: fx.GraphModule) -> None:
    """Put a `Place` behind each operator of a graph that gives maps or tokens.

    They are called `place0`, `place1` and so on, in the order of execution. The answers of the
    graph stay what they are.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval()
    >>> graph = torch.export.export(network, (torch.zeros(2, 3, 8, 8),)).module()
    >>> add_places(graph)
    >>> [name for name, module in graph.named_modules() if isinstance(module, Place)]
    ['place0', 'place1']
    """
    free = (name for name in map("place{}".format, count()) if not hasattr(graph, name))
    for node in list(graph.graph.nodes):
        if not _is_layer(node):
            continue
        name = next(free)
        graph.add_submodule(name, Place())
        with graph.graph.inserting_after(node):
            place = graph.graph.call_module(name, (node,))
        place.meta = dict(node.meta)
        node.replace_all_uses_with(place)
        place.args = (node,)
    graph.recompile()


def _is_layer(node: fx.Node) -> bool:
    """Return whether a node gives maps or tokens."""
    value = node.meta.get("val")
    if not isinstance(node.target, OpOverload) or not isinstance(value, torch.Tensor):
        return False
    name = node.target._schema.name.rpartition("::")[2].rstrip("_")
    return (name in _MAPS and value.ndim == 4) or (name in _TOKENS and value.ndim == 3)
