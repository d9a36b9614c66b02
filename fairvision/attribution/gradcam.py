"""Grad-CAM at any layer with positions: one forward pass, and back from the score to the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.attribution.explained import (
    Explained,
    Options,
    gradient,
    head_logits,
    target_scores,
    undisturbed,
)
from fairvision.attribution.layers import as_maps, gradcam_layer, prefix_tokens
from fairvision.attribution.rules import guided_backprop
from fairvision.errors import InputError


@dataclass
class _Plan:
    """How Grad-CAM is computed for a network.

    Attributes
    ----------
    modules : the modules that it had then; a network that was changed is looked at anew
    layer : the dotted name of the layer
    prefix : how many tokens are not of the image
    linear : the linear layer that answers from the mean over the positions, once that is known
    checked : whether the closed form was compared with gradients
    """

    modules: tuple[nn.Module, ...]
    layer: str
    prefix: int | None
    linear: nn.Linear | None = None
    checked: bool = False


_PLANS: WeakKeyDictionary[nn.Module, dict[object, _Plan]] = WeakKeyDictionary()


def gradcam(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return the channels, weighted by their mean gradient and added up (arXiv 1610.02391, eq. 2).

    Where a linear layer answers from the mean over the positions, the gradient is its weight, and
    no way back is needed. That is compared with the gradient once per network; the mean, and that
    the linear layer answers, in every batch.
    """
    plan = plan_of(explained, images)
    if plan.linear is not None:
        maps = _closed_form(explained, plan, plan.linear, images, targets)
        if maps is not None:
            return maps
        plan.linear = None
    layer = _at_layer(explained, plan, images, targets)
    weights = layer.gradients.mean(dim=(2, 3))
    if not plan.checked and len(images) and layer.maps.isfinite().all():
        plan.linear, plan.checked = _verified(layer, weights, targets), True
        if plan.linear is not None:  # so that a second call gives the same bits
            weights = _weights(plan.linear, targets, layer.maps)
    return weighted_sum(weights, layer.maps)


