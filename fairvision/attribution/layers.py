"""Which layers of a network have positions, and reading them without leaving a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.attribution.explained import (
    NOT_REACHED,
    outputs_by_head,
    run_network,
    undisturbed,
)
from fairvision.errors import InputError
from fairvision.models.positions import PASSIVE, as_maps, prefix_tokens

_TRIED = 4  # images, and as many of noise


def watch(
    network: nn.Module, images: Tensor, see: Callable[[str, nn.Module, Tensor], None]
) -> None:
    """Run a network once, without gradients, and show each module's output as it appears.

    Parameters
    ----------
    network : any network; its hooks and modes are afterwards as they were
    images : (n, 3, height, width)
    see : called with the dotted name, the module and its output, in the order of execution, for
        outputs that are tensors; what it keeps it must copy, as later layers may work in place
    """

    def hook(name: str, module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            see(name, module, output)

    with undisturbed(network), torch.no_grad():
        for name, module in network.named_modules():
            module.register_forward_hook(partial(hook, name))
        network(images)


def chosen_layer(network: nn.Module, layer: str | None) -> str | None:
    """Return the layer that was asked for, else the one that the network names, if it does."""
    named = getattr(network, "explained_layer", None)
    return named if layer is None and isinstance(named, str) else layer


def gradcam_layer(network: nn.Module, images: Tensor, layer: str | None = None) -> str:
    """Return the dotted name of the layer that Grad-CAM looks at.

    By default the last one whose output still has positions that the answer depends on. Selvaraju
    et al. (ICCV 2017, section 3) propose it: the deepest features that are not yet blind to where
    they are. In a vision transformer that answers from its class token, this is the input of the
    last attention: what the other tokens become afterwards is not used. Of tokens, only layers of
    the width that is usual for their number are looked at, and no linear ones: others lie inside of
    attention.

    Parameters
    ----------
    network : any network
    images : (n, 3, height, width); the first one is run through the network, and further ones, or
        noise, where that tells nothing
    layer : a dotted name to check instead, as in `network.named_modules()`

    Raises
    ------
    InputError
        If the network has no such layer: because it mixes all positions from the start, or because
        its answer does not depend on the image.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    >>> gradcam_layer(network, torch.zeros(1, 3, 8, 8))
    '1'
    """
    layer = chosen_layer(network, layer)
    if layer is not None:
        _check(network, images, layer)
        return layer
    return _looked_at(network, images)[1][-1][0]


def stage_layers(network: nn.Module, images: Tensor, fewest: int) -> list[str]:
    """Return the dotted names of the last layers of a network's stages, the deepest first.

    A stage is what has one number of positions; its last layer is the deepest through which all
    passes that the answer depends on (Lin et al., CVPR 2017, section 3, for networks of any
    make). A layer beside a shortcut, which holds only a part, is none. The list ends with the first
    stage of at least `fewest` rows and columns, or with the shallowest that there is. A vision
    transformer has one stage.

    Parameters
    ----------
    network : any network
    images : (n, 3, height, width); the first one is run through the network, some ten times
    fewest : rows and columns of the last of the list

    Raises
    ------
    InputError
        As `gradcam_layer` does. A network all of whose layers lie beside a shortcut has the layer
        of `gradcam_layer` for its only stage.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> network = nn.Sequential(
    ...     nn.Conv2d(3, 4, 3, padding=1),
    ...     nn.ReLU(),
    ...     nn.MaxPool2d(2),
    ...     nn.Conv2d(4, 4, 3, padding=1),
    ...     nn.AdaptiveAvgPool2d(1),
    ... )
    >>> stage_layers(network, torch.zeros(1, 3, 8, 8), fewest=5)
    ['3', '1']
    """
    image, layers = _looked_at(network, images)
    deepest_first = layers[::-1]
    by_size: dict[tuple[int, int], list[str]] = {}
    for name, size in deepest_first:
        by_size.setdefault(size, []).append(name)
    last: list[str] = []
    for size, names in by_size.items():
        whole = next((name for name in names if _carries_all(network, image, name)), None)
        if whole is not None:
            last.append(whole)
            if min(size) >= fewest:
                break
    return last or [deepest_first[0][0]]


def map_size(network: nn.Module, images: Tensor, layer: str | None = None) -> tuple[int, int]:
    """Return (height, width) of what a layer gives, by default that of Grad-CAM.

    >>> import torch
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    >>> map_size(network, torch.zeros(1, 3, 8, 8))
    (6, 6)
    """
    layer, prefix = gradcam_layer(network, images, layer), prefix_tokens(network)
    sizes: list[tuple[int, int]] = []

    def see(name: str, module: nn.Module, output: Tensor) -> None:
        maps = as_maps(output, images[:1], prefix) if name == layer else None
        if maps is not None:
            sizes.append((maps.shape[2], maps.shape[3]))

    watch(network, images[:1], see)
    return sizes[-1]


def _check(network: nn.Module, images: Tensor, layer: str) -> None:
    """Raise `InputError` unless the named layer gives maps or the tokens of a grid."""
    prefix, having = prefix_tokens(network), dict[str, bool]()

    def see(name: str, module: nn.Module, output: Tensor) -> None:
        having.pop(name, None)
        having[name] = as_maps(output, images[:1], prefix) is not None

    watch(network, images[:1], see)
    if not having.get(layer):
        last = [name for name, has in having.items() if has and name][-5:]
        raise InputError(
            f"the network has no layer {layer!r} that gives maps (channels × height × width) or "
            f"the tokens of a grid; the last that do: {', '.join(last) or 'none'}"
        )


def _carries_all(network: nn.Module, image: Tensor, layer: str) -> bool:
    """Return whether the logits depend on the image through a layer's output only."""

    def cut(module: nn.Module, _: object, output: Tensor) -> Tensor:
        return output.detach()

    with torch.inference_mode(False), torch.enable_grad(), undisturbed(network, frozen=True):
        network.get_submodule(layer).register_forward_hook(cut)
        output = run_network(network, image.detach().clone().requires_grad_().clone())
    heads = outputs_by_head(output).values()
    return not any(isinstance(head, Tensor) and head.requires_grad for head in heads)


