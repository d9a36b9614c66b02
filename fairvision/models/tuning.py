"""Which part of a network learns, and how fast each part does."""

from __future__ import annotations

from torch import nn

from fairvision.core.moved import renamed_arguments
from fairvision.models.network import ImageNetwork

REGIMES = ("head", "last", "all")

_MEDIUM, _LARGE = 1_000, 10_000
Block = dict[str, nn.Module]

_POOLING = (nn.MaxPool2d, nn.AvgPool2d)


def tune(network: ImageNetwork, regime: str) -> None:
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
        all_blocks = blocks(network.backbone)
        learning = last_blocks(all_blocks)
        for module in _modules(learning):
            module.requires_grad_(True)
        network.frozen = _modules(all_blocks[: len(all_blocks) - len(learning)])
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
    all: 40,000 training pictures are many (10,000 or more): the whole network learns
    >>> print(*choose_regime(400, pretrained=False), sep=": ")
    all: without trained weights there is nothing to keep: the whole network learns
    """
    if not pretrained:
        return "all", "without trained weights there is nothing to keep: the whole network learns"
    count = f"{images:,} training pictures are"
    if images < _MEDIUM:
        return "head", f"{count} few (below {_MEDIUM:,}): only the heads learn"
    if images < _LARGE:
        return "last", f"{count} neither few nor many: the last block and the heads learn"
    return "all", f"{count} many ({_LARGE:,} or more): the whole network learns"


def learning_parts(network: ImageNetwork) -> dict[str, list[nn.Parameter]]:
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
    learning = {name: [p for p in part if p.requires_grad] for name, part in parts.items()}
    return {name: part for name, part in learning.items() if part}


def _modules(chosen: list[Block]) -> list[nn.Module]:
    """Return the modules of blocks in order."""
    return [module for block in chosen for module in block.values()]


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
    parts = _children(network)
    total = sum(map(count_matrices, parts))
    while parts:
        at = max(range(len(parts)), key=lambda i: count_matrices(parts[i]))
        heavy = [name for name, module in parts[at].items() if _has_weights(module)]
        if (
            2 * count_matrices(parts[at]) <= total
            or len(heavy) > 1
            or _is_layer(parts[at][heavy[0]])
        ):
            break
        parts[at : at + 1] = _opened(parts[at], heavy[0])
    return parts


def last_blocks(all_blocks: list[Block]) -> list[Block]:
    """Return the last block that is more than one layer, and what follows it.

    So a normalisation or a 1 × 1 convolution at the end does not count as the last block. The first
    block is never part of it, where there are two.

    Examples
    --------
    >>> from fairvision.models import backbone
    >>> last_blocks(blocks(backbone("lecture_cnn", 28).module))
    [{'dense': Linear(in_features=9216, out_features=128, bias=True), 'relu3': ...
    """
    at = len(all_blocks) - 1
    while at > 1 and count_matrices(all_blocks[at]) < 2:
        at -= 1
    return all_blocks[at:]


def count_matrices(block: Block) -> int:
    """Return how many weight matrices and kernels a block holds."""
    return sum(p.ndim > 1 for module in block.values() for p in module.parameters())


def _opened(block: Block, name: str) -> list[Block]:
    """Return the blocks inside of one layer of a block; what stands beside it joins them."""
    inner = _children(block[name], prefix=f"{name}.")
    others = list(block.items())
    at = list(block).index(name)
    inner[0] = {**dict(others[:at]), **inner[0]}
    inner[-1] |= dict(others[at + 1 :])
    return inner


def _children(network: nn.Module, prefix: str = "") -> list[Block]:
    """Return the children of a network as blocks: layers in sequence up to the next pooling."""
    children: list[Block] = []
    begun: Block = {}
    is_open = False
    for name, child in network.named_children():
        if _has_weights(child):
            if not (is_open and _is_layer(child)):
                children.append(begun)
                begun = {}
            is_open = _is_layer(child)
        elif isinstance(child, _POOLING):
            is_open = False
        (children[-1] if children else begun)[prefix + name] = child
    return children


def _has_weights(module: nn.Module) -> bool:
    """Return whether a module or one inside it has weights."""
    return next(module.parameters(), None) is not None


def _is_layer(module: nn.Module) -> bool:
    """Return whether no module inside this one has weights."""
    return not any(_has_weights(child) for child in module.children())
