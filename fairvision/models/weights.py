"""Trained weights, published or in a file of whatever program, fitted to a network.

Nothing in a file is executed.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from fairvision.errors import (
    FairvisionWarning,
    InputError,
    check_file,
    is_of_memory,
    one_line,
    shown,
)
from fairvision.models import timm_networks
from fairvision.models.backbones import Backbone, backbone, is_registered, is_timm

_SUFFIXES = (".pth", ".pt", ".th", ".ckpt", ".bin", ".safetensors")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_AUXILIARY_CLASSIFIER = "AuxLogits.fc."
_DEEPEST = 4  # dictionaries within dictionaries that are looked into
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
_WRAPPERS = re.compile(  # that torch puts into names where a part of a network is wrapped
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?:\.|$)"
)
_AVERAGED = {"ema", "swa", "averaged"}


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
    is_file = is_weights_file(weights)
    wanted = backbone.module.state_dict().keys()
    if is_timm(name):
        if not is_file and (weights != "DEFAULT" or not timm_networks.is_published(name)):
            choice = "DEFAULT" if timm_networks.is_published(name) else "none"
            raise _not_published(weights, name, choice)
        state = read_tensors(weights, wanted) if is_file else None
        timm_networks.load(backbone.module, name, size, state, source=weights)
        return
    state = read_tensors(weights, wanted) if is_file else published(weights, name)[0]
    fit(backbone.module, state, classifier=backbone.classifier, source=weights)


def classifier_layers(name: str, size: int) -> tuple[str, ...]:
    """Return what the layers that classify are called in weights of a network."""
    return backbone(name, size).classifier


def is_weights_file(weights: str) -> bool:
    """Tell whether weights are named by a file, rather than by the name of published ones.

    >>> is_weights_file("mine.pth"), is_weights_file("IMAGENET1K_V1")
    (True, False)
    """
    return weights.endswith(_SUFFIXES) or Path(weights).exists()


def published(weights: str, name: str) -> tuple[Mapping[str, Tensor], Any]:
    """Return the weights that torchvision publishes for a network, and what it says of them.

    Raises
    ------
    InputError
        If there are none of this name, or they cannot be had.
    """
    names = {}
    if not is_registered(name):
        names = dict(torchvision.models.get_model_weights(name).__members__)
    if weights not in names:
        raise _not_published(weights, name, ", ".join(names) or "none")
    source = names[weights]
    try:
        state: Mapping[str, Tensor] = source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot download weights {weights} of {name} from {source.url} ({error}): "
            "put the file into $TORCH_HOME/hub/checkpoints or give a local file"
        ) from None
    return state, source


def _not_published(weights: str, name: str, published: str) -> InputError:
    """Return the error for weights that are no file, no run and not published for a network."""
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
    for problem, keys in (("are missing", missing), ("are not part of it", unknown)):
        if keys:
            instead = f"; the file has {shown(next(iter(unknown or state), 'none'))}"
            raise InputError(
                f"weights {source} do not fit the network: {len(keys)} tensors {problem}, "
                f"such as {one_line(keys[0], 80)}{instead if keys is missing else ''}"
            )


def read_tensors(path: str | Path, wanted: Collection[str] = ()) -> Mapping[str, Tensor]:
    """Read a file of named tensors; nothing in it is executed.

    What programs put around them is taken off: dictionaries such as `{"model_state_dict": …}`, and
    prefixes such as `module.` or `model._orig_mod.`, whichever leaves the most names that are
    wanted. Whatever else a checkpoint holds is neither looked up nor run.

    Parameters
    ----------
    path : of a .safetensors file, or of what `torch.save` wrote
    wanted : names that the network has

    Raises
    ------
    InputError
        If the file is damaged, holds no named tensors, or several that would fit.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"weights file {path} is not there")
    check_file(path, "a weights file")
    content, foreign = _load(path)
    candidates = list(_candidates(content))
    if not candidates:
        if foreign:
            raise InputError(
                f"{path} is damaged or holds more than tensors, of which there are none by name, "
                f"but a {foreign[-1]}: save model.state_dict() in its place"
            )
        raise InputError(f"{path} holds no named tensors")
    names = frozenset(wanted)
    views = [view for candidate in candidates for view in _views(candidate, names)]
    views.sort(key=lambda view: (-view.fitting, *_rank(view.label), -len(view.tensors)))
    best = views[0]
    _check_choice(path, best, [view for view in views[1:] if view.fitting == best.fitting])
    for name, tensor in best.tensors.items():
        if not _is_plain(tensor):
            raise InputError(
                f"{path} is damaged or holds more than tensors: {shown(name)} is not a plain "
                "tensor with a number for each position"
            )
    return best.tensors


class _View(NamedTuple):
    """A way to take named tensors from a file."""

    label: str
    tensors: Mapping[str, Tensor]
    fitting: int  # names that are wanted


