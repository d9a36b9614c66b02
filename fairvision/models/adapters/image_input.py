"""What a graph with fixed shapes says of the images that it takes, and giving it such."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fairvision.errors import InputError
from fairvision.models.sources import SourceOptions


@dataclass(frozen=True)
class ImageInput:
    """The images that a graph takes.

    Attributes
    ----------
    size : height and width
    least, most : how many it takes at a time; None: as many as there are
    channels_last : (n, height, width, 3) rather than (n, 3, height, width)
    of_bytes : whole numbers from 0 to 255 rather than floats
    """

    size: int
    least: int = 1
    most: int | None = None
    channels_last: bool = False
    of_bytes: bool = False

    def ask(
        self, graph: Callable[[Tensor], Mapping[str, Tensor]], images: Tensor
    ) -> dict[str, Tensor]:
        """Return what a graph gives for images (n, 3, size, size), by the names of its outputs.

        Too many are split; of too few the last one is repeated, and what is given for it left out.

        Examples
        --------
        >>> images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 1, 1)
        >>> takes = ImageInput(size=1, least=2, most=2)
        >>> takes.ask(lambda two: {"sum": two.sum(dim=(1, 2, 3))}, images)
        {'sum': tensor([ 0.,  3.,  6.,  9., 12.])}
        """
        if self.of_bytes:
            images = (images * 255).round().clamp(0, 255).to(torch.uint8)
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        answers = []
        for part in torch.split(images, self.most or len(images)):
            lacking = max(0, self.least - len(part))
            given = torch.cat([part, part[-1:].expand(lacking, *part.shape[1:])])
            outputs = graph(given.contiguous())
            answers.append({name: values[: len(part)] for name, values in outputs.items()})
        return {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}


def image_input(
    shape: Sequence[int | None],
    source: str,
    options: SourceOptions,
    *,
    batch: tuple[int, int | None] | None = None,
    of_bytes: bool = False,
) -> ImageInput:
    """Return what a graph takes, by the shape of its input.

    Parameters
    ----------
    shape : its sizes; None where any will do
    source : how the model was named, for messages
    options : the size, where the graph takes any
    batch : how many images at least and at most, where the shape does not say it
    of_bytes : it takes whole numbers from 0 to 255

    Raises
    ------
    InputError
        If these are no square images in colour, or of another size than was asked for.

    Examples
    --------
    >>> image_input([None, 3, 224, 224], "onnx:a.onnx", SourceOptions())
    ImageInput(size=224, least=1, most=None, channels_last=False, of_bytes=False)
    >>> image_input([1, None, None, 3], "onnx:a.onnx", SourceOptions(size=64)).channels_last
    True
    >>> image_input([1, 1, 28, 28], "onnx:a.onnx", SourceOptions())
    Traceback (most recent call last):
    fairvision.errors.InputError: onnx:a.onnx takes 1 × 1 × 28 × 28: images in colour are expected,
    (n, 3, height, width) or (n, height, width, 3)
    """
    text = " × ".join("?" if side is None else str(side) for side in shape)
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise InputError(
            f"{source} takes {text}: images in colour are expected, (n, 3, height, width) or "
            "(n, height, width, 3)"
        )
    channels_last = shape[1] != 3
    sides = {side for side in (shape[1:3] if channels_last else shape[2:]) if side is not None}
    if len(sides) > 1:
        raise InputError(f"{source} takes {text}: only square images can be given to a model")
    if not sides and options.size is None:
        raise InputError(f"{source} takes images of any size: say --size")
    size = sides.pop() if sides else options.size
    assert size is not None
    if options.size not in (None, size):
        raise InputError(f"{source} takes images of {size} × {size}, so leave out --size")
    if of_bytes and (options.mean is not None or options.std is not None):
        raise InputError(f"{source} takes whole numbers of 0 to 255: leave out --mean and --std")
    least, most = batch or ((1, None) if shape[0] is None else (shape[0], shape[0]))
    return ImageInput(size, least, most, channels_last, of_bytes)
