"""Any function from images to probabilities as a `Model`: `fairvision.BlackBox`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from fairvision.core.streams import prints_to_stderr
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, one_line, shown
from fairvision.models.answers import Answers
from fairvision.models.described import Described
from fairvision.models.heads import (
    Head,
    as_logits,
    gathered,
    positions,
    read_heads,
)
from fairvision.schema import Schema

Function = Callable[[list[Image.Image]], Any]
"""From RGB images to probabilities (n, labels), or to a dictionary of them by head."""

_SIZE = 224


@dataclass(frozen=True, kw_only=True)
class BlackBoxModel(Described):
    """A function as a `fairvision.models.Model`; made by `black_box`.

    Attributes
    ----------
    name, heads, like : see `Described`
    function, retries, wait : see `black_box`
    side : of the squares that it is given; None where nothing has said it yet
    answers : what it answered before
    """

    function: Function
    side: int | None
    answers: Answers
    retries: int
    wait: float

    @property
    def size(self) -> int:
        """Side in pixels of the images that it is given."""
        return self.side or _SIZE

    @property
    def geometry(self) -> Geometry:
        """Whole images, resized to a square."""
        return Geometry(self.size, exact=True)

    @property
    def device(self) -> torch.device:
        """Where images are put for it: the CPU."""
        return torch.device("cpu")

    @property
    def module(self) -> nn.Module | None:
        """None: a function has no gradients."""
        return None

    def in_terms_of(self, schema: Schema, size: int | None = None) -> BlackBoxModel:
        """Return the same model, told what a dataset has: see `Described.in_terms_of`."""
        return replace(super().in_terms_of(schema), side=self.side or size)

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (n, labels) of every head; equal images are asked once."""
        pixels = (images.cpu().float() * 255).round().clamp(0, 255).byte()
        arrays = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())
        keys = [self.answers.key(array) for array in arrays]
        answers = self.answers.get(keys)
        missing = {key: i for i, key in enumerate(keys) if key not in answers}
        if missing:
            asked = [Image.fromarray(arrays[i]) for i in missing.values()]
            answered = dict(zip(missing, self._ask(asked)))
            self.answers.put(answered)
            answers |= answered
        rows = np.stack([answers[key] for key in keys]) if keys else np.zeros((0, self._width))
        ends = np.cumsum([len(about.labels) for about in self.heads.values()])
        parts = np.split(rows, ends[:-1], axis=1)
        return {
            head: torch.from_numpy(part.astype(np.float32)) for head, part in zip(self.heads, parts)
        }

    def change(self, images: Tensor) -> float:
        """Return by how much a probability differs at most when images are asked about again.

        What was kept of them stays; there must be one at least.
        """
        before = np.hstack([scores.numpy() for scores in self.predict(images).values()])
        afresh = replace(self, answers=Answers(self.heads))
        after = np.hstack([scores.numpy() for scores in afresh.predict(images).values()])
        differences = np.where(np.isnan(before) & np.isnan(after), 0, before - after)
        return float(np.abs(differences).max())

    @property
    def _width(self) -> int:
        """How many numbers an answer has."""
        return sum(len(about.labels) for about in self.heads.values())

    def _ask(self, images: list[Image.Image]) -> npt.NDArray[np.float64]:
        """Return probabilities (n, labels of all heads), after as many tries as are allowed."""
        for attempt in range(self.retries + 1):
            try:
                with prints_to_stderr():
                    answer = self.function(list(images))
                break
            except InputError:
                raise
            except (Exception, SystemExit) as error:  # whatever a user's function raises
                if attempt == self.retries:
                    tries = f" in {attempt + 1} tries" if attempt else ""
                    raise InputError(
                        f"{self}: the function failed on {len(images)} images{tries}: "
                        f"{type(error).__name__}: {one_line(error, 300)}"
                    ) from error
                time.sleep(self.wait * 2**attempt)
        by_head = answer if isinstance(answer, Mapping) else {"": answer}
        return np.hstack(
            [self._of_head(head, about, by_head, len(images)) for head, about in self.heads.items()]
        )

    def _of_head(
        self, head: str, about: Head, by_head: Mapping[str, Any], count: int
    ) -> npt.NDArray[np.float64]:
        """Return the probabilities (n, labels) of a head from what the function gave."""
        key = head if head in by_head else ""
        if key not in by_head or (key == "" and len(self.heads) > 1 and about.outputs is None):
            names_given = ", ".join(map(shown, by_head)) if "" not in by_head else "one array"
            raise InputError(
                f"{self}: the function gave {names_given}, but there are the heads "
                f"{', '.join(self.heads)}: give a dictionary with an array for each"
            )
        given = by_head[key]
        try:
            array = given.detach().cpu() if isinstance(given, Tensor) else given
            values = np.asarray(array, np.float64).copy()  # a table's own may not be writable
        except Exception:  # whatever stands there in place of an array
            raise InputError(
                f"{self}: the function gave {shown(type(given).__name__)} for {head!r}: an "
                "array of numbers is expected"
            ) from None
        if (
            len(about.labels) == 2
            and about.outputs is None
            and values.shape in ((count,), (count, 1))
        ):
            values = np.stack([1 - values.reshape(-1), values.reshape(-1)], axis=1)
        if values.ndim != 2 or len(values) != count:
            raise InputError(
                f"{self}: the function gave an array of shape {values.shape} for {head!r} and "
                f"{count} images: ({count}, {len(about.labels)}) is expected"
            )
        names = getattr(given, "columns", None)  # those of a table of pandas or Polars
        names = None if names is None else [str(name) for name in names]
        columns = positions(head, about, values.shape[1], names, str(self))
        if columns != tuple((i,) for i in range(values.shape[1])):
            logits = as_logits(torch.from_numpy(values), many=about.many)
            made = gathered(logits, columns, many=about.many)
            values = (made.sigmoid() if about.many else made.softmax(dim=1)).double().numpy()
        self._check(head, about, values)
        return values.clip(0, 1)

    def _check(self, head: str, about: Head, values: npt.NDArray[np.float64]) -> None:
        """Raise `InputError` unless values (n, labels) are probabilities."""
        if ((values < -1e-6) | (values > 1 + 1e-6)).any():
            low, high = np.nanmin(values), np.nanmax(values)
            raise InputError(
                f"{self}: the function gave numbers from {low:.3g} to {high:.3g} for {head!r}: "
                "probabilities in 0 to 1 are expected"
            )
        blank = np.isnan(values)
        sums = values[~blank.any(axis=1)].sum(axis=1)
        if not about.many and len(sums) and np.abs(sums - 1).max() > 1e-3:
            raise InputError(
                f"{self}: the probabilities of {head!r} sum to {sums.min():.3g} to "
                f"{sums.max():.3g}, not to 1: where many labels may hold, say many=[{head!r}]"
            )


