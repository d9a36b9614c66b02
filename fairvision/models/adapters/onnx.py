"""`onnx:FILE`: a network in a file of ONNX, run by onnxruntime, without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fairvision.core.extras import need
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, check_file
from fairvision.models.adapters.image_input import ImageInput, image_input
from fairvision.models.adapters.opening import opening
from fairvision.models.model import Model
from fairvision.models.preprocessing import Preprocessing
from fairvision.models.sources import SourceOptions, adapted

_KINDS = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
}


class OnnxNetwork(nn.Module):
    """A session of onnxruntime as a module: from images to its outputs by name.

    Attributes
    ----------
    session : of onnxruntime
    takes : the images that it takes
    """

    def __init__(self, session: Any, takes: ImageInput):
        super().__init__()
        self.session, self.takes = session, takes

    def forward(self, images: Tensor) -> dict[str, Tensor] | Tensor:
        """Return its outputs of numbers by name, or the only one."""
        outputs = self.takes.ask(self._run, images)
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        """Return what the session gives for as many images as it takes."""
        taken = self.session.get_inputs()[0]
        given = images.detach().cpu().to(_KINDS[taken.type]).numpy()
        names = [each.name for each in self.session.get_outputs() if each.type in _KINDS]
        arrays = self.session.run(names, {taken.name: given})
        return {name: torch.from_numpy(array) for name, array in zip(names, arrays)}


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a network in a file of ONNX.

    Parameters
    ----------
    reference : path of the file; weights beside it must lie in its folder
    options : what is told about it: the file does not say what is subtracted of images, and what
        they are divided by

    Raises
    ------
    InputError
        If the file is no ONNX, or does not take images.
    """
    runtime = need("onnxruntime", "onnx")
    source = f"onnx:{reference}"
    path = check_file(reference, "a file of ONNX")
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = torch.get_num_threads()
    providers = ["CPUExecutionProvider"]
    if options.device.type == "cuda":
        providers = ["CUDAExecutionProvider", *providers]
    with opening(source):
        available = [name for name in providers if name in runtime.get_available_providers()]
        session = runtime.InferenceSession(str(path), settings, providers=available)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _KINDS:
        kinds = ", ".join(f"{each.name} {each.type}" for each in inputs)
        raise InputError(f"{source} takes {kinds or 'nothing'}: one input, of images, is expected")
    if not any(each.type in _KINDS for each in session.get_outputs()):
        raise InputError(f"{source} gives no numbers")
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
    takes = image_input(shape, source, options, of_bytes=inputs[0].type == "tensor(uint8)")
    whose = "the file does not say; values from 0 to 1 unless --mean and --std are given"
    images = Preprocessing(Geometry(takes.size, exact=True), origin=whose)
    return adapted(OnnxNetwork(session, takes), source, options, images, has_gradients=False)
