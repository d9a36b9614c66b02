"""Ray: actors that share an audit in shards, and models in pipelines of Ray Data.

Needs `pip install 'fairvision[ray]'`. Settings are those of Ray: how many actors, and how many
processors and GPUs each of them has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from fairvision.auditing import Audit
from fairvision.auditing.columns import score_columns
from fairvision.auditing.folder import finished
from fairvision.auditing.shards import Shards
from fairvision.core.extras import need
from fairvision.datasets.batching import images_of
from fairvision.datasets.images import Doubts, Encoded
from fairvision.datasets.pixels import Taken
from fairvision.errors import InputError
from fairvision.models import Model, find_device, geometry_of
from fairvision.runs.model import as_model

if TYPE_CHECKING:
    import ray.data

Rows = dict[str, npt.NDArray[Any]]


def audit(
    runs: Any,
    *,
    output: str | Path,
    shards: Shards | str | Path,
    actors: int,
    num_cpus: float,
    num_gpus: float = 0,
    **options: Any,
) -> Audit:
    """Audit by actors that share the images in shards; see `fairvision.audit`.

    Tasks of Ray that are lost with their machine are started again, and so is the work that they
    had claimed; the bytes are those of one process.

    Parameters
    ----------
    runs, output, options : as for `fairvision.audit`; paths are those that all machines see
    shards : folder that all machines see, on a shared disk
    actors : how many processes take part at a time
    num_cpus, num_gpus : what Ray sets aside for each; they set their threads by it

    Raises
    ------
    InputError
        As `fairvision.audit` does.
    """
    engine = _engine()
    if actors < 1:
        raise InputError(f"actors must be 1 or more, not {actors}")
    settings = {"output": Path(output), "shards": shards, **options}
    task = engine.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=-1)(_take_part)
    waiting = [task.remote(runs, int(max(1, num_cpus)), settings) for _ in range(actors)]
    problems = [problem for problem in engine.get(waiting) if problem]
    if problems:
        raise InputError(problems[0])
    return finished(Path(output))


def predict(
    images: ray.data.Dataset,
    model: str | Path | Callable[[], Model],
    *,
    column: str = "image",
    actors: int,
    num_cpus: float,
    num_gpus: float = 0,
    batch_size: int = 64,
) -> ray.data.Dataset:
    """Ask a model about the images of a data set of Ray, in actors that hold it.

    Parameters
    ----------
    images : rows with an `id`, an image, and what is true of it, such as `ray.data.read_parquet`,
        `read_webdataset` and `read_images` give
    model : a run folder, the name of a model such as "timm:resnet18", or a function that returns
        a model; opened once in each actor, on its GPU if it has one
    column : of the images: the bytes of files, or arrays (height, width, 3) of uint8
    actors : how many hold the model at a time
    num_cpus, num_gpus : what Ray sets aside for each
    batch_size : images in the network at a time; other batches give other last bits

    Returns
    -------
    the same rows, not always in the same order, with `score/<head>/<label>` in the place of the
    image: a table of predictions, for `stream` or `write_parquet`

    Raises
    ------
    InputError
        If Ray is not installed.
    """
    of_data = need("ray.data", "ray")
    return images.map_batches(
        _Asked,
        fn_constructor_args=(model, column, int(max(1, num_cpus))),
        batch_size=batch_size,
        batch_format="numpy",
        compute=of_data.ActorPoolStrategy(size=actors),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


class Stream:
    """A data set of Ray as a stream of Arrow: `fairvision.audit(predictions=Stream(rows), …)`.

    Each time that it is read Ray computes it anew, unless it is `materialize()`d.
    """

    def __init__(self, rows: ray.data.Dataset):
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the rows as a capsule of the Arrow C stream interface."""
        tables: Iterator[pa.Table] = iter(self._rows.iter_batches(batch_format="pyarrow"))
        first = next(tables, None)
        if first is None:
            raise InputError("the data set of Ray has no rows")
        reader = pa.RecordBatchReader.from_batches(first.schema, _batches(first, tables))
        return reader.__arrow_c_stream__(requested_schema)


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    """Yield tables as batches of the types of the first."""
    yield from first.to_batches()
    for table in rest:
        yield from table.select(first.column_names).cast(first.schema).to_batches()


class _Asked:
    """A model in an actor."""

    def __init__(self, model: str | Path | Callable[[], Model], column: str, threads: int):
        _set_threads(threads)
        if isinstance(model, (str, Path)):
            self._model = as_model(model, find_device())
        else:
            self._model = model()
        self._column = column

    def __call__(self, rows: Rows) -> Rows:
        """Return rows with scores in the place of images."""
        if self._column not in rows:
            raise InputError(f"there is no column {self._column!r}: there is {', '.join(rows)}")
        model, geometry, doubts = self._model, geometry_of(self._model), Doubts()
        pixels = [
            geometry.image(Image.fromarray(image))
            if isinstance(image, np.ndarray)
            else geometry.read(Encoded(f"image {i} of a batch", bytes(image)), doubts)
            for i, image in enumerate(rows[self._column])
        ]
        doubts.tell()
        blank = np.zeros((len(pixels), 1, 1), np.uint8)
        images, _ = images_of(Taken(np.stack(pixels), blank, None), model.device)
        scores = model.predict(images)
        return {
            **{name: values for name, values in rows.items() if name != self._column},
            **_columns(model, scores),
        }


def _columns(model: Model, scores: Mapping[str, Any]) -> Rows:
    """Return the scores of a model as columns."""
    columns: Rows = {}
    for head in model.schema:
        names = score_columns("score", head, model.schema.labels(head))
        columns.update(zip(names, scores[head].double().cpu().numpy().T))
    return columns


def _take_part(runs: Any, threads: int, settings: Mapping[str, Any]) -> str:
    """Take part in an audit; return what is wrong with what was given, or ""."""
    import warnings

    from fairvision.auditing import audit

    _set_threads(threads)
    try:
        with warnings.catch_warnings(action="ignore"):  # the caller is told
            audit(runs, **settings)
    except InputError as error:  # which Ray would wrap, and which starting again does not help
        return str(error)
    return ""


def _set_threads(threads: int) -> None:
    """Let torch use as many threads as Ray set processors aside."""
    import torch

    torch.set_num_threads(threads)


def _engine() -> Any:
    """Return Ray; `InputError` says how it is installed."""
    return need("ray", "ray")
