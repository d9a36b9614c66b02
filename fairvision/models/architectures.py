"""Networks that torchvision does not have, from normalised images to features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torchvision
from torch import Tensor, nn
from torchvision.models import Inception3

_LEAST_WITH_AUXILIARY = 299


@dataclass(frozen=True)
class Architecture:
    """A network of ours, or from outside of fairvision.

    Attributes
    ----------
    build : from the images' side in pixels to a module, untrained, that takes images (n, 3, side,
        side) normalised as those of ImageNet are, and returns features (n, width)
    size : side at which it is used unless another is asked for
    has_classifier : its last linear or convolutional layer gives classes, and is taken away
    keeps_small_images : it takes images of any size, so smaller ones are not enlarged to `size`
    """

    build: Callable[[int], nn.Module]
    size: int = 224
    has_classifier: bool = False
    keeps_small_images: bool = False


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


def small_cnn() -> nn.Sequential:
    """Return three convolutions and a global average, for small images of any size.

    Unlike the lecture's network it has no dense layer across the image: each feature sees
    12 × 12 pixels, and the answer is linear in the average of the features (Lin et al., "Network in
    Network", ICLR 2014, section 3.2). So the person and the context give their evidence separately,
    but for features across the person's edge, and Grad-CAM shows which place gave how much.

    Examples
    --------
    >>> import torch
    >>> small_cnn()(torch.zeros(2, 3, 48, 48)).shape
    torch.Size([2, 64])
    """
    network = nn.Sequential()
    channels = 3
    for stage, width in enumerate((32, 64, 64), start=1):
        if stage == 2:
            network.add_module("pool", nn.MaxPool2d(2))
        network.add_module(
            f"conv{stage}", nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
        )
        network.add_module(f"norm{stage}", nn.BatchNorm2d(width))
        network.add_module(f"relu{stage}", nn.ReLU())
        channels = width
    network.add_module("average", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    return network


def resnet18_32px() -> nn.Module:
    """Return torchvision's ResNet-18 with a first layer for small images, as is usual with CIFAR.

    The first convolution is 3 × 3 with stride 1, and there is no pooling after it (after He et al.,
    CVPR 2016, section 4.2). So images of 32 pixels reach the last block with 4 × 4 places.

    Examples
    --------
    >>> import torch
    >>> network = resnet18_32px()
    >>> network.fc = nn.Identity()
    >>> network.avgpool = nn.Identity()
    >>> network.eval()(torch.zeros(1, 3, 32, 32)).shape  # 512 channels of 4 × 4
    torch.Size([1, 8192])
    """
    network: nn.Module = torchvision.models.resnet18()
    network.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.set_submodule("maxpool", nn.Identity())
    return network


class InceptionV3(Inception3):  # type: ignore[misc]
    """Features of Inception v3, and in training those of its auxiliary classifier too.

    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016 (arXiv
    1512.00567), section 4: a classifier on the last 17 × 17 grid regularises the network. Its last
    linear layer is left to heads on top. Images below 299 pixels have a smaller grid, on which it
    cannot work, and do without.

    Parameters
    ----------
    size : height and width of the images in pixels

    Attributes
    ----------
    auxiliary_width : number of auxiliary features, 0 without
    auxiliary : the auxiliary features (n, auxiliary_width) of the last images in training; None
        in evaluation, or where the auxiliary classifier is frozen

    Examples
    --------
    >>> InceptionV3(299).auxiliary_width, InceptionV3(96).auxiliary_width
    (768, 0)
    """

    def __init__(self, size: int):
        has_auxiliary = size >= _LEAST_WITH_AUXILIARY
        # Its published weights want inputs in [-1, 1], which transform_input provides.
        super().__init__(aux_logits=has_auxiliary, transform_input=True, init_weights=True)
        self.auxiliary_width = 0
        self.auxiliary: Tensor | None = None
        if has_auxiliary:
            self.auxiliary_width = self.AuxLogits.fc.in_features
            self.AuxLogits.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (n, 2048); in training, `auxiliary` holds the others."""
        self.auxiliary = None
        output = super().forward(images)
        if isinstance(output, Tensor):
            return output
        if self.AuxLogits is not None and self.AuxLogits.training:
            self.auxiliary = output.aux_logits
        features: Tensor = output.logits
        return features


LECTURE_CNN = Architecture(lecture_cnn, 64, keeps_small_images=True)
SMALL_CNN = Architecture(lambda size: small_cnn(), 64, keeps_small_images=True)
RESNET18_32PX = Architecture(lambda size: resnet18_32px(), 32, has_classifier=True)

OURS = {"lecture_cnn": LECTURE_CNN, "small_cnn": SMALL_CNN, "resnet18_32px": RESNET18_32PX}
"""Networks of the project by name; each is the constant of that name in capitals."""