def gradcam_plus_plus(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return Grad-CAM with weights for several objects (arXiv 1710.11063, equations 10 and 19)."""
    layer = _at_layer(explained, plan_of(explained, images), images, targets)
    slope, sums = layer.gradients, layer.maps.sum(dim=(2, 3), keepdim=True)
    below = 2 * slope.square() + sums * slope.pow(3)
    share = torch.where(slope == 0, 0, slope.square() / torch.where(below == 0, 1, below))
    return weighted_sum((share * slope.relu()).sum(dim=(2, 3)), layer.maps)


def guided_gradcam(
    explained: Explained, images: Tensor, targets: Tensor, identities: Tensor
) -> Tensor:
    """Return guided backpropagation, weighted by Grad-CAM (arXiv 1610.02391, section 3.2)."""
    places = enlarged(gradcam(explained, images, targets, identities).relu(), images)
    return places * guided_backprop(explained, images, targets, identities)


def logits_and_gradcam(
    network: nn.Module,
    images: Tensor,
    targets: Mapping[str, Tensor],
    *,
    layer: str | None = None,
    signed: bool = False,
    precision: str = "32",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the logits of all heads, and Grad-CAM of those with targets, from one forward pass.

    The same as running the network and then `attribute` for each head, at the cost of the first.
    Gradients go back from the answers to the layer and no further; where these are the mean over
    the positions and a linear layer, that is a copy of its weights.

    Parameters
    ----------
    network : called with images it returns a dictionary of logits (n, classes)
    images : (n, 3, height, width) float; all of them are in the network at one time
    targets : by head, position of the class, (n,) int64; -1 is unknown
    layer, signed, precision : as for `attribute`

    Returns
    -------
    logits : by head, (n, classes)
    maps : by head of `targets`, (n, height, width) float32 as `attribute` returns them

    Raises
    ------
    InputError
        As `attribute` does.

    Examples
    --------
    >>> from fairvision.models import build
    >>> network = build("small_cnn", {"hat": 2, "shirt": 3}, size=16).eval()
    >>> images, groups = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, -1])
    >>> logits, maps = logits_and_gradcam(network, images, {"shirt": groups})
    >>> list(logits), maps["shirt"].shape, maps["shirt"][3].isnan().all().item()
    (['hat', 'shirt'], torch.Size([4, 16, 16]), True)
    """
    explained = Explained(network, Options(layer=layer, precision=precision))
    maps: dict[str, Tensor] = {}
    kept: list[Tensor] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # later layers may work in place

    with torch.inference_mode(False), torch.enable_grad(), undisturbed(network, frozen=True):
        images = images.detach().clone() if images.is_inference() else images.detach()
        plan = plan_of(explained, images) if targets else None
        if plan is not None:
            # `undisturbed` takes the hook away again
            network.get_submodule(plan.layer).register_forward_hook(keep)
        output = explained.output(images)
        whole = images.isfinite().flatten(1).all(dim=1)
        for head, target in targets.items():
            logits = head_logits(output, head, images)
            if plan is None or not kept:
                raise InputError(f"layer {layer!r} takes no part in the answer")
            scores = target_scores(logits, target.clamp(min=0))
            weights = as_positions(gradient(scores, kept[-1], retain=True), plan, images).mean(
                dim=(2, 3)
            )
            small = weighted_sum(weights, as_positions(kept[-1].detach(), plan, images)).float()
            large = enlarged(small if signed else small.relu(), images)[:, 0]
            maps[head] = torch.where((whole & (target >= 0))[:, None, None], large, torch.nan)
    return {head: logits.detach() for head, logits in output.items()}, maps


def enlarged(maps: Tensor, images: Tensor) -> Tensor:
    """Return maps (n, channels, …) at the images' size, bilinearly."""
    if maps.shape[2:] == images.shape[2:]:
        return maps
    shape = (images.shape[2], images.shape[3])
    return F.interpolate(maps, shape, mode="bilinear", align_corners=False)


@dataclass
class _AtLayer:
    """Maps and gradients of a layer, and the linear layers whose output is the answer."""

    maps: Tensor
    gradients: Tensor
    answering: list[tuple[nn.Linear, Tensor]]


def plan_of(explained: Explained, images: Tensor) -> _Plan:
    """Return how Grad-CAM is computed for the network; it is looked at once."""
    network, options = explained.network, explained.options
    modules = tuple(network.modules())[1:]
    key = (options.layer, options.head, images.shape[1:])
    plans = _PLANS.setdefault(network, {})
    plan = plans.get(key)
    same = plan is not None and len(plan.modules) == len(modules)
    if plan is None or not same or any(a is not b for a, b in zip(plan.modules, modules)):
        layer = gradcam_layer(network, images, options.layer)
        plan = plans[key] = _Plan(modules, layer, prefix_tokens(network))
    return plan


def _at_layer(explained: Explained, plan: _Plan, images: Tensor, targets: Tensor) -> _AtLayer:
    """Run the network; what gradients need is kept only from the layer onwards."""
    outputs: list[Tensor] = []
    linear: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[-1].clone()  # later layers may work in place

    def keep_linear(module: nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        linear.append((module, inputs[0].detach(), output))

    handles = [explained.network.get_submodule(plan.layer).register_forward_hook(keep)]
    if not plan.checked:
        for module in explained.network.modules():
            if isinstance(module, nn.Linear):
                handles.append(module.register_forward_hook(keep_linear))
    try:
        logits = explained.logits(images)
    finally:
        for handle in handles:
            handle.remove()
    if not outputs:
        raise InputError(f"layer {plan.layer!r} takes no part in the answer")
    slope = gradient(target_scores(logits, targets), outputs[-1])
    return _AtLayer(
        as_positions(outputs[-1].detach(), plan, images),
        as_positions(slope, plan, images),
        [(module, features) for module, features, output in linear if output is logits],
    )


def _closed_form(
    explained: Explained, plan: _Plan, linear: nn.Linear, images: Tensor, targets: Tensor
) -> Tensor | None:
    """Return Grad-CAM from the weights of the linear layer.

    None if that did not see the mean, or is not what answered.
    """
    maps: list[Tensor] = []
    seen: list[tuple[Tensor, Tensor]] = []
    layer = explained.network.get_submodule(plan.layer)
    handles = [
        layer.register_forward_hook(lambda _m, _i, output: maps.append(output.clone())),
        linear.register_forward_hook(lambda _m, inputs, output: seen.append((inputs[0], output))),
    ]
    try:
        with torch.no_grad():
            logits = explained.logits(images)
            target_scores(logits, targets)
    finally:
        for handle in handles:
            handle.remove()
    if len(maps) != 1 or len(seen) != 1:
        return None
    channels, (features, output) = as_positions(maps[0], plan, images), seen[0]
    if output is not logits or not _is_mean(features, channels):
        return None
    return weighted_sum(_weights(linear, targets, channels), channels)


def _verified(layer: _AtLayer, weights: Tensor, targets: Tensor) -> nn.Linear | None:
    """Return the linear layer if the closed form and the gradients agree."""
    if len(layer.answering) != 1:
        return None
    linear, features = layer.answering[0]
    if not _is_mean(features, layer.maps):
        return None
    expected = _weights(linear, targets, layer.maps)
    tolerance = 16 * torch.finfo(weights.dtype).eps * expected.abs().max()
    same = (weights.to(expected.dtype) - expected).abs() <= tolerance
    return linear if same.all() else None


def _is_mean(features: Tensor, maps: Tensor) -> bool:
    """Return whether features (n, channels) are maps (n, channels, h, w) averaged over h, w."""
    if features.shape != maps.shape[:2]:
        return False
    wide = torch.promote_types(maps.dtype, torch.float32)
    mean, size = maps.mean(dim=(2, 3), dtype=wide), maps.abs().mean(dim=(2, 3), dtype=wide)
    coarsest = max(torch.finfo(features.dtype).eps, torch.finfo(maps.dtype).eps)
    off = (features.to(wide) - mean).abs() > 16 * coarsest * size
    return not off.any()


def _weights(linear: nn.Linear, targets: Tensor, maps: Tensor) -> Tensor:
    """Return (n, channels): the gradient of the targets' logits at a position of maps."""
    return linear.weight.detach()[targets] / (maps.shape[2] * maps.shape[3])


def weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    """Return channels (n, c, …) added up by weights (n, c), as one channel in float32 or better."""
    wide = torch.promote_types(maps.dtype, torch.float32)
    return torch.einsum("nc,nchw->nhw", weights.to(wide), maps.to(wide))[:, None]


def as_positions(output: Tensor, plan: _Plan, images: Tensor) -> Tensor:
    """Return the layer's output, or its gradient, as maps."""
    maps = as_maps(output, images, plan.prefix)
    if maps is None:
        raise InputError(
            f"layer {plan.layer!r} gives {tuple(output.shape)} for pictures of shape "
            f"{tuple(images.shape)}, which has no positions: name another layer"
        )
    return maps
