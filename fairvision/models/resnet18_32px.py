"""ResNet-18 for images of about 32 pixels."""

from __future__ import annotations

import torchvision
from torch import nn


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
    network = torchvision.models.resnet18()
    network.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.set_submodule("maxpool", nn.Identity())
    return network
