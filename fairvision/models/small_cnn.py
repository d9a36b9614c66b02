"""A small convolutional network whose evidence can be located: local features, then an average."""

from __future__ import annotations

from torch import nn


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
