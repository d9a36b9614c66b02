"""`pt2:FILE`: a network that torch.export.save wrote."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass

from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, check_file
from fairvision.models.adapters.exported_archive import plain_archive
from fairvision.models.adapters.exported_places import add_places
from fairvision.models.adapters.image_input import ImageInput, image_input
from fairvision.models.adapters.opening import opening
from fairvision.models.model import Model
from fairvision.models.preprocessing import Preprocessing
from fairvision.models.probing import by_name
from fairvision.models.sources import SourceOptions, adapted

_MANY = 2**31  # images: no limit


class ExportedNetwork(nn.Module):
    """An exported graph as a module: from images to its outputs by name.

    Attributes
    ----------
    graph : called with as many images as it takes
    takes : the images that it takes
    """

    def __init__(self, graph: nn.Module, takes: ImageInput):
        super().__init__()
        self.graph, self.takes = graph, takes

    def forward(self, images: Tensor) -> dict[str, Tensor] | Tensor:
        """Return its outputs by name, or the only one."""
        outputs = self.takes.ask(lambda given: by_name(self.graph(given)), images)
        return outputs if list(outputs) != [""] else outputs[""]


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a network that torch.export.save wrote.

    Parameters
    ----------
    reference : path of the file
    options : what is told about it: the file does not say what is subtracted of images, and what
        they are divided by

    Raises
    ------
    InputError
        If the file holds more than tensors and a graph of torch's operators, does not take images,
        or was exported as it is while learning.
    """
    source = f"pt2:{reference}"
    archive = plain_archive(check_file(reference, "a file of torch.export"))
    with opening(source):
        program = torch.export.load(archive)
        if options.device.type != "cpu":
            program = move_to_device_pass(program, options.device)
        graph = program.module(check_guards=False)
    for name in ("train", "eval"):  # which say that they are not there; nothing depends on them
        delattr(graph, name)
    values = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], Tensor):
        raise InputError(f"{source} takes {len(values)} inputs: one, of images, is expected")
    if program.graph_signature.buffers_to_mutate:
        raise _learning(source)
    shape = [side if isinstance(side, int) else None for side in values[0].shape]
    takes = image_input(
        shape,
        source,
        options,
        batch=_batch(values[0].shape[0], program),
        of_bytes=values[0].dtype == torch.uint8,
    )
    if (takes.least, takes.most, takes.channels_last) == (1, None, False):  # called once
        add_places(graph)
    network = ExportedNetwork(graph, takes)
    whose = "the file does not say; values from 0 to 1 unless --mean and --std are given"
    images = Preprocessing(Geometry(takes.size, exact=True), origin=whose)
    model = adapted(network, source, options, images, has_gradients=_has_gradients(network, takes))
    if not _answers_alike(model, takes.size):
        raise _learning(source)
    return model


def _answers_alike(model: Model, size: int) -> bool:
    """Return whether an image has the same answer again, and whatever is beside it."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 3, size, size, generator=generator).to(model.device)
    once, twice, alone = (model.predict(images) for images in (noise, noise, noise[:1]))
    return all(
        torch.equal(once[head], twice[head])
        and torch.allclose(alone[head], once[head][:1], atol=1e-4, equal_nan=True)
        for head in once
    )


def _learning(source: str) -> InputError:
    """Return the error for a network that was exported in training mode."""
    return InputError(
        f"{source} gives something else each time, or learns as it is asked: call .eval() before "
        "torch.export.export"
    )


def _batch(side: Any, program: Any) -> tuple[int, int | None] | None:
    """Return how many images a graph takes at least and at most, where it takes several numbers."""
    if isinstance(side, int):
        return None
    limits = program.range_constraints.get(side.node.expr)
    if limits is None:
        return 1, None
    most = None if limits.upper > _MANY else int(limits.upper)
    return max(1, int(limits.lower)), most


def _has_gradients(network: nn.Module, takes: ImageInput) -> bool:
    """Return whether answers depend on images by gradients."""
    images = torch.rand(1, 3, takes.size, takes.size, requires_grad=True)
    with torch.inference_mode(False), torch.enable_grad():
        try:
            outputs = by_name(network(images.to(next(network.parameters(), images).device)))
            torch.autograd.grad([value.sum() for value in outputs.values()], images)
        except RuntimeError:
            return False
    return True
