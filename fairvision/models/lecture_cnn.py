"""The lecture's convolutional network for small images, layer by layer."""

from __future__ import annotations

from torch import Tensor, nn


class FlattenPlaces(nn.Flatten):
    """Maps (n, channels, height, width) as rows (n, height · width · channels), as Keras has them.

    Where channels lie last in memory, as in training, the rows are the maps themselves: neither
    they nor their gradients are copied.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return the rows."""
        return super().forward(maps.permute(0, 2, 3, 1))


def sees_places_apart(network: nn.Module) -> bool:
    """Tell whether a dense layer weighs every place of the maps by itself.

    Grad-CAM gives a channel one weight for all places, and so says little about such a network.
    """
    return any(isinstance(module, FlattenPlaces) for module in network.modules())


def lecture_cnn(size: int) -> nn.Sequential:
    """Return the network up to its last hidden layer; `Network` puts the softmax heads on top.

    Two 3 × 3 convolutions without padding, one pooling and one dense layer, as in the well-known
    Keras example for MNIST. Nearly all weights lie in the dense layer, and their number grows with
    the square of `size`: about one million at 28 pixels, 7 million at 64.

    Parameters
    ----------
    size : height and width of the images in pixels, at least 6 and at most 512

    Examples
    --------
    >>> import torch
    >>> lecture_cnn(28)(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 128])
    """
    if size < 6:
        raise ValueError("two 3 × 3 convolutions and a pooling need at least 6 × 6 pixels")
    if size > 512:
        raise ValueError("its dense layer would have more than 500 million weights")
    pooled = (size - 4) // 2
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(3, 32, kernel_size=3))
    network.add_module("relu1", nn.ReLU(inplace=True))
    network.add_module("conv2", nn.Conv2d(32, 64, kernel_size=3))
    network.add_module("relu2", nn.ReLU(inplace=True))
    network.add_module("pool", nn.MaxPool2d(2))
    network.add_module("dropout1", nn.Dropout(0.25))
    network.add_module("flatten", FlattenPlaces())
    network.add_module("dense", nn.Linear(64 * pooled * pooled, 128))
    network.add_module("relu3", nn.ReLU())
    network.add_module("dropout2", nn.Dropout(0.5))
    return network
