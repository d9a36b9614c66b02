"""Grad-CAM at any layer with positions: one forward pass, and back from the answer to the layer."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.attribution.answers import chosen, gradient
from fairvision.attribution.layers import as_maps, gradcam_layer, prefix_tokens
from fairvision.attribution.options import Explained
from fairvision.attribution.rules import guided_backprop
from fairvision.errors import InputError


@dataclass
class _Plan:
    """What was found out about a network.

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
    plan = planned(explained, images)
    if plan.linear is not None:
        found = _closed_form(explained, plan, plan.linear, images, targets)
        if found is not None:
            return found
        plan.linear = None
    layer = _at_layer(explained, plan, images, targets)
    weights = layer.gradients.mean(dim=(2, 3))
    if not plan.checked and len(images) and layer.maps.isfinite().all():
        plan.linear, plan.checked = _verified(layer, weights, targets), True
        if plan.linear is not None:  # so that a second call gives the same bits
            weights = _weights(plan.linear, targets, layer.maps)
    return weighted(weights, layer.maps)


def gradcam_plus_plus(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return Grad-CAM with weights for several objects (arXiv 1710.11063, equations 10 and 19)."""
    layer = _at_layer(explained, planned(explained, images), images, targets)
    slope, sums = layer.gradients, layer.maps.sum(dim=(2, 3), keepdim=True)
    below = 2 * slope.square() + sums * slope.pow(3)
    share = torch.where(slope == 0, 0, slope.square() / torch.where(below == 0, 1, below))
    return weighted((share * slope.relu()).sum(dim=(2, 3)), layer.maps)


def guided_gradcam(
    explained: Explained, images: Tensor, targets: Tensor, identities: Tensor
) -> Tensor:
    """Return guided backpropagation, weighted by Grad-CAM (arXiv 1610.02391, section 3.2)."""
    where = enlarged(gradcam(explained, images, targets, identities).relu(), images)
    return where * guided_backprop(explained, images, targets, identities)


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


def planned(explained: Explained, images: Tensor) -> _Plan:
    """Return what is known about the network, found out once."""
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
    slope = gradient(chosen(logits, targets), outputs[-1])
    return _AtLayer(
        positions(outputs[-1].detach(), plan, images),
        positions(slope, plan, images),
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
            chosen(logits, targets)
    finally:
        for handle in handles:
            handle.remove()
    if len(maps) != 1 or len(seen) != 1:
        return None
    channels, (features, output) = positions(maps[0], plan, images), seen[0]
    if output is not logits or not _is_mean(features, channels):
        return None
    return weighted(_weights(linear, targets, channels), channels)


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
    if features.shape != maps.shape[:2]:
        return False
    wide = torch.promote_types(maps.dtype, torch.float32)
    mean, size = maps.mean(dim=(2, 3), dtype=wide), maps.abs().mean(dim=(2, 3), dtype=wide)
    coarsest = max(torch.finfo(features.dtype).eps, torch.finfo(maps.dtype).eps)
    off = (features.to(wide) - mean).abs() > 16 * coarsest * size
    return not off.any()


def _weights(linear: nn.Linear, targets: Tensor, maps: Tensor) -> Tensor:
    return linear.weight.detach()[targets] / (maps.shape[2] * maps.shape[3])


def weighted(weights: Tensor, maps: Tensor) -> Tensor:
    """Return channels (n, c, …) added up by weights (n, c), as one channel in float32 or better."""
    wide = torch.promote_types(maps.dtype, torch.float32)
    return torch.einsum("nc,nchw->nhw", weights.to(wide), maps.to(wide))[:, None]


def positions(output: Tensor, plan: _Plan, images: Tensor) -> Tensor:
    """Return the layer's output, or its gradient, as maps."""
    maps = as_maps(output, images, plan.prefix)
    if maps is None:
        raise InputError(
            f"layer {plan.layer!r} gives {tuple(output.shape)} for pictures of shape "
            f"{tuple(images.shape)}, which has no positions: name another layer"
        )
    return maps
