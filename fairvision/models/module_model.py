"""Any torch module as a `Model`: `fairvision.Model`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairvision.core.streams import prints_to_stderr
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, shown
from fairvision.models.described import Described
from fairvision.models.heads import (
    Head,
    Heads,
    as_logits,
    gathered,
    positions,
    read_heads,
)
from fairvision.models.model import probabilities
from fairvision.models.preprocessing import Preprocessing, Transform, of_transform, three
from fairvision.models.probing import by_name, evaluating, failing, probed, probes

_SUM = 1e-3  # how near to 1 answers must sum to be probabilities


@dataclass(frozen=True)
class _Column:
    """Where the logits of a head come from.

    Attributes
    ----------
    output : which of the module's outputs, by name or number; "" where there is one
    columns : for each label the positions in it; None where a single number decides of two labels
    as_probabilities : the module gives probabilities
    many : several labels may hold for one image
    width : how many numbers it gives for an image
    """

    output: str
    columns: tuple[tuple[int, ...], ...] | None
    as_probabilities: bool
    many: bool
    width: int

    def logits(self, outputs: Mapping[str, Tensor], count: int) -> Tensor:
        """Return the logits (n, labels) from the outputs of the module for so many images."""
        values = outputs.get(self.output, torch.zeros(0))
        values = values.unsqueeze(1) if values.ndim == 1 else values
        if values.shape != (count, self.width):
            raise InputError(
                f"the module gives {tuple(values.shape)} for {count} images: as before, "
                f"({count}, {self.width}) is expected"
            )
        if self.columns is None:
            if self.as_probabilities:
                values = as_logits(values, many=True)
            return torch.cat([-values / 2, values / 2], dim=1)
        if self.as_probabilities:
            values = as_logits(values, many=self.many)
        return gathered(values, self.columns, many=self.many)


class Headed(nn.Module):
    """A module with its preprocessing in front and its heads behind.

    Attributes
    ----------
    module : called with what its preprocessing makes of images
    explained_layer : dotted name of the layer that attributions look at; None: they choose it
    """

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, preprocessing: Preprocessing, layer: str | None = None):
        super().__init__()
        self.module = module
        self.explained_layer = None if layer is None else f"module.{layer}"
        self.columns: dict[str, _Column] = {}
        for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Return what the module gives for images (n, 3, size, size) in [0, 1], by name."""
        parameter = next(self.module.parameters(), None)
        shown_images = (images - self.mean) / self.std
        if parameter is not None and parameter.is_floating_point():
            shown_images = shown_images.to(parameter.dtype)
        try:
            with prints_to_stderr():
                return by_name(self.module(shown_images))
        except SystemExit as error:  # or the command would end as if all were well
            raise RuntimeError(f"the module ends the program, by exit({error.code})") from error

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits (n, labels) of every head."""
        outputs = {name: values.float() for name, values in self.outputs(images).items()}
        return {head: column.logits(outputs, len(images)) for head, column in self.columns.items()}


@dataclass(frozen=True, kw_only=True)
class ModuleModel(Described):
    """A torch module as a `fairvision.models.Model`; made by `module_model`.

    Attributes
    ----------
    name, heads, like : see `Described`
    network : the module with preprocessing and heads
    preprocessing : what is done to images
    has_gradients : whether attributions may take gradients of it
    """

    network: Headed
    preprocessing: Preprocessing
    has_gradients: bool = True

    @property
    def geometry(self) -> Geometry:
        """How images become squares for it."""
        return self.preprocessing.geometry

    @property
    def size(self) -> int:
        """Side in pixels of the images that it takes."""
        return self.geometry.size

    @property
    def device(self) -> torch.device:
        """Where it runs: where its parameters are."""
        parameter = next(self.network.parameters(), None)
        return self.network.mean.device if parameter is None else parameter.device

    @property
    def module(self) -> nn.Module | None:
        """From images to logits by head; None where there are no gradients."""
        return self.network if self.has_gradients else None

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (n, labels) of every head."""
        with torch.inference_mode(), evaluating(self.network), failing(str(self), images):
            return probabilities(self.network(images), self.schema)


