"""What a module answers when it is shown a few images: does it, and the same each time?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.errors import FairvisionWarning, InputError, is_of_memory, one_line

_EXTREME = 1000.0
_ROUNDING = 0.02  # of the largest answer: what bfloat16 and other orders of sums may change
_OTHERS = [2, 3, 2, 2]  # the noise among other images


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and every part of it back as it was."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def by_name(output: Any) -> dict[str, Tensor]:
    """Return a module's outputs by their names or numbers; "" where there is one."""
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return {"": logits}
    if isinstance(output, Mapping):
        given = {str(name): value for name, value in output.items()}
    elif isinstance(output, (tuple, list)):
        given = {str(i): value for i, value in enumerate(output)}
    else:
        given = {"": output}
    return {key: value for key, value in given.items() if isinstance(value, Tensor) and value.ndim}


def probes(size: int) -> Tensor:
    """Return a black image, a white one, and two of noise, (4, 3, size, size)."""
    noise = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.zeros(1, 3, size, size), torch.ones(1, 3, size, size), noise])


def probed(
    network: nn.Module, ask: Callable[[Tensor], Mapping[str, Tensor]], images: Tensor, name: str
) -> dict[str, Tensor]:
    """Return what a module gives for images, and for what is far beyond any image.

    Parameters
    ----------
    network : the module, which is put into evaluation mode meanwhile
    ask : from images to its outputs by name
    images : of `probes`
    name : what messages call it

    Returns
    -------
    the outputs by name, (2 · images, …) float32 on the CPU; those with another number of rows are
    left out

    Raises
    ------
    InputError
        If it fails, or gives nothing for each image. A `FairvisionWarning` says if it does not give
        the same when asked again, or among other images.
    """
    with torch.no_grad(), evaluating(network), failing(name, images):
        near, again, among, far = (
            {key: values.float().cpu() for key, values in ask(asked).items()}
            for asked in (images, images, images[_OTHERS], images * _EXTREME - _EXTREME / 2)
        )
    if not near:
        raise InputError(f"{name} gives no tensor, nor a dictionary or tuple of tensors")
    count = len(images)
    whole = {key: values for key, values in near.items() if len(values) == count}
    if not whole:
        shape = tuple(next(iter(near.values())).shape)
        raise InputError(f"{name} gives {shape} for {count} images: a row for each is expected")
    if any(
        key not in answer or answer[key].shape != values.shape
        for key, values in whole.items()
        for answer in (again, among, far)
    ):
        raise InputError(f"{name} gives outputs of other shapes each time")
    _warn_of_chance(name, whole, again, among)
    return {key: torch.cat([values, far[key]]) for key, values in whole.items()}


def _warn_of_chance(
    name: str,
    near: Mapping[str, Tensor],
    again: Mapping[str, Tensor],
    among: Mapping[str, Tensor],
) -> None:
    """Warn if a module does not give the same again, or among other images."""
    if not all(_alike(values, again[key]) for key, values in near.items()):
        doubt = "when it is asked again, as by dropout: its figures are those of one draw"
    elif not all(_alike(values[_OTHERS], among[key]) for key, values in near.items()):
        doubt = (
            "for an image among other images, as by batch normalisation in training mode: its "
            "figures depend on the size of batches and the order of images"
        )
    else:
        return
    warnings.warn(f"{name} does not answer the same {doubt}", FairvisionWarning, stacklevel=2)


@contextmanager
def failing(name: str, images: Tensor) -> Iterator[None]:
    """Turn whatever a module raises in the block into an `InputError` that names it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Exception as error:
        if is_of_memory(error):
            raise
        raise InputError(
            f"{name} fails on images of shape {tuple(images.shape)}: "
            f"{type(error).__name__}: {one_line(error, 300)}"
        ) from error


def _alike(values: Tensor, others: Tensor) -> bool:
    """Return whether two answers (n, …) are the same, but for rounding in half precision."""
    finite = values[values.isfinite()]
    scale = float(finite.abs().max()) if len(finite) else 0.0
    return values.shape == others.shape and torch.allclose(
        values, others, rtol=0, atol=_ROUNDING * scale, equal_nan=True
    )
