"""What open_clip reads of a folder or a file of weights, with nothing of it executed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fairvision.core.extras import need
from fairvision.errors import InputError, reading
from fairvision.models.adapters.opening import opening
from fairvision.models.preprocessing import Preprocessing, recognised
from fairvision.models.weights import fit, read_tensors

CONFIG = "open_clip_config.json"
_WEIGHTS = "open_clip_model.safetensors"


def towers(
    reference: str, source: str
) -> tuple[nn.Module, Callable[[list[str]], Tensor], float, Preprocessing]:
    """Return a network's part for images and what encodes texts, its scale and its preprocessing.

    Parameters
    ----------
    reference : a folder, or the name of a network and behind `@` a file of weights
    source : how messages name it

    Raises
    ------
    InputError
        If there is no such network, the weights do not fit, or another network would be fetched
        for its texts.
    """
    library = need("open_clip", "clip")
    name, _, weights = reference.rpartition("@")
    if (Path(reference) / CONFIG).exists():
        name, weights = f"local-dir:{reference}", str(Path(reference) / _WEIGHTS)
        with reading(Path(reference) / CONFIG, "JSON"):
            config = json.loads((Path(reference) / CONFIG).read_bytes())["model_cfg"]
    elif name not in library.list_models():
        raise InputError(f"{source}: open_clip has no network {name!r}")
    else:
        config = library.get_model_config(name)
    _check(config, source)
    with opening(source):
        network, _, transform = library.create_model_and_transforms(
            name, load_weights=False, pretrained_text=False
        )
        numbers = library.get_tokenizer(name)
    fit(network, read_tensors(weights, network.state_dict().keys()), source=weights)
    network.eval()
    return (
        network.visual,
        lambda texts: network.encode_text(numbers(texts)),
        float(network.logit_scale.detach().exp()),
        recognised(transform, f"as open_clip says of {name}"),
    )


def _check(config: Any, source: str) -> None:
    """Raise `InputError` where a network or a tokenizer would be fetched, which may run code."""
    text = config.get("text_cfg") if isinstance(config, dict) else None
    if not isinstance(text, dict) or any(key.startswith("hf_") for key in text):
        raise InputError(
            f"{source}: texts go through a network of huggingface.co, which is not fetched: give a "
            "model of transformers, clip:FOLDER"
        )
