"""Which part of a network learns, and how fast each part does."""

from __future__ import annotations

from torch import nn

from fairvision.core.deprecation import renamed_arguments
from fairvision.models.blocks import Block, blocks, last_blocks
from fairvision.models.network import Network

REGIMES = ("head", "last", "all")

_MEDIUM, _LARGE = 1_000, 10_000


def tune(network: Network, regime: str) -> None:
    """Choose what learns: the "head"s, the "last" block and the heads, or "all" of the network.

    What is frozen also stays in evaluation mode: its batch normalisation keeps the statistics that
    it came with, and its dropout is off. The last block is that of `last_blocks`.

    Examples
    --------
    >>> from fairvision import models
    >>> network = models.build("lecture_cnn", {"gender": 2}, size=8)
    >>> def learning():
    ...     return sum(p.numel() for p in network.parameters() if p.requires_grad)
    >>> for regime in REGIMES:
    ...     tune(network, regime)
    ...     print(regime, learning())
    head 258
    last 33154
    all 52546
    """
    network.requires_grad_(True)
    network.frozen = []
    if regime != "all":
        # What is in no block, such as position embeddings, is added to the images: it is frozen.
        network.backbone.requires_grad_(False)
        network.auxiliary_heads.requires_grad_(False)
        network.frozen = [network.backbone]
    if regime == "last":
        found = blocks(network.backbone)
        learning = last_blocks(found)
        for module in _modules(learning):
            module.requires_grad_(True)
        network.frozen = _modules(found[: len(found) - len(learning)])
    network.train(network.training)


@renamed_arguments(pictures="images")
def choose_regime(images: int, *, pretrained: bool) -> tuple[str, str]:
    """Return the regime for a number of training images, and why.

    A rule of thumb, no theorem: with few images many weights are learnt by heart, with many there
    is no reason to hold them fixed. Compare regimes on the validation split where it matters.

    Parameters
    ----------
    images : number of training images
    pretrained : the network starts from trained weights

    Examples
    --------
    >>> choose_regime(400, pretrained=True)[0], choose_regime(4000, pretrained=True)[0]
    ('head', 'last')
    >>> print(*choose_regime(40_000, pretrained=True), sep=": ")
    all: 40,000 training images are many (10,000 or more): the whole network learns
    >>> print(*choose_regime(400, pretrained=False), sep=": ")
    all: without trained weights there is nothing to keep: the whole network learns
    """
    if not pretrained:
        return "all", "without trained weights there is nothing to keep: the whole network learns"
    found = f"{images:,} training pictures are"
    if images < _MEDIUM:
        return "head", f"{found} few (below {_MEDIUM:,}): only the heads learn"
    if images < _LARGE:
        return "last", f"{found} neither few nor many: the last block and the heads learn"
    return "all", f"{found} many ({_LARGE:,} or more): the whole network learns"


def learning_parts(network: Network) -> dict[str, list[nn.Parameter]]:
    """Return what learns, in parts from the answer back to the images.

    Returns
    -------
    parameters by the name of their part: "heads" (all that is outside of the backbone), then the
    backbone's blocks by the dotted name of their first layer, the last one first

    Examples
    --------
    >>> from fairvision import models
    >>> list(learning_parts(models.build("resnet18", {"gender": 2}, size=32)))
    ['heads', 'layer4', 'layer3', 'layer2', 'layer1', 'conv1']
    """
    parts = {"heads": list(network.parameters())}
    for block in reversed(blocks(network.backbone)):
        first = next(iter(block))
        parts[first] = [p for module in block.values() for p in module.parameters()]
    inside = {id(p) for p in network.backbone.parameters()}
    in_blocks = {id(p) for name in list(parts)[1:] for p in parts[name]}
    parts["heads"] = [p for p in network.parameters() if id(p) not in inside]
    parts[first] += [p for p in network.backbone.parameters() if id(p) not in in_blocks]
    learning = {name: [p for p in own if p.requires_grad] for name, own in parts.items()}
    return {name: own for name, own in learning.items() if own}


def _modules(some: list[Block]) -> list[nn.Module]:
    return [module for block in some for module in block.values()]
