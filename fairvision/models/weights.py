"""Trained weights from torchvision or from a local file, fitted to a backbone."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from fairvision.errors import InputError
from fairvision.models import timm_networks
from fairvision.models.backbones import OURS, Backbone, is_timm

_SUFFIXES = (".pth", ".pt", ".safetensors")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_AUXILIARY_CLASSIFIER = "AuxLogits.fc."


def load_weights(backbone: Backbone, name: str, size: int, weights: str) -> None:
    """Copy trained weights into a backbone.

    Parameters
    ----------
    backbone, name, size : what `backbone` made, and of what
    weights : path of a .pth, .pt or .safetensors file, or the name of published weights:
        torchvision's, such as "IMAGENET1K_V1" or "DEFAULT", are downloaded once into $TORCH_HOME;
        timm's, "DEFAULT", into $HF_HOME.

    Raises
    ------
    InputError
        If there are no such weights, they cannot be had or do not fit, or the file is damaged or
        holds more than tensors.
    """
    is_file = weights.endswith(_SUFFIXES) or Path(weights).exists()
    if is_timm(name):
        if not is_file and (weights != "DEFAULT" or not timm_networks.is_published(name)):
            there = "DEFAULT" if timm_networks.is_published(name) else "none"
            raise _not_there(weights, name, there)
        state = read_tensors(weights) if is_file else None
        timm_networks.load(backbone.module, name, size, state, source=weights)
        return
    state = read_tensors(weights) if is_file else _published(weights, name)
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


def read_tensors(path: str | Path) -> Mapping[str, Tensor]:
    """Read a file of named tensors; nothing in it is executed."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights file {path} is not there")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage has no one kind of error
        reason = (str(error) or "cut off").splitlines()[0].partition(". ")[0]
        raise InputError(f"{path} is damaged or holds more than tensors: {reason}") from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path} holds no named tensors")
    return content


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
    interpolated to the size of the pictures.

    Raises
    ------
    InputError
        If anything else is missing, left over or of another shape.
    """
    ignored = (_AUXILIARY_CLASSIFIER, *(f"{layer}." for layer in classifier))
    if not getattr(network, "auxiliary_width", 0):
        ignored = (*ignored, *_AUXILIARY)
    fitted = OrderedDict(
        (key, value.float() if value.is_floating_point() else value)
        for key, value in _current_names(state).items()
        if not key.startswith(ignored)
    )
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in fitted:
        fitted = interpolate_embeddings(network.image_size, network.patch_size, fitted)
    # torchvision translates old names by this version number, which safetensors files lack.
    fitted._metadata = getattr(state, "_metadata", {"": {"version": network._version}})  # type: ignore[attr-defined]
    try:
        missing, unknown = network.load_state_dict(fitted, strict=False)
    except RuntimeError as error:
        raise InputError(
            f"weights {source} do not fit the network: {str(error).splitlines()[1].strip()}"
        ) from None
    # Without weights of its own, an auxiliary classifier starts at random.
    missing = [key for key in missing if not key.startswith(_AUXILIARY)]
    for what, keys in (("are missing", missing), ("are not part of it", unknown)):
        if keys:
            raise InputError(
                f"weights {source} do not fit the network: {len(keys)} tensors {what}, "
                f"such as {keys[0]}"
            )


def _current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo the prefix of data-parallel training and the names of DenseNet's old checkpoints."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key.removeprefix("module.")): v
        for key, v in state.items()
    }
