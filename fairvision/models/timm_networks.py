"""The networks of timm and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from logging import ERROR
from typing import Any

from torch import Tensor, nn

from fairvision.errors import InputError

PREFIX = "timm:"


@cache
def names() -> tuple[str, ...]:
    """Return the names of timm's networks, with the prefix.

    >>> "timm:resnet50" in names()
    True
    """
    import timm

    return tuple(PREFIX + name for name in timm.list_models())


def has(name: str) -> bool:
    """Tell whether timm has a network of this name, with or without the tag of its weights.

    >>> has("timm:resnet50"), has("timm:resnet50.a1_in1k"), has("timm:resnet50.no")
    (True, True, False)
    """
    import timm

    return name in names() or name.removeprefix(PREFIX) in timm.list_pretrained()


def build(name: str, size: int) -> tuple[nn.Module, tuple[str, ...]]:
    """Return an untrained network without its classifier, and the names of the layers left out."""
    import timm

    network = timm.create_model(
        name.removeprefix(PREFIX), pretrained=False, num_classes=0, **_options(name, size)
    )
    return network, _classifier(name)


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel with which the published weights were trained.

    >>> normalisation("timm:vit_tiny_patch16_224")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    cfg = _cfg(name)
    return tuple(cfg.mean), tuple(cfg.std)


def default_size(name: str) -> int:
    """Return the side in pixels of the images that the network was made for.

    >>> default_size("timm:inception_v3"), default_size("timm:mobilenetv3_small_050")
    (299, 224)
    """
    size: int = _cfg(name).input_size[-1]
    return size


def load(
    backbone: nn.Module,
    name: str,
    size: int,
    state: Mapping[str, Tensor] | None,
    source: str = "DEFAULT",
) -> None:
    """Copy weights into a network that `build` made: those that `trained` has.

    Parameters
    ----------
    backbone, name, size : what `build` made, and of what
    state, source : see `trained`

    Raises
    ------
    InputError
        If they cannot be had, or do not fit.
    """
    full = trained(name, size, state, source).state_dict()
    backbone.load_state_dict({key: full[key] for key in backbone.state_dict()})


def trained(
    name: str, size: int, state: Mapping[str, Tensor] | None = None, source: str = "DEFAULT"
) -> nn.Module:
    """Return a network with weights, and the classifier that these have.

    timm brings old names up to date and interpolates position embeddings to the size.

    Parameters
    ----------
    name, size : of the network, and of its images
    state : tensors by name, with a classifier of any number of classes, or none; by default the
        published ones of timm, downloaded once into $HF_HOME (a few into $TORCH_HOME)
    source : where they come from, for messages

    Raises
    ------
    InputError
        If they cannot be had, or do not fit.
    """
    import timm
    from huggingface_hub.utils import logging

    options = {**_options(name, size)}
    if state is not None:
        options["pretrained_cfg_overlay"] = _as_source(name, state)
    verbosity = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        network: nn.Module = timm.create_model(
            name.removeprefix(PREFIX), pretrained=True, **options
        )
    except Exception as error:  # what timm meets in a strange file has no one kind of error
        reason = _one_line(error)
        if state is not None:
            raise InputError(f"weights {source} do not fit the network: {reason}") from None
        raise InputError(
            f"cannot have the weights {source} of {name} ({reason}): give a local .safetensors or "
            ".pth file, or set HF_HOME to a folder that holds them"
        ) from None
    finally:
        logging.set_verbosity(verbosity)
    return network


def is_published(name: str) -> bool:
    """Tell whether timm publishes weights for a network.

    >>> is_published("timm:resnet50"), is_published("timm:resnet50.a1_in1k")
    (True, True)
    """
    cfg = _cfg(name)
    return bool(cfg.hf_hub_id or cfg.url or cfg.file)


def _options(name: str, size: int) -> Mapping[str, Any]:
    """Return the constructor's options for the images' size, where the network has one."""
    return {"img_size": size} if _cfg(name).fixed_input_size else {}


def _as_source(name: str, state: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """Return the options by which timm loads tensors as if it had published them.

    With the number of their classes, it loads strictly: nothing may be missing or left over.
    """
    from timm.models import clean_state_dict

    tensors = clean_state_dict(dict(state))
    keys = [f"{layer}.weight" for layer in _classifier(name)]
    classes = [len(tensors[key]) for key in keys if key in tensors]
    return {
        "state_dict": tensors,
        "num_classes": classes[0] if classes else 0,
        "label_offset": 0,
        "custom_load": False,
    }


def _one_line(error: Exception) -> str:
    """Return what timm says is wrong, in a line without its preamble."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    line = lines[1] if lines[0].startswith("Error(s) in loading") and lines[1:] else lines[0]
    return line if len(line) <= 160 else line[:160] + " …"


def _classifier(name: str) -> tuple[str, ...]:
    """Return the names of the layers that classify."""
    layers = _cfg(name).classifier or ()
    return (layers,) if isinstance(layers, str) else tuple(layers)


def _cfg(name: str) -> Any:
    """Return what timm knows of the images and weights of a network."""
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(name.removeprefix(PREFIX))
    if cfg is None:
        raise InputError(f"timm says nothing of the pictures that {name} takes: choose another")
    return cfg
