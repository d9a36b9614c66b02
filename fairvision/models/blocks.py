"""The blocks of any network in order, from the images to the features."""

from __future__ import annotations

from torch import nn

Block = dict[str, nn.Module]

_POOLING = (nn.MaxPool2d, nn.AvgPool2d)


def blocks(network: nn.Module) -> list[Block]:
    """Return the blocks of which a network consists: dotted names and modules, in order.

    One rule for all networks of torchvision and timm: the blocks are the children of the network. A
    child with more than half of all weight matrices and kernels is opened into its own children,
    such as `features`, `stages`, or the `blocks` of a transformer. Single layers in sequence are
    one block up to the next pooling, and layers without weights belong to the block before them.

    Parameters
    ----------
    network : a network that registers its layers in the order of execution, as is usual

    Examples
    --------
    >>> from torchvision import models
    >>> [next(iter(block)) for block in blocks(models.resnet18())]
    ['conv1', 'layer1', 'layer2', 'layer3', 'layer4', 'fc']
    """
    found = _children(network)
    total = sum(map(matrices, found))
    while found:
        at = max(range(len(found)), key=lambda i: matrices(found[i]))
        heavy = [name for name, module in found[at].items() if _has_weights(module)]
        if 2 * matrices(found[at]) <= total or len(heavy) > 1 or _is_layer(found[at][heavy[0]]):
            break
        found[at : at + 1] = _opened(found[at], heavy[0])
    return found


def last_blocks(found: list[Block]) -> list[Block]:
    """Return the last block that is more than one layer, and what follows it.

    So a normalisation or a 1 × 1 convolution at the end does not count as the last block. The first
    block is never part of it, where there are two.

    Examples
    --------
    >>> from fairvision.models import backbone
    >>> last_blocks(blocks(backbone("lecture_cnn", 28).module))
    [{'dense': Linear(in_features=9216, out_features=128, bias=True), 'relu3': ...
    """
    at = len(found) - 1
    while at > 1 and matrices(found[at]) < 2:
        at -= 1
    return found[at:]


def matrices(block: Block) -> int:
    """Return how many weight matrices and kernels a block holds."""
    return sum(p.ndim > 1 for module in block.values() for p in module.parameters())


def _opened(block: Block, name: str) -> list[Block]:
    inner = _children(block[name], prefix=f"{name}.")
    others = list(block.items())
    at = list(block).index(name)
    inner[0] = {**dict(others[:at]), **inner[0]}
    inner[-1] |= dict(others[at + 1 :])
    return inner


def _children(network: nn.Module, prefix: str = "") -> list[Block]:
    found: list[Block] = []
    begun: Block = {}
    is_open = False
    for name, child in network.named_children():
        if _has_weights(child):
            if not (is_open and _is_layer(child)):
                found.append(begun)
                begun = {}
            is_open = _is_layer(child)
        elif isinstance(child, _POOLING):
            is_open = False
        (found[-1] if found else begun)[prefix + name] = child
    return found


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _is_layer(module: nn.Module) -> bool:
    return not any(_has_weights(child) for child in module.children())
