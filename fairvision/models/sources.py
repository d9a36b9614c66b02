"""Models by a word in the shell: `timm:NAME`, `hf:FOLDER`, `onnx:FILE`, `python:FILE.py:FUNCTION`.

Each kind is one file of `fairvision/models/adapters/`. A kind of another package is registered by
`register_source`, or named as an entry point of the group `fairvision.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from fairvision.core.plugins import Plugins
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError
from fairvision.models.heads import Heads
from fairvision.models.model import Model
from fairvision.models.module_model import ModuleModel, module_model
from fairvision.models.preprocessing import Preprocessing, TransformGeometry, three


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
    """Tell whether a text names a model of one of the kinds, rather than a folder.

    >>> is_source("timm:resnet18"), is_source("runs/baseline"), is_source("C:\\\\runs")
    (True, False, False)
    """
    kind, colon, rest = text.partition(":")
    return bool(colon and rest) and kind in SOURCES


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
            '[gender] labels = ["female", "male"]'
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
                "--shorter too, 0 for whole images"
            )
        size = geometry.size if options.size is None else options.size
        shorter = geometry.shorter if options.shorter is None else (options.shorter or None)
        if options.shorter is None and shorter is not None:
            shorter = round(shorter * size / geometry.size)
        changes["geometry"] = Geometry(size, shorter, geometry.interpolation)
    for name in ("mean", "std"):
        values = getattr(options, name)
        if values is not None:
            changes[name] = three(name, values, 0.0)
    if not changes:
        return preprocessing
    return replace(preprocessing, **changes, origin=f"{preprocessing.origin}, changed as told")
