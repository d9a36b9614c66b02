"""What a network answers and its Grad-CAM, of several heads, from one forward pass."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fairvision.attribution.answers import chosen, gradient, logits_of
from fairvision.attribution.gradcam import enlarged, planned, positions, weighted
from fairvision.attribution.options import Explained, Options
from fairvision.attribution.state import undisturbed
from fairvision.errors import InputError


def answers_and_gradcam(
    network: nn.Module,
    images: Tensor,
    targets: Mapping[str, Tensor],
    *,
    layer: str | None = None,
    signed: bool = False,
    precision: str = "32",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the logits of all heads, and Grad-CAM of some of them, from one forward pass.

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
    >>> logits, maps = answers_and_gradcam(network, images, {"shirt": groups})
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
        plan = planned(explained, images) if targets else None
        if plan is not None:
            # `undisturbed` takes the hook away again
            network.get_submodule(plan.layer).register_forward_hook(keep)
        answer = explained.answer(images)
        whole = images.isfinite().flatten(1).all(dim=1)
        for head, target in targets.items():
            logits = logits_of(answer, head, images)
            if plan is None or not kept:
                raise InputError(f"layer {layer!r} takes no part in the answer")
            scores = chosen(logits, target.clamp(min=0))
            weights = positions(gradient(scores, kept[-1], again=True), plan, images).mean(
                dim=(2, 3)
            )
            small = weighted(weights, positions(kept[-1].detach(), plan, images)).float()
            large = enlarged(small if signed else small.relu(), images)[:, 0]
            maps[head] = torch.where((whole & (target >= 0))[:, None, None], large, torch.nan)
    return {head: logits.detach() for head, logits in answer.items()}, maps
