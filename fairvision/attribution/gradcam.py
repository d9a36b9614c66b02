"""Grad-CAM at any layer with positions: one forward pass, and back from the score to the layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.attribution.at_layers import AtLayer, Plan, plan_of, positions, watched
from fairvision.attribution.explained import Explained, head_logits, target_scores
from fairvision.attribution.layers import gradcam_layer
from fairvision.attribution.rules import guided_backprop
from fairvision.models.positions import prefix_tokens


def gradcam(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return the channels, weighted by their mean gradient and added up (arXiv 1610.02391, eq. 2).

    Where a linear layer answers from the mean over the positions, the gradient is its weight, and
    no way back is needed. That is compared with the gradient once per network; the mean, and that
    the linear layer answers, in every batch.
    """
    plan = plan_of(explained, images, only_layer)
    if plan.linear is not None:
        maps = _closed_form(explained, plan, plan.linear, images, targets)
        if maps is not None:
            return maps
        plan.linear = None
    layer, answering = _at_layer(explained, plan, images, targets)
    weights = layer.gradients.mean(dim=(2, 3))
    if not plan.checked and len(images) and layer.maps.isfinite().all():
        plan.linear, plan.checked = _verified(layer, answering, weights, targets), True
        if plan.linear is not None:  # so that a second call gives the same bits
            weights = _weights(plan.linear, targets, layer.maps)
    return weighted_sum(weights, layer.maps)


def gradcam_plus_plus(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return Grad-CAM with weights for several objects (arXiv 1710.11063, equations 10 and 19)."""
    layer = _at_layer(explained, plan_of(explained, images, only_layer), images, targets)[0]
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


def enlarged(maps: Tensor, images: Tensor) -> Tensor:
    """Return maps (n, channels, …) at the images' size, bilinearly."""
    if maps.shape[2:] == images.shape[2:]:
        return maps
    shape = (images.shape[2], images.shape[3])
    return F.interpolate(maps, shape, mode="bilinear", align_corners=False)


def only_layer(network: nn.Module, images: Tensor, layer: str | None) -> list[str]:
    """Return the one layer that Grad-CAM looks at."""
    return [gradcam_layer(network, images, layer)]


def mean_gradients(at_layers: list[AtLayer], _: Tensor) -> Tensor:
    """Return the channels of the one layer, weighted by their mean gradient and added up."""
    (layer,) = at_layers
    return weighted_sum(layer.gradients.mean(dim=(2, 3)), layer.maps)


def _at_layer(
    explained: Explained, plan: Plan, images: Tensor, targets: Tensor
) -> tuple[AtLayer, list[tuple[nn.Linear, Tensor]]]:
    """Return what the layer gave, and the linear layers that answered, with what they saw."""
    linear: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def keep_linear(module: nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        linear.append((module, inputs[0].detach(), output))

    handles = [
        module.register_forward_hook(keep_linear)
        for module in explained.network.modules()
        if not plan.checked and isinstance(module, nn.Linear)
    ]
    try:
        passed = watched(explained, images, plan.layers)
    finally:
        for handle in handles:
            handle.remove()
    logits = head_logits(passed.output, explained.options.head, images)
    (layer,) = passed.gradients(target_scores(logits, targets))
    answering = [(module, features) for module, features, output in linear if output is logits]
    return layer, answering


def _closed_form(
    explained: Explained, plan: Plan, linear: nn.Linear, images: Tensor, targets: Tensor
) -> Tensor | None:
    """Return Grad-CAM from the weights of the linear layer.

    None if that did not see the mean, or is not what answered.
    """
    maps: list[Tensor] = []
    seen: list[tuple[Tensor, Tensor]] = []
    (name,) = plan.layers
    layer = explained.network.get_submodule(name)
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
    channels = positions(name, maps[0], prefix_tokens(explained.network), images)
    features, output = seen[0]
    if output is not logits or not _is_mean(features, channels):
        return None
    return weighted_sum(_weights(linear, targets, channels), channels)


def _verified(
    layer: AtLayer, answering: list[tuple[nn.Linear, Tensor]], weights: Tensor, targets: Tensor
) -> nn.Linear | None:
    """Return the linear layer if the closed form and the gradients agree."""
    if len(answering) != 1:
        return None
    linear, features = answering[0]
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