class _Inert:
    """Stands for whatever a checkpoint holds beside tensors."""

    def __new__(cls, *_: object) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def _load(path: Path) -> tuple[Any, list[str]]:
    """Return what a file holds, and the names of kinds that are not tensors."""
    foreign = ["argparse.Namespace"]
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if path.suffix == ".safetensors" or start[8:] == b"{":
            return load_file(path), []
        if zipfile.is_zipfile(path):
            _check_promise(path)
            foreign = get_unsafe_globals_in_checkpoint(path)
        with (
            warnings.catch_warnings(action="ignore"),
            safe_globals([(_Inert, name) for name in foreign]),
        ):
            return torch.load(path, map_location="cpu", weights_only=True), foreign
    except InputError:
        raise
    except Exception as error:  # damage has no one kind of error
        if is_of_memory(error):
            raise InputError(f"{path} takes more memory than there is") from None
        reason = (str(error) or "cut off").splitlines()[0].partition(". ")[0]
        blamed = re.search(r"GLOBAL (\S+)", str(error))
        if blamed:
            reason = f"{blamed[1]}; save its state_dict alone"
        elif reason.startswith("Weights only load failed"):
            reason = "it is not what torch.save or safetensors write"
        raise InputError(f"{path} is damaged or holds more than tensors: {reason}") from None


def _check_promise(path: Path) -> None:
    """Refuse an archive that unpacks to more than it holds; torch packs nothing."""
    with zipfile.ZipFile(path) as archive:
        promised = sum(entry.file_size for entry in archive.infolist())
    if promised > path.stat().st_size:
        raise InputError(
            f"{path} is damaged or holds more than tensors: it promises {promised} bytes and has "
            f"{path.stat().st_size}"
        )


def _candidates(content: Any, label: str = "", depth: int = 0) -> Iterator[_View]:
    """Yield the dictionaries of named tensors in what a file holds."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    tensors = OrderedDict(
        (_WRAPPERS.sub("", name), value)
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    )
    if tensors:
        versions = getattr(content, "_metadata", None) or {}
        named = {_WRAPPERS.sub("", name).rstrip("."): v for name, v in versions.items()}
        tensors._metadata = named or None  # type: ignore[attr-defined]
        yield _View(label, tensors, 0)
    for name, value in content.items():
        yield from _candidates(value, f"{label}.{name}".lstrip("."), depth + 1)


def _views(candidate: _View, wanted: frozenset[str]) -> Iterator[_View]:
    """Yield a dictionary as it is, and without each prefix that leaves more names wanted."""
    label, tensors, _ = candidate
    plain = sum(current_name(name) in wanted for name in tensors)
    yield _View(label, tensors, plain)
    prefixes: Counter[str] = Counter()
    for name in map(current_name, tensors):
        for dot in re.finditer(r"\.", name):
            if name[dot.end() :] in wanted:
                prefixes[name[: dot.end()]] += 1
    for prefix, fitting in prefixes.items():
        if fitting > plain:
            yield _View(f"{label}.{prefix}".strip("."), _without_prefix(prefix, tensors), fitting)


def _without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    rest = OrderedDict((k[len(prefix) :], v) for k, v in tensors.items() if k.startswith(prefix))
    versions = getattr(tensors, "_metadata", None)
    if versions is not None:
        versions = {f"{k}."[len(prefix) :].rstrip("."): v for k, v in versions.items()
                    if f"{k}.".startswith(prefix)}  # fmt: skip
    rest._metadata = versions or None  # type: ignore[attr-defined]
    return rest


def _rank(label: str) -> tuple[bool, int]:
    """Return the order in which equals are taken: averages last, usual names first."""
    parts = re.split(r"[._]", label)
    outer = label.partition(".")[0]
    usual = _USUAL.index(outer) if outer in _USUAL else len(_USUAL)
    return not _AVERAGED.isdisjoint(parts), usual


def _check_choice(path: Path, best: _View, others: list[_View]) -> None:
    """Refuse or warn where other tensors of the file fit as well."""
    others = [
        view for view in others if view.fitting and not _hold_the_same(view.tensors, best.tensors)
    ]
    if not others:
        return
    labels = ", ".join(shown(view.label) for view in others)
    message = f"{path} holds several weights that fit: {shown(best.label)} and {labels}"
    usual = best.label.partition(".")[0] in _USUAL
    if usual or _rank(best.label)[0] < min(_rank(view.label)[0] for view in others):
        warnings.warn(
            f"{message}; {shown(best.label)} is taken (for another, save it alone)",
            FairvisionWarning,
            stacklevel=3,
        )
    else:
        raise InputError(f"{message}: save the one that is meant alone")


def _hold_the_same(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Tell whether two dictionaries hold equal tensors under the same names."""
    return tensors.keys() == others.keys() and all(
        value is others[name]
        or (_is_plain(value) and _is_plain(others[name]) and torch.equal(value, others[name]))
        for name, value in tensors.items()
    )


def _is_plain(tensor: Tensor) -> bool:
    """Say whether a tensor has a number of its own for each position."""
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    return plain and tensor.nbytes <= tensor.untyped_storage().nbytes()


def current_name(name: str) -> str:
    """Return what a tensor of DenseNet's old checkpoints is called now.

    >>> current_name("denseblock1.denselayer1.norm.1.weight")
    'denseblock1.denselayer1.norm1.weight'
    """
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", name)