def module_model(
    module: nn.Module,
    heads: Mapping[str, Sequence[str] | Head],
    many: Collection[str] = (),
    size: int = 224,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    transform: Transform | None = None,
    layer: str | None = None,
    *,
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    outputs: Sequence[str] | None = None,
    has_gradients: bool = True,
) -> ModuleModel:
    """Return any torch module as a model that can be audited, explained and asked.

    It is `fairvision.Model`. The module stays where it is, in whichever mode; it is asked in
    evaluation mode. A few plain images and noise are shown to it at once, so what does not fit is
    said here.

    Parameters
    ----------
    module : from images (n, 3, size, size) to logits (n, labels); or to several of them: in a
        dictionary by the name of the head, in a tuple in the order of the heads, or as `logits` of
        what Hugging Face's networks return. Of a tuple with more entries than one head, the first
        is taken. A single number per image decides of two labels: it is the logit of the second.
        Answers that sum to 1 are taken for probabilities.
    heads : groups or labels of each attribute and task, in the order of the outputs; or
        `fairvision.Head`, where several outputs stand for a label or some for none
    many : tasks in which several labels may hold for one image
    size : side of the square that whole images are resized to
    mean, std : of each colour: what is subtracted of values in [0, 1], and what they are divided by
        then; by default 0 and 1
    transform : in place of the three: what is done to an image, such as that of torchvision's
        weights or a processor of Hugging Face; see `fairvision.models.preprocessing.of_transform`
    layer : dotted name of the layer that attributions look at; by default they choose it
    name : what tables and reports call it; by default as its class
    preprocessing : in place of size, mean, std and transform
    outputs : what the module calls its outputs, in their order
    has_gradients : False where attributions must not take gradients

    Raises
    ------
    InputError
        One line where the module fails, or its answers do not fit the heads.

    Examples
    --------
    >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    >>> model = module_model(linear, heads={"gender": ["female", "male"]}, size=8)
    >>> model.predict(torch.rand(4, 3, 8, 8))["gender"].shape
    torch.Size([4, 2])
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"fairvision.Model takes a torch module, not {shown(type(module).__name__)}: for any "
            "other function there is fairvision.BlackBox"
        )
    checked = read_heads(heads, many)
    if preprocessing is None and transform is not None:
        if mean is not None or std is not None:
            raise InputError("give a transform, or mean and std: not both")
        preprocessing = of_transform(transform)
    elif preprocessing is None:
        of_mean, of_std = three("mean", mean, 0.0), three("std", std, 1.0)
        preprocessing = Preprocessing(Geometry(size, exact=True), of_mean, of_std, "as given")
    if layer is not None and layer not in dict(module.named_modules()):
        last = [each for each, _ in module.named_modules() if each][-5:]
        raise InputError(f"the module has no layer {layer!r}; its last are {', '.join(last)}")
    name = name or type(module).__name__
    network = Headed(module, preprocessing, layer)
    parameter = next(module.parameters(), None)
    if parameter is not None:
        network.mean, network.std = (
            values.to(parameter.device) for values in (network.mean, network.std)
        )
    side = preprocessing.geometry.size
    images = probes(side).to(network.mean.device)
    given = probed(network, network.outputs, images, f"model {name}")
    network.columns = _columns(checked, given, outputs, f"model {name}")
    return ModuleModel(
        name=name,
        heads=checked,
        network=network,
        preprocessing=preprocessing,
        has_gradients=has_gradients,
    )


def _columns(
    heads: Heads, given: Mapping[str, Tensor], names: Sequence[str] | None, model: str
) -> dict[str, _Column]:
    """Return where each head's logits come from."""
    columns = {}
    for number, (head, about) in enumerate(heads.items()):
        output = _output_of(head, number, heads, given, model)
        values = given[output]
        values = values.unsqueeze(1) if values.ndim == 1 else values
        if values.ndim != 2:
            raise InputError(
                f"{model} gives {tuple(values.shape[1:])} for each image where head {head!r} needs "
                f"{len(about.labels)} numbers"
            )
        single = values.shape[1] == 1 and len(about.labels) == 2 and about.outputs is None
        places = None
        if not single:
            places = positions(head, about, values.shape[1], names, model)
        columns[head] = _Column(
            output,
            places,
            _gives_probabilities(head, about, values, single, model),
            about.many,
            values.shape[1],
        )
    return columns


def _output_of(
    head: str, number: int, heads: Heads, given: Mapping[str, Tensor], model: str
) -> str:
    """Return which output of a module belongs to a head."""
    if head in given:
        return head
    if list(given) == [""]:
        if len(heads) > 1 and any(about.outputs is None for about in heads.values()):
            raise InputError(
                f"{model} gives one array of {given[''].shape[-1]} numbers for the heads "
                f"{', '.join(heads)}: say which outputs belong to each (outputs of "
                "fairvision.Head in Python, or of --heads FILE.toml)"
            )
        return ""
    numbered = list(given) == [str(i) for i in range(len(given))]
    if numbered and (len(heads) == 1 or len(given) == len(heads)):
        return str(number)
    if len(heads) == 1 and "logits" in given:
        return "logits"
    if len(heads) == 1 and len(given) == 1:
        return next(iter(given))
    raise InputError(
        f"{model} has the outputs {', '.join(given)}, none of which is {head!r}: name heads as "
        "outputs are named, or give a tuple with one for each head"
    )


def _gives_probabilities(head: str, about: Head, values: Tensor, single: bool, model: str) -> bool:
    """Return whether a module gives probabilities for a head, as it said or as they look."""
    if about.probabilities is not None:
        return about.probabilities
    finite = values[values.isfinite().all(dim=1)]
    between = len(finite) > 0 and bool(((finite >= 0) & (finite <= 1)).all())
    if not between:
        return False
    if about.many or single:
        raise InputError(
            f"{model}: all numbers for {head!r} lie in 0 to 1, whatever it is shown: say whether "
            "they are probabilities (probabilities = true or false in --heads FILE.toml, "
            "fairvision.Head(…, probabilities=True) in Python)"
        )
    return bool(((finite.sum(dim=1) - 1).abs() < _SUM).all())
