"""The answers of a network and maps of evidence from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from fairvision.attribution.at_layers import AtLayer, Choose, plan_of, watched
from fairvision.attribution.explained import (
    Explained,
    Options,
    head_logits,
    target_scores,
    undisturbed,
)
from fairvision.attribution.gradcam import enlarged, mean_gradients, only_layer
from fairvision.attribution.hirescam import agreed, places
from fairvision.attribution.layercam import fused, stages

IN_ONE_PASS: dict[str, tuple[Choose, Callable[[list[AtLayer], Tensor], Tensor]]] = {
    "gradcam": (only_layer, mean_gradients),
    "layercam": (stages, fused),
    "hirescam": (places, agreed),
}
"""Methods whose maps are made of what layers gave: which layers, and how they are put together."""


def logits_and_maps(
    network: nn.Module,
    images: Tensor,
    targets: Mapping[str, Tensor],
    method: str = "gradcam",
    *,
    layer: str | None = None,
    signed: bool = False,
    precision: str = "32",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the logits of all heads, and maps of those with targets, from one forward pass.

    The same as running the network and then `attribute` for each head, at the cost of the first.
    Gradients go back from the answers to the first of the layers and no further.

    Parameters
    ----------
    network : called with images it returns a dictionary of logits (n, classes)
    images : (n, 3, height, width) float; all of them are in the network at one time
    targets : by head, position of the class, (n,) int64; -1 is unknown
    method : one of `IN_ONE_PASS`
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
    >>> logits, maps = logits_and_maps(network, images, {"shirt": groups})
    >>> list(logits), maps["shirt"].shape, maps["shirt"][3].isnan().all().item()
    (['hat', 'shirt'], torch.Size([4, 16, 16]), True)
    """
    choose, put_together = IN_ONE_PASS[method]
    explained = Explained(network, Options(layer=layer, precision=precision))
    maps: dict[str, Tensor] = {}
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(network, frozen=True):
        images = images.detach().clone() if images.is_inference() else images.detach()
        layers = plan_of(explained, images, choose).layers if targets else ()
        passed = watched(explained, images, layers)
        whole = images.isfinite().flatten(1).all(dim=1)
        for head, target in targets.items():
            logits = head_logits(passed.output, head, images)
            at_layers = passed.gradients(target_scores(logits, target.clamp(min=0)))
            small = put_together(at_layers, images).float()
            large = enlarged(small if signed else small.relu(), images)[:, 0]
            maps[head] = torch.where((whole & (target >= 0))[:, None, None], large, torch.nan)
    return {head: logits.detach() for head, logits in passed.output.items()}, maps
