"""What transformers reads of a folder or from huggingface.co, with nothing of it executed.

Only weights in safetensors and settings in JSON are read; code that comes with a model is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.core.extras import need
from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError, shown
from fairvision.models.adapters.opening import opening
from fairvision.models.preprocessing import Preprocessing, recognised
from fairvision.models.sources import SourceOptions

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files of which one says what is done to images."""


def pretrained(reference: str, source: str, kind: str, *, unused: str | None = None) -> Any:
    """Return a network with all of its weights, in float32 on the CPU.

    Parameters
    ----------
    reference : a folder, or the name of a model on huggingface.co, which is fetched into $HF_HOME
    source : how messages name it
    kind : class of transformers whose `from_pretrained` makes it
    unused : tensors with this in their name may be missing

    Raises
    ------
    InputError
        If there is none, it has other weights than in safetensors, some are missing, or it needs
        code of its own.
    """
    transformers = need("transformers", "hf")
    arguments = _arguments(reference, source)
    if not arguments["local_files_only"]:
        logging.getLogger("fairvision").warning(
            "%s is fetched from huggingface.co, unless it lies in $HF_HOME already", source
        )
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        with opening(source):
            network, loaded = getattr(transformers, kind).from_pretrained(
                reference,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
                **arguments,
            )
    finally:
        if bars:
            transformers.utils.logging.enable_progress_bar()
    for problem in ("missing_keys", "mismatched_keys"):
        names = sorted(
            name for name in map(str, loaded[problem]) if not unused or unused not in name
        )
        if names:
            raise InputError(
                f"{source}: {len(names)} of the network's tensors are {problem[:-5]} in the "
                f"weights, such as {shown(names[0])}: it has not been trained for this"
            )
    return network.eval()


def tokenizer(reference: str, source: str) -> Any:
    """Return what makes numbers of texts for a network."""
    with opening(source):
        return need("transformers", "hf").AutoTokenizer.from_pretrained(
            reference, **_arguments(reference, source)
        )


def preprocessing(reference: str, source: str, options: SourceOptions) -> Preprocessing:
    """Return what a network's `preprocessor_config.json` says of images.

    Without that file, what is told must say all.
    """
    processors = need("transformers", "hf").AutoImageProcessor
    folder = Path(reference)
    if folder.is_dir() and not any((folder / name).exists() for name in PROCESSORS):
        if None in (options.size, options.mean, options.std):
            raise InputError(
                f"{source} has no preprocessor_config.json, so nothing says what images it takes: "
                "give --size, --mean and --std"
            )
        return Preprocessing(Geometry(options.size or 1, exact=True), origin="it has no word on it")
    with opening(source):
        processor = processors.from_pretrained(reference, **_arguments(reference, source))
    return recognised(
        lambda image: processor(image, return_tensors="pt"), "as its preprocessor_config.json says"
    )


def _arguments(reference: str, source: str) -> dict[str, Any]:
    """Return where to look for files, and that code among them is not run."""
    folder = Path(reference)
    is_path = folder.is_absolute() or reference.startswith(".") or reference.count("/") > 1
    if not folder.exists() and is_path:
        raise InputError(f"{source}: there is no folder {reference}")
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{source} holds no weights in safetensors, and others are not read, as they may run "
            "code: save it again with save_pretrained of transformers"
        )
    return {"trust_remote_code": False, "local_files_only": folder.exists()}


class _Images(nn.Module):
    """The part of a CLIP that looks at images: from images to vectors (n, width)."""

    def __init__(self, clip: Any):
        super().__init__()
        self.vision_model, self.projection = clip.vision_model, clip.visual_projection

    def forward(self, images: Tensor) -> Tensor:
        """Return vectors (n, width)."""
        vectors: Tensor = self.projection(self.vision_model(pixel_values=images).pooler_output)
        return vectors


def towers(reference: str, source: str) -> tuple[nn.Module, Callable[[list[str]], Tensor], float]:
    """Return the two parts of a CLIP, for images and for texts, and the scale of its cosines."""
    clip = pretrained(reference, source, "CLIPModel")
    numbers = tokenizer(reference, source)
    longest = clip.config.text_config.max_position_embeddings

    def encode(texts: list[str]) -> Tensor:
        tokens = numbers(texts, padding=True, return_tensors="pt")
        if tokens["input_ids"].shape[1] > longest:
            raise InputError(f"{source}: a text is longer than {longest} tokens: {shown(texts[0])}")
        made = clip.get_text_features(**tokens)
        vectors: Tensor = getattr(made, "pooler_output", made)
        return vectors

    return _Images(clip), encode, float(clip.logit_scale.detach().exp())