def _looked_at(
    network: nn.Module, images: Tensor
) -> tuple[Tensor, list[tuple[str, tuple[int, int]]]]:
    """Return an image (1, 3, height, width) that tells which layers matter, and those layers.

    That is the first image for which some do: rectifiers that are all off for an image let nothing
    through, however much the answer depends on others. After some images, noise is tried.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(_TRIED, *images.shape[1:], generator=generator).to(images)
    problems = {}
    for image in torch.cat([images[:_TRIED], noise]).unsqueeze(1):
        try:
            return image, _that_matter(network, image)
        except InputError as error:
            problems[str(error)] = error
    not_reached = problems.pop(str(InputError(NOT_REACHED)), None)
    raise next(iter(problems.values()), not_reached) or InputError(NOT_REACHED)


def _that_matter(network: nn.Module, image: Tensor) -> list[tuple[str, tuple[int, int]]]:
    """Return name and (height, width) of the layers with positions that the logits depend on.

    In order of execution; there is at least one.
    """
    prefix = prefix_tokens(network)
    seen: dict[str, Tensor] = {}

    def hook(name: str, module: nn.Module, _: object, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.requires_grad:
            return None
        if not isinstance(module, PASSIVE) and as_maps(output, image, prefix) is not None:
            seen.pop(name, None)
            seen[name] = output
            # Kept is the output itself, so the next layer may work in place on the copy only.
            return output.clone()
        return None

    with torch.inference_mode(False), torch.enable_grad(), undisturbed(network, frozen=True):
        for name, module in network.named_modules():
            module.register_forward_hook(partial(hook, name))
        start = image.detach().clone().requires_grad_()
        first, *reached = _reached(run_network(network, start.clone()), [start, *seen.values()])

    widths: dict[int, Counter[int]] = {}  # by how many tokens there are: stages differ
    for output in seen.values():
        if output.ndim == 3:
            widths.setdefault(output.shape[1], Counter())[output.shape[2]] += 1
    usable = []
    for (name, output), matters in zip(seen.items(), reached):
        maps = None if matters is None else as_maps(matters, image, prefix)
        inside = False
        if output.ndim == 3:
            usual = widths[output.shape[1]].most_common(1)[0][0]
            inside = isinstance(network.get_submodule(name), nn.Linear) or output.shape[2] != usual
        if maps is not None and maps.isnan().any() and not inside:
            usable.append((name, (maps.shape[2], maps.shape[3])))
    if not usable and (first is None or not first.isnan().any()):
        raise InputError(NOT_REACHED)
    if not usable:
        raise InputError(
            "the answer of this network depends on no layer with positions (maps, or tokens of a "
            "grid), which Grad-CAM needs: use integrated_gradients or saliency"
        )
    return usable


def _reached(output: Any, layers: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Return NaN wherever a network's output depends on that of a layer, and 0 or None elsewhere.

    NaN times anything is NaN, so the way is found also through weights that are still zero.
    """
    heads = [head for head in outputs_by_head(output).values() if isinstance(head, Tensor)]
    if not heads:
        kind = type(output).__name__
        raise InputError(f"the network must answer with logits (pictures, classes), not {kind}")
    heads = [head for head in heads if head.requires_grad]
    if not heads:
        raise InputError(NOT_REACHED)
    seeds = [torch.full_like(head, torch.nan) for head in heads]
    return torch.autograd.grad(heads, layers, seeds, allow_unused=True)
