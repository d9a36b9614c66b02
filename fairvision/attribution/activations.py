"""The activations of a network's layers for one image, and the filters that it starts with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from fairvision.attribution.layers import watch
from fairvision.models.positions import PASSIVE, is_map

MOST_STAGES = 10


@dataclass(frozen=True)
class Activation:
    """The strongest channels of one layer for one image.

    Attributes
    ----------
    layer : dotted name
    kind : class of the layer, such as "Conv2d"
    channels : total number of channels
    strongest : positions of the channels that are kept, strongest first
    maps : (kept, height, width) float32
    """

    layer: str
    kind: str
    channels: int
    strongest: npt.NDArray[np.integer]
    maps: npt.NDArray[np.floating]


def stages(network: nn.Module, images: Tensor) -> list[str]:
    """Choose layers whose activations tell how an image is processed, in order of execution.

    Of a small network, every layer that answers with maps: each convolution, ReLU and pooling. Of a
    deep one, the last layer at each resolution, its "stages" (Lin et al., CVPR 2017, section 3);
    when even these are more than `MOST_STAGES`, evenly spaced ones.

    Parameters
    ----------
    network : any network
    images : (n, 3, height, width); the first one is run through the network
    """
    leaves: list[str] = []
    last_at: dict[tuple[int, ...], str] = {}

    def see(name: str, module: nn.Module, output: Tensor) -> None:
        if not name or not is_map(output, images) or isinstance(module, PASSIVE):
            return
        if next(module.children(), None) is None:
            leaves.append(name)
        last_at[tuple(output.shape[2:])] = name

    watch(network, images[:1], see)
    chosen = list(dict.fromkeys(leaves))
    if len(chosen) > MOST_STAGES:
        chosen = list(last_at.values())
    if len(chosen) > MOST_STAGES:
        evenly = np.linspace(0, len(chosen) - 1, MOST_STAGES).round().astype(int)
        chosen = [chosen[position] for position in evenly]
    return chosen


def activations(
    network: nn.Module, image: Tensor, layers: list[str], *, most: int = 8
) -> list[Activation]:
    """Return the strongest channels of each layer for one image.

    A channel is as strong as its mean absolute activation.

    Parameters
    ----------
    network : any network
    image : (1, 3, height, width)
    layers : dotted names, such as `stages` gives
    most : channels to keep of each layer

    Examples
    --------
    >>> import torch
    >>> network = nn.Sequential(nn.Identity(), nn.ReLU())
    >>> image = torch.tensor([-1.0, 2.0, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    >>> activations(network, image, ["1"], most=2)[0].strongest
    array([1, 2])
    """
    by_layer: dict[str, Activation] = {}

    def see(name: str, module: nn.Module, output: Tensor) -> None:
        if name in layers:
            maps = output[0].float()
            strongest = maps.abs().mean(dim=(1, 2)).argsort(descending=True)[:most]
            kept = maps[strongest].cpu().numpy()
            kind = type(module).__name__
            by_layer[name] = Activation(name, kind, len(maps), strongest.cpu().numpy(), kept)

    watch(network, image, see)
    return [by_layer[name] for name in layers]


def first_kernels(network: nn.Module) -> npt.NDArray[np.floating] | None:
    """Return the weights of the first convolution of an image's three colours, if there is one.

    Returns
    -------
    (channels, 3, height, width) float32, or (channels, 1, height, width) where each channel looks
    at one colour

    Examples
    --------
    >>> first_kernels(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 5, 7))).shape
    (5, 3, 7, 7)
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            return module.weight.detach().float().cpu().numpy()
    return None


def kernels_for_grey(
    kernels: npt.NDArray[np.floating], std: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Return what a network's first kernels are to grey images: their sum over the colours.

    From grey images a network learns that sum only, and the colours stay as they were at random.

    Parameters
    ----------
    kernels : from `first_kernels`
    std : (3, 1, 1), by which the network divides the colours before

    Examples
    --------
    >>> kernels_for_grey(np.ones((5, 3, 7, 7)), np.full((3, 1, 1), 0.5)).shape
    (5, 1, 7, 7)
    """
    return (kernels / std).sum(axis=1, keepdims=True) if kernels.shape[1] == 3 else kernels
