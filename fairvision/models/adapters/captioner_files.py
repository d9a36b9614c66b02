"""Captioners of transformers in a folder: what they are made of, and what they say of images.

As with classifiers, only weights in safetensors and settings in JSON are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fairvision.core import shapes
from fairvision.core.extras import need
from fairvision.core.files import write_json
from fairvision.datasets.geometry import INTERPOLATIONS, Geometry
from fairvision.datasets.pixels import LARGEST_SIDE
from fairvision.errors import InputError, shown
from fairvision.models.adapters import transformers_files
from fairvision.models.adapters.opening import opening
from fairvision.models.adapters.transformers_files import PROCESSORS
from fairvision.models.preprocessing import TransformGeometry, three
from fairvision.models.pretrained_captioner import (
    BlipWriter,
    EncoderDecoderWriter,
    Ends,
    GitWriter,
    PretrainedCaptioner,
    PretrainedDecoder,
)
from fairvision.models.pretrained_vocabulary import PretrainedVocabulary
from fairvision.models.sources import SourceOptions

KIND = "hf:"
CONFIG, TOKENIZER = "config.json", "tokenizer.json"

_AGAIN = "train the run again with --overwrite"
_LARGEST = 10_000_000
_SHAPE = shapes.only(
    {
        "config": shapes.table({"model_type": shapes.text}),
        "tokens": shapes.whole(1, _LARGEST),
        "places": shapes.whole(2, _LARGEST),
        "ends": shapes.only(dict.fromkeys(("start", "end", "pad"), shapes.whole(0, _LARGEST))),
        "mean": shapes.each(shapes.number()),
        "std": shapes.each(shapes.number()),
        "geometry": shapes.only(
            {
                "size": shapes.whole(1, LARGEST_SIDE),
                "shorter": shapes.perhaps(shapes.whole(1, LARGEST_SIDE)),
                "interpolation": shapes.text,
                "exact": shapes.truth,
                "is_floored": shapes.truth,
            }
        ),
    }
)


@dataclass(frozen=True)
class Architecture:
    """How a kind of captioner is taken apart.

    Attributes
    ----------
    name : its class in transformers
    encoder : what looks at images: dotted name
    text : what of the config is about texts: name, "" for all of it
    end : what the config calls the last token
    writer : makes of the model what writes
    """

    name: str
    encoder: str
    text: str
    end: str
    writer: Callable[[Any], nn.Module]


ARCHITECTURES = {
    "vision-encoder-decoder": Architecture(
        "VisionEncoderDecoderModel", "encoder", "decoder", "eos_token_id", EncoderDecoderWriter
    ),
    "blip": Architecture(
        "BlipForConditionalGeneration", "vision_model", "text_config", "sep_token_id", BlipWriter
    ),
    "git": Architecture("GitForCausalLM", "git.image_encoder", "", "eos_token_id", GitWriter),
}


@dataclass(frozen=True)
class CaptionerFiles:
    """All of a captioner but its weights and its tokenizer.

    Attributes
    ----------
    config : contents of its config.json
    tokens : size of its own vocabulary
    places : tokens of a caption that it takes at most
    ends : the tokens between which captions stand
    mean, std : of each colour, in [0, 1]
    geometry : how images become squares
    """

    config: Mapping[str, Any]
    tokens: int
    places: int
    ends: Ends
    mean: Sequence[float]
    std: Sequence[float]
    geometry: Geometry

    @property
    def architecture(self) -> Architecture:
        """What kind of captioner it is."""
        return ARCHITECTURES[self.config["model_type"]]

    @classmethod
    def read(cls, path: Path) -> CaptionerFiles:
        """Return what `write` wrote; `InputError` where the file is damaged."""
        content = shapes.read(path, _SHAPE, _AGAIN)
        is_one = content["config"]["model_type"] in ARCHITECTURES
        if not is_one or content["geometry"]["interpolation"] not in INTERPOLATIONS:
            raise InputError(f"{path} is damaged: it describes no captioner: {_AGAIN}")
        if max(content["ends"].values()) >= content["tokens"]:
            raise InputError(f"{path} is damaged: it has fewer tokens than it names: {_AGAIN}")
        parts = {"ends": Ends(**content["ends"]), "geometry": Geometry(**content["geometry"])}
        for name in ("mean", "std"):
            parts[name] = three(name, content[name], 0.0)
        return cls(**{**content, **parts})

    def write(self, path: Path) -> None:
        """Write all of it into a file."""
        write_json(path, asdict(self))

    def vocabulary(self, path: Path) -> PretrainedVocabulary:
        """Return the vocabulary of its tokenizer, which lies in a file."""
        return PretrainedVocabulary.open(path, self.tokens, self.places)

    def untrained(
        self, vocabulary: PretrainedVocabulary, words: Mapping[str, Collection[str]]
    ) -> PretrainedCaptioner:
        """Return its network with random weights.

        Parameters
        ----------
        vocabulary : of its tokenizer
        words : the words by which captions name each group
        """
        transformers = need("transformers", "hf")
        kind = getattr(transformers, self.architecture.name)
        with opening("the captioner"):
            config = kind.config_class.from_dict(_without_code(self.config))
            config._attn_implementation = "eager"
            model = kind(config)
        return self.network(model, vocabulary, words)

    def network(
        self, model: Any, vocabulary: PretrainedVocabulary, words: Mapping[str, Collection[str]]
    ) -> PretrainedCaptioner:
        """Return the network that is made of a model of transformers."""
        encoder = model.get_submodule(self.architecture.encoder)
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # nothing is made of what it says
        decoder = PretrainedDecoder(self.architecture.writer(model), self.tokens, self.ends)
        groups = vocabulary.group_tokens(words)
        return PretrainedCaptioner(encoder, decoder, self.mean, self.std, words, groups)


def is_captioner(source: str) -> bool:
    """Tell whether a text names a folder of transformers that holds a captioner."""
    if not source.startswith(KIND):
        return False
    path = Path(source.removeprefix(KIND)) / CONFIG
    return path.is_file() and _config(path).get("model_type") in ARCHITECTURES


def open_files(source: str) -> tuple[CaptionerFiles, PretrainedVocabulary]:
    """Return what the folder of a captioner says, but for its weights, and its vocabulary.

    Parameters
    ----------
    source : hf:FOLDER, which `save_pretrained` of transformers wrote

    Raises
    ------
    InputError
        If it is no captioner, or files are missing or damaged.
    """
    need("transformers", "hf")
    folder = _folder(source)
    config = _config(folder / CONFIG)
    architecture = _architecture(source, config)
    if not (folder / TOKENIZER).is_file():
        raise InputError(
            f"{source} has no {TOKENIZER}, which says what its tokens are: save its fast tokenizer "
            "there with save_pretrained of transformers"
        )
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise InputError(
            f"{source} has no {PROCESSORS[0]}, so nothing says what images it takes: save its "
            "image processor there with save_pretrained of transformers"
        )
    preprocessing = transformers_files.preprocessing(str(folder), source, SourceOptions())
    geometry = preprocessing.geometry
    if isinstance(geometry, TransformGeometry):
        geometry = Geometry(geometry.size)
    transformers = need("transformers", "hf")
    with opening(source):
        kind = getattr(transformers, architecture.name)
        read = kind.config_class.from_dict(_without_code(config))
        of_text = getattr(read, architecture.text) if architecture.text else read
        tokens, places = int(of_text.vocab_size), int(of_text.max_position_embeddings)
        ends = _ends(source, folder, architecture, read, of_text)
    if max(ends.start, ends.end, ends.pad) >= tokens:
        raise InputError(f"{source}: config.json names a token beyond its {tokens}")
    files = CaptionerFiles(
        config, tokens, places, ends, preprocessing.mean, preprocessing.std, geometry
    )
    return files, files.vocabulary(folder / TOKENIZER)


def open_network(
    source: str,
    files: CaptionerFiles,
    vocabulary: PretrainedVocabulary,
    words: Mapping[str, Collection[str]],
) -> PretrainedCaptioner:
    """Return the network of a folder, with its weights.

    Raises
    ------
    InputError
        If weights are missing, are no safetensors, or do not fit.
    """
    reference = str(_folder(source))
    model = transformers_files.pretrained(
        reference, source, files.architecture.name, unused="pooler."
    )
    return files.network(model, vocabulary, words)


def _folder(source: str) -> Path:
    """Return the folder that a source names."""
    folder = Path(source.removeprefix(KIND))
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{source}: {folder} is no folder with a {CONFIG}: captioners are read from folders "
            "that save_pretrained of transformers wrote"
        )
    return folder


def _config(path: Path) -> Mapping[str, Any]:
    """Return the contents of a config.json; `InputError` where it is damaged."""
    config: Mapping[str, Any] = shapes.read(
        path,
        shapes.table({}, {"model_type": shapes.text, "architectures": shapes.each(shapes.text)}),
        "save the model again with save_pretrained of transformers",
    )
    return config


def _architecture(source: str, config: Mapping[str, Any]) -> Architecture:
    """Return what kind of captioner a config is of; `InputError` where it is of none."""
    kind = config.get("model_type", "")
    named = config.get("architectures") or []
    architecture = ARCHITECTURES.get(kind)
    if architecture is None or (named and architecture.name not in named):
        names = ", ".join(one.name for one in ARCHITECTURES.values())
        raise InputError(f"{source} is {shown((*named, kind)[0])}, and no captioner: {names} are")
    return architecture


def _ends(source: str, folder: Path, architecture: Architecture, config: Any, of_text: Any) -> Ends:
    """Return the tokens between which captions stand, as `generate` of transformers takes them."""
    generation = need("transformers", "hf").GenerationConfig
    path = folder / "generation_config.json"
    asked = generation.from_pretrained(folder) if path.is_file() else None
    is_blip = architecture.end != "eos_token_id"  # which does not look into that file
    places = (of_text,) if is_blip else (asked, config, of_text)

    def first(*names: str) -> int | None:
        values = [getattr(place, name, None) for name in names for place in places]
        value = next((value for value in values if value is not None), None)
        return value[0] if isinstance(value, list) else value

    start, end = first("decoder_start_token_id", "bos_token_id"), first(architecture.end)
    if start is None or end is None:
        missing = "begins" if start is None else "ends"
        raise InputError(f"{source}: config.json does not say by which token a caption {missing}")
    pad = first("pad_token_id")
    return Ends(int(start), int(end), int(end if pad is None else pad))


def _without_code(config: Any) -> Any:
    """Return a config in which no part names code that comes with it."""
    if isinstance(config, Mapping):
        return {key: _without_code(value) for key, value in config.items() if key != "auto_map"}
    return config