def black_box(
    function: Function,
    heads: Mapping[str, Sequence[str] | Head],
    many: Collection[str] = (),
    size: int | None = None,
    *,
    name: str | None = None,
    retries: int = 2,
    wait: float = 1.0,
    cache: str | Path | None = None,
) -> BlackBoxModel:
    """Return any function from images to probabilities as a model that can be audited.

    It is `fairvision.BlackBox`: for a service, a Keras or scikit-learn model, or anything else that
    is no torch module. There are no gradients, so evidence comes from hiding parts of images.

    Parameters
    ----------
    function : from a list of RGB images (Pillow) to probabilities: an array (n, labels), a number
        per image for the second of two labels, or a dictionary of these by head. It is called with
        a batch at a time; equal images are asked for once.
    heads : groups or labels of each attribute and task, in the order of the function's columns
    many : tasks in which several labels may hold for one image
    size : images are squares of so many pixels; by default 224, or the size of the dataset's
        images where all are squares of one size
    name : what tables and reports call it; by default as the function
    retries : how often a call that fails is tried again
    wait : seconds before the first of these; then twice as long each time
    cache : folder, also below ~, in which answers are kept, so that an audit that was interrupted
        does not ask again. Give each version of a model a folder of its own: the function is not
        looked at. By default answers are kept while the model is in memory.

    Raises
    ------
    InputError
        If this is no function or the heads are none; when it is asked, one line where it fails or
        its answers do not fit the heads.

    Examples
    --------
    >>> def by_redness(images):
    ...     return [np.asarray(image)[..., 0].mean() / 255 for image in images]
    >>> model = black_box(by_redness, heads={"ripe": ["no", "yes"]}, size=8)
    >>> model.predict(torch.ones(1, 3, 8, 8))
    {'ripe': tensor([[0., 1.]])}
    """
    if isinstance(function, nn.Module):
        raise InputError("a torch module has gradients: give it to fairvision.Model")
    if not callable(function):
        raise InputError(f"fairvision.BlackBox takes a function, not {shown(function)}")
    if size is not None and size < 1:
        raise InputError(f"size must be 1 or more, not {size}")
    if retries < 0 or wait < 0:
        raise InputError("retries and wait must be 0 or more")
    checked = read_heads(heads, many)
    name = name or getattr(function, "__name__", type(function).__name__).strip("<>")
    answers = Answers(checked, None if cache is None else Path(cache).expanduser())
    return BlackBoxModel(
        name=name,
        heads=checked,
        function=function,
        side=size,
        answers=answers,
        retries=retries,
        wait=wait,
    )
