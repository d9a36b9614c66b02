"""Files of TensorFlow Lite that say where people are, run by `ai-edge-litert`."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fairvision.core.extras import need
from fairvision.errors import InputError, check_file, reading, shown

_SUFFIX, _INSIDE = ".tflite", "!"
_LARGEST = 1 << 29  # bytes of a file in an archive


def is_lite(source: str) -> bool:
    """Say whether a source is a file of TensorFlow Lite, perhaps in an archive.

    >>> is_lite("a.tflite"), is_lite("b.whl!c/a.tflite"), is_lite("deeplabv3_resnet50")
    (True, True, False)
    """
    return source.lower().endswith(_SUFFIX)


def load_lite(
    source: str,
) -> tuple[str, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]]:
    """Load a network from images in [0, 1] to a probability for each pixel.

    Parameters
    ----------
    source : "FILE.tflite", or "ARCHIVE!PATH.tflite" of a file in a wheel or another zip archive

    Returns
    -------
    a name with the beginning of the file's SHA-256; and the function from an image (height, width,
    3) uint8 to probabilities (height, width) float32. Images are resized to what the network takes,
    and probabilities back.

    Raises
    ------
    InputError
        If the file cannot be read, the network takes or gives something else, or `ai-edge-litert`
        is not installed.
    """
    content = _bytes_of(source)
    package = need("ai_edge_litert.interpreter", "masks")
    with reading(source, "TensorFlow Lite"):
        interpreter = package.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()
    height, width = _checked(source, takes, gives)
    lock = threading.Lock()  # an interpreter holds one image

    def predict(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        with lock:
            interpreter.set_tensor(takes[0]["index"], np.asarray(small, np.float32)[None] / 255)
            interpreter.invoke()
            share = interpreter.get_tensor(gives[0]["index"]).reshape(height, width)
        large = Image.fromarray(share).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
        return np.asarray(large)

    name = source.rpartition(_INSIDE)[2].replace("\\", "/").rpartition("/")[2]
    return f"{name} (sha256 {hashlib.sha256(content).hexdigest()[:16]})", predict


def _bytes_of(source: str) -> bytes:
    """Return the bytes of a file, or of one in a zip archive."""
    archive_name, inside, member = source.rpartition(_INSIDE)
    if not inside or Path(source).exists():
        with reading(source):
            return check_file(source).read_bytes()
    path = check_file(archive_name, "a zip archive")
    with reading(path, "zip"), zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if is_lite(info.filename)]
        if member not in archive.namelist():
            raise InputError(
                f"{path} holds no {shown(member)}: it has {', '.join(map(shown, names[:4]))}"
                if names
                else f"{path} holds no file that ends in {_SUFFIX}"
            )
        if archive.getinfo(member).file_size > _LARGEST:
            raise InputError(f"{path}: {shown(member)} is larger than {_LARGEST >> 20} MiB")
        with archive.open(member) as file:
            return file.read(_LARGEST)


def _checked(source: str, takes: Any, gives: Any) -> tuple[int, int]:
    """Return height and width of what a network takes; `InputError` unless it segments images."""
    shapes = [tuple(map(int, tensor["shape"])) for tensor in (*takes, *gives)]
    kinds = {np.dtype(tensor["dtype"]) for tensor in (*takes, *gives)}
    image, share = [*shapes, (), ()][:2]
    if (
        (len(takes), len(gives)) != (1, 1)
        or kinds != {np.dtype(np.float32)}
        or (len(image), image[:1], image[3:]) != (4, (1,), (3,))
        or share not in (image[:3], (*image[:3], 1))
    ):
        raise InputError(
            f"{source} maps {shapes[: len(takes)]} to {shapes[len(takes) :]}: an image (1, height, "
            "width, 3) and a probability of a person for each pixel (1, height, width, 1), of "
            "float32, are expected"
        )
    return image[1], image[2]
