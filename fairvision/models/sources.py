"""Models by a word in the shell: `timm:NAME`, `hf:FOLDER`, `onnx:FILE`, `python:FILE.py:FUNCTION`.

Each kind is one file of `fairvision/models/adapters/`. A kind of another package is registered by
`register_source`, or named as an entry point of the group `fairvision.sources`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairvision.core.plugins import Plugins
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, check_file, reading, shown
from fairvision.models.heads import Heads, read_heads_file
from fairvision.models.model import Model
from fairvision.models.module_model import ModuleModel, module_model
from fairvision.models.preprocessing import Preprocessing, TransformGeometry, three

_NAMED = re.compile(r"[a-z][a-z0-9_-]+:.*", re.DOTALL)


@dataclass(frozen=True)
class SourceOptions:
    """What is told about a model from elsewhere, beside its name.

    Attributes
    ----------
    heads : which outputs stand for which attribute or task; None: as the model says
    size : side of the square that it takes
    shorter : to how many pixels the shorter side of images is resized before the middle is cut out;
        0: whole images are resized to the square
    mean, std : of each colour
    layer : that attributions look at
    prompts : of a model of texts and images: by head and label one or several texts
    device : where it is to run
    """

    heads: Heads | None = None
    size: int | None = None
    shorter: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    layer: str | None = None
    prompts: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def options_of(
    number: int,
    heads: Sequence[str | Path] = (),
    prompts: str | Path | None = None,
    prompt: Sequence[str] = (),
    **details: Any,
) -> list[SourceOptions]:
    """Return the options of models that are named in the shell, from what is written there.

    Parameters
    ----------
    number : how many models are named
    heads : TOML files, one for all of them or one for each
    prompts : TOML file with a table per head, which maps labels to a text or several
    prompt : texts such as "gender/female=a photo of a woman"
    details : further fields of `SourceOptions`

    Raises
    ------
    InputError
        If something was told about models where there are none, or a file does not fit.
    """
    details = {key: value for key, value in details.items() if value is not None}
    if not number:
        files = {"heads": heads, "prompts": prompts or prompt}
        if given := [*(key for key, value in files.items() if value), *details]:
            raise InputError(
                f"--{given[0]} is about models by name, such as timm:resnet18: there are none"
            )
        return []
    if len(heads) not in (0, 1, number):
        raise InputError(
            f"{number} models are named, but {len(heads)} files with --heads: give one for all, or "
            "one for each in their order"
        )
    texts = read_prompts(prompts, prompt)
    read: list[Heads | None] = [read_heads_file(path) for path in heads]
    of_each = read * number if len(read) == 1 else (read or [None] * number)
    return [SourceOptions(heads=of_model, prompts=texts, **details) for of_model in of_each]


def read_prompts(
    file: str | Path | None, prompt: Sequence[str] = ()
) -> dict[str, dict[str, list[str]]]:
    """Return the texts for each head and label, from a TOML file and from single ones.

    Raises
    ------
    InputError
        If the file or a text is of another form.

    Examples
    --------
    >>> read_prompts(None, ["gender/female=a photo of a woman", "gender/female=a woman"])
    {'gender': {'female': ['a photo of a woman', 'a woman']}}
    """
    texts: dict[str, dict[str, list[str]]] = {}
    if file is not None:
        path = check_file(Path(file), "a TOML file")
        with reading(path, "TOML"):
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        for head, labels in content.items():
            for label, given in labels.items() if isinstance(labels, dict) else [("", None)]:
                several = [given] if isinstance(given, str) else given
                if not isinstance(several, list) or not all(isinstance(t, str) for t in several):
                    raise InputError(
                        f'{path}: {head!r} must be a table such as female = ["a photo of a woman"]'
                    )
                texts.setdefault(head, {}).setdefault(label, []).extend(several)
    for written in prompt:
        key, equals, text = written.partition("=")
        head, slash, label = key.partition("/")
        if not (equals and slash and head and label and text.strip()):
            raise InputError(
                f"--prompt {shown(written)}: write HEAD/LABEL=TEXT, such as "
                '"gender/female=a photo of a woman"'
            )
        texts.setdefault(head, {}).setdefault(label, []).append(text)
    return texts


Adapter = Callable[[str, SourceOptions], Model]
"""Opens a model: from what stands behind the colon, and what is told about it."""


def _checked(name: str, adapter: Any) -> Adapter:
    """Return an adapter; raise `InputError` if it cannot be called."""
    if not callable(adapter):
        raise InputError(f"the kind of model {name!r} is no function")
    function: Adapter = adapter
    return function


_ADAPTERS = "fairvision.models.adapters"
SOURCES: Plugins[Adapter] = Plugins(
    "kind of model",
    "fairvision.sources",
    {
        "timm": f"{_ADAPTERS}.timm_model:open_model",
        "torchvision": f"{_ADAPTERS}.torchvision_model:open_model",
        "hf": f"{_ADAPTERS}.huggingface:open_model",
        "clip": f"{_ADAPTERS}.clip:open_model",
        "onnx": f"{_ADAPTERS}.onnx:open_model",
        "pt2": f"{_ADAPTERS}.exported:open_model",
        "python": f"{_ADAPTERS}.python_code:open_model",
    },
    _checked,
)


def register_source(name: str, adapter: Adapter) -> None:
    """Let models of another kind be opened as `NAME:…`.

    Parameters
    ----------
    name : of the kind, which stands before the colon
    adapter : see `Adapter`

    Raises
    ------
    InputError
        If something else has the name, or this is no function.
    """
    SOURCES.register(name, adapter)


def is_source(text: str) -> bool:
    r"""Tell whether a text names a model of one of the kinds, rather than a folder.

    Raises
    ------
    InputError
        If it looks like such a name, but there is neither such a kind nor such a folder.

    Examples
    --------
    >>> is_source("timm:resnet18"), is_source("runs/baseline"), is_source("C:\\runs")
    (True, False, False)
    """
    if not _NAMED.fullmatch(text) or os.path.exists(text):
        return False
    kind, _, reference = text.partition(":")
    if kind not in SOURCES:
        SOURCES.find(kind)  # which says what kinds there are
    if not reference.strip():
        raise InputError(f"{text} names no model: say which behind the colon (docs/models.md)")
    return True


def open_source(text: str, options: SourceOptions | None = None) -> Model:
    """Open the model that a text names.

    Parameters
    ----------
    text : kind and name, such as "torchvision:resnet50@IMAGENET1K_V2"
    options : what is told about it

    Raises
    ------
    InputError
        One line that names the model and what is wrong.
    """
    kind, _, reference = text.partition(":")
    return SOURCES.find(kind)(reference, options or SourceOptions())


def adapted(
    module: nn.Module,
    source: str,
    options: SourceOptions,
    preprocessing: Preprocessing,
    *,
    outputs: Sequence[str] | None = None,
    has_gradients: bool = True,
) -> ModuleModel:
    """Return the model that an adapter makes of a module, on the device that was asked for.

    Parameters
    ----------
    module : from what `preprocessing` makes of images to logits
    source : how the model was named, for messages
    options : what was told, which goes before what the model says of itself
    preprocessing : what the model says of images
    outputs : what the model calls its outputs
    has_gradients : False where attributions must not take gradients
    """
    if options.heads is None:
        raise InputError(
            f"{source}: say what it predicts: --heads FILE.toml with a table such as "
            '[gender] labels = ["female", "male"], or heads of SourceOptions in Python'
            + (f"; its {len(outputs)} outputs are {', '.join(outputs[:6])}" if outputs else "")
        )
    return module_model(
        module.to(options.device).eval(),
        options.heads,
        layer=options.layer,
        name=source,
        preprocessing=changed(preprocessing, options),
        outputs=outputs,
        has_gradients=has_gradients,
    )


def changed(preprocessing: Preprocessing, options: SourceOptions) -> Preprocessing:
    """Return a model's preprocessing, changed as was asked for.

    >>> own = Preprocessing(Geometry(224, shorter=256), origin="its own")
    >>> str(changed(own, SourceOptions(size=64, shorter=0)).geometry)
    'whole images resized to 64 × 64, bilinear'
    """
    geometry = preprocessing.geometry
    changes: dict[str, Any] = {}
    if options.size is not None or options.shorter is not None:
        if isinstance(geometry, TransformGeometry) and options.shorter is None:
            raise InputError(
                f"the model is given {geometry}, of which not only the size can be changed: say "
                "--crop too, 0 for whole images"
            )
        size = geometry.size if options.size is None else options.size
        shorter = geometry.shorter if options.shorter is None else (options.shorter or None)
        if options.shorter is None and shorter is not None:
            shorter = round(shorter * size / geometry.size)
        changes["geometry"] = Geometry(
            size, shorter, geometry.interpolation, exact=True, is_floored=geometry.is_floored
        )
    for name in ("mean", "std"):
        values = getattr(options, name)
        if values is not None:
            changes[name] = three(name, values, 0.0)
    if not changes:
        return preprocessing
    return replace(preprocessing, **changes, origin=f"{preprocessing.origin}, changed by options")
