"""Trained weights from torchvision or from a local file, fitted to a backbone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path

import torchvision
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from fairvision.errors import InputError, one_line, shown
from fairvision.models import timm_networks
from fairvision.models.backbones import OURS, Backbone, is_timm
from fairvision.models.checkpoints import current_name, read_tensors

_SUFFIXES = (".pth", ".pt", ".th", ".ckpt", ".bin", ".safetensors")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_AUXILIARY_CLASSIFIER = "AuxLogits.fc."


def load_weights(backbone: Backbone, name: str, size: int, weights: str) -> None:
    """Copy trained weights into a backbone.

    Parameters
    ----------
    backbone, name, size : what `backbone` made, and of what
    weights : path of a .safetensors file or of what `torch.save` wrote (.pth, .pt, .ckpt, …), or
        the name of published weights: torchvision's, such as "IMAGENET1K_V1" or "DEFAULT", are
        downloaded once into $TORCH_HOME; timm's, "DEFAULT", into $HF_HOME.

    Raises
    ------
    InputError
        If there are no such weights, they cannot be had or do not fit, or the file is damaged or
        holds more than tensors.
    """
    is_file = weights.endswith(_SUFFIXES) or Path(weights).exists()
    wanted = backbone.module.state_dict().keys()
    if is_timm(name):
        if not is_file and (weights != "DEFAULT" or not timm_networks.is_published(name)):
            there = "DEFAULT" if timm_networks.is_published(name) else "none"
            raise _not_there(weights, name, there)
        state = read_tensors(weights, wanted) if is_file else None
        timm_networks.load(backbone.module, name, size, state, source=weights)
        return
    state = read_tensors(weights, wanted) if is_file else _published(weights, name)
    fit(backbone.module, state, classifier=backbone.classifier, source=weights)


def _published(weights: str, name: str) -> Mapping[str, Tensor]:
    published = {}
    if name not in OURS:
        published = dict(torchvision.models.get_model_weights(name).__members__)
    if weights not in published:
        raise _not_there(weights, name, ", ".join(published) or "none")
    source = published[weights]
    try:
        return source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot download weights {weights} of {name} from {source.url} ({error}): "
            "put the file into $TORCH_HOME/hub/checkpoints or give a local file"
        ) from None


def _not_there(weights: str, name: str, published: str) -> InputError:
    return InputError(
        f"weights {weights!r} are neither a file nor a run nor published for {name} "
        f"(published: {published})"
    )


def fit(
    network: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    classifier: Collection[str] = (),
) -> None:
    """Copy `state` into a network of torchvision's or ours, in float32.

    The layers named by `classifier`, and auxiliary classifiers that the network does without, are
    ignored, so any number of classes will do. Position embeddings of vision transformers are
    interpolated to the size of the images.

    Raises
    ------
    InputError
        If anything else is missing, left over or of another shape.
    """
    ignored = (_AUXILIARY_CLASSIFIER, *(f"{layer}." for layer in classifier))
    if not getattr(network, "auxiliary_width", 0):
        ignored = (*ignored, *_AUXILIARY)
    named = ((current_name(k.removeprefix("module.")), value) for k, value in state.items())
    fitted = OrderedDict(
        (key, value.float() if value.is_floating_point() else value)
        for key, value in named
        if not key.startswith(ignored)
    )
    expected = network.state_dict()
    for key, value in fitted.items():
        floating = key in expected and expected[key].is_floating_point()
        if floating and not value.is_floating_point():
            raise InputError(
                f"weights {source} do not fit the network: {shown(key)} holds {value.dtype}"
            )
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in fitted:
        fitted = interpolate_embeddings(network.image_size, network.patch_size, fitted)
    # torchvision translates old names by this version number, which safetensors files lack.
    versions = getattr(state, "_metadata", None) or {"": {"version": network._version}}
    fitted._metadata = versions  # type: ignore[attr-defined]
    try:
        missing, unknown = network.load_state_dict(fitted, strict=False)
    except Exception as error:  # torch may meet anything in a strange file
        reason = [*str(error).splitlines(), "", ""][:2]
        raise InputError(
            f"weights {source} do not fit the network: {(reason[1] or reason[0]).strip()}"
        ) from None
    # Without weights of its own, an auxiliary classifier starts at random.
    missing = [key for key in missing if not key.startswith(_AUXILIARY)]
    for what, keys in (("are missing", missing), ("are not part of it", unknown)):
        if keys:
            there = f"; the file has {shown(next(iter(unknown or state), 'none'))}"
            raise InputError(
                f"weights {source} do not fit the network: {len(keys)} tensors {what}, "
                f"such as {one_line(keys[0], 80)}{there if keys is missing else ''}"
            )
