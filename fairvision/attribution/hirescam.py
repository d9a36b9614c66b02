"""HiResCAM: what each place of a layer gives to the score, of one layer or of all stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairvision.attribution.at_layers import AtLayer, plan_of, watched
from fairvision.attribution.explained import Explained, head_logits, target_scores
from fairvision.attribution.layercam import shares, stages
from fairvision.attribution.layers import gradcam_layer, watch


def hirescam(explained: Explained, images: Tensor, targets: Tensor, _: Tensor) -> Tensor:
    """Return HiResCAM of the deepest stages, up to the first with 14 rows and columns.

    Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", 2020 (arXiv 2011.08891). Several stages are put together as `agreed` does.
    The unit is that of the deepest stage.
    """
    plan = plan_of(explained, images, places)
    passed = watched(explained, images, plan.layers)
    logits = head_logits(passed.output, explained.options.head, images)
    return agreed(passed.gradients(target_scores(logits, targets)), images)


def places(network: nn.Module, images: Tensor, layer: str | None = None) -> list[str]:
    """Return the layers that HiResCAM looks at, the deepest first.

    They are the stages, but not of tokens, which reach the class token by way of a normalisation:
    that does not see how long a token is, so the sum of its channels times their gradients is 0
    (Euler's theorem), and a map of it is rounding. Of tokens it is the layer of Grad-CAM, which
    comes after the normalisation.
    """
    layers = stages(network, images, layer)
    dimensions: list[int] = []

    def see(name: str, module: nn.Module, output: Tensor) -> None:
        if name == layers[0]:
            dimensions.append(output.ndim)

    if len(layers) == 1 and layer is None:
        watch(network, images[:1], see)
    return [gradcam_layer(network, images)] if dimensions[-1:] == [3] else layers


def agreed(at_layers: list[AtLayer], images: Tensor) -> Tensor:
    """Return the maps of layers, the deepest first, put together by their geometric mean.

    The map of a layer adds up its channels times their gradients, place by place. Of several, the
    positive part is divided by its maximum, and they are multiplied with each other, so that
    evidence lies where every stage has some: deep ones know what speaks for the class, shallow
    ones where it is (after Englebert et al., "Poly-CAM", ICPR 2022, arXiv 2204.13359). The result
    is as large as the deepest map.

    Returns
    -------
    (n, 1, height, width); of one layer with what speaks against the score, at the layer's size; of
    several not negative, at the size of the images

    Examples
    --------
    >>> deep, shallow = torch.tensor([[0.0, 4.0]]), torch.tensor([[3.0, 3.0, 0.75, -1.0]])
    >>> layers = [AtLayer(values.expand(1, 1, -1, -1), torch.ones(1)) for values in (deep, shallow)]
    >>> agreed(layers, torch.zeros(1, 3, 1, 4))
    tensor([[[[0.0000, 2.0000, 1.7321, 0.0000]]]])
    """
    maps = [_map_of(layer) for layer in at_layers]
    if len(maps) == 1:
        return maps[0]
    strongest = maps[0].relu().amax(dim=(1, 2, 3), keepdim=True)
    product = torch.stack(shares([values.relu() for values in maps], images)).prod(dim=0)
    return product ** (1 / len(maps)) * strongest


def _map_of(layer: AtLayer) -> Tensor:
    """Return HiResCAM of one layer, (n, 1, height, width) in float32 or better."""
    wide = torch.promote_types(layer.maps.dtype, torch.float32)
    return (layer.gradients.to(wide) * layer.maps.to(wide)).sum(dim=1, keepdim=True)
