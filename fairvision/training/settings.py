"""Every option of a training, declared once: its name, default, range, choices and help.

The keywords of `fairvision.train`, the options of the commands, the keys of their `--config` files
and the `options` of a run's config.json are these names.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from fairvision import methods
from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.methods import Method

F = TypeVar("F", bound=Callable[..., Any])

REGIMES = ("head", "last", "all")
CRITERIA = ("loss", "accuracy", "worst_group_accuracy")
SCHEDULES = ("cosine", "constant", "steps")
OPTIMIZERS = ("adamw", "sgd")
CROPS = ("zoom", "shift")
PRECISIONS = ("32", "bf16", "16")
DECODERS = ("transformer", "lstm")
VOCABULARIES = ("words", "subwords")

LEARNING = (
    *("tune", "epochs", "batch_size", "lr", "lr_backbone", "weight_decay", "schedule", "augment"),
    *("precision", "accumulate", "ema", "select", "patience", "compile", "optimizer", "momentum"),
    "crop",
)
"""The options on which the weights depend, as they stand among the `options` of config.json."""


@dataclass(frozen=True)
class Option:
    """What there is to say of an option besides its type and default.

    Attributes
    ----------
    help : what the command says of it
    choices : the texts that it may be
    least, above, below : the range of a number; `above` and `below` are not in it
    noun, unit : what messages call it, and its smallest value, where not by its name
    metavar : what the command calls its value
    is_path : it may be a path
    is_checked : `Settings` checks it; else what uses it does
    """

    help: str
    choices: tuple[str, ...] = ()
    least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    noun: str = ""
    unit: str = ""
    metavar: str | None = None
    is_path: bool = False
    is_checked: bool = True

    @property
    def range(self) -> str:
        """The range in words."""
        words = []
        if math.isfinite(self.least):
            words.append(f"at least {self.least}" if self.least else "0 or above")
        if math.isfinite(self.above):
            words.append(f"above {self.above}")
        if math.isfinite(self.below):
            words.append(f"below {'2**63' if self.below == 2**63 else self.below}")
        return " and ".join(words) + (f" {self.unit}" if self.unit else "")

    def check(self, name: str, value: Any) -> None:
        """Raise `InputError` where a value is not among the choices, or not in the range."""
        if value is None or not self.is_checked:
            return
        if self.choices and value not in self.choices:
            hint = did_you_mean(str(value), self.choices)
            raise InputError(f"{name} {value!r} is not one of {', '.join(self.choices)}{hint}")
        if self.range and not (value >= self.least and self.above < value < self.below):
            noun = self.noun or name.replace("_", " ")
            raise InputError(f"{noun} must be {self.range}, not {value}")


def option(default: Any, help: str, **rest: Any) -> Any:
    """Return a field of `Settings`."""
    return field(default=default, metadata={"option": Option(help, **rest)})


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    The type of a field is that of the value in use: where the default is None and the type does not
    say so, `preparation.with_defaults` chooses by the data, the network and the other options.
    """

    method: str = option(
        "baseline",
        "How it learns; `--method list` says what methods there are, and their options.",
    )
    model: str = option(
        "lecture_cnn",
        "lecture_cnn, small_cnn, a torchvision classification network such as mobilenet_v2, one of "
        "timm such as timm:convnext_atto; of captions also hf:FOLDER, a captioner of transformers.",
    )
    weights: str | None = option(
        None,
        "What it starts from: a name that torchvision publishes (IMAGENET1K_V1, DEFAULT), DEFAULT "
        "of timm, a .pth or .safetensors file, or another run. By default random.",
        is_path=True,
    )
    keep_head: bool = option(
        False,
        "Take the classifier of a weights file for the one that is trained: its outputs are the "
        "labels, in their order. By default where the file says as much.",
    )
    size: int = option(
        None,
        "Side of the pictures in pixels; by default that of the network, and for small networks "
        "that of the pictures where they all have one that is smaller.",
        least=1,
    )
    attribute: Collection[str] = option(
        (), "Attribute to learn, repeatable; by default all. Of captions: whose groups they name."
    )
    task: Collection[str] = option((), "Task to learn, repeatable; by default all.")
    captions: bool = option(
        False, "Learn to write captions, from the column captions, instead of labels."
    )
    decoder: str = option(
        "transformer",
        "What writes captions: a small transformer that attends to places, or an LSTM that is "
        "shown the whole picture first.",
        choices=DECODERS,
    )
    vocabulary: str = option(
        "words", "Tokens of captions; subwords can write every word.", choices=VOCABULARIES
    )
    captions_per_image: int = option(
        None,
        "Captions of a picture in a pass at most, in turns; by default one for the small "
        "networks, which are less work than what writes, else all.",
        least=1,
        noun="captions per image",
    )
    words: Any = option(  # noqa: RUF009
        None,
        'JSON, the words by which captions name each group: {"woman": ["woman", "she"], …}; by '
        "default those of a gender, or the groups' names.",
        is_path=True,
    )
    tune: str = option(
        "all",
        "What learns: the heads, the last block too, or the whole network; auto chooses by the "
        "number of training pictures and says why.",
        choices=(*REGIMES, "auto"),
    )
    epochs: int = option(
        None,
        "Passes over the training pictures; by default 10, and of captions with the small networks "
        "5 to 100, as many as make about 800 steps.",
        least=1,
    )
    batch_size: int = option(
        None,
        "Pictures per batch; of several processes (torchrun), together. By default 32; of captions "
        "with the small networks, which need many steps, 16.",
        least=2,
    )
    lr: float = option(
        None,
        "Learning rate; by default 0.0001 where trained layers learn on, else 0.001; of sgd 0.01 "
        "and 0.1.",
        above=0,
        noun="the learning rate",
    )
    lr_backbone: float = option(
        1.0,
        "Share of it for the earliest block that learns; those up to the heads lie between.",
        above=0,
        noun="the backbone's share of the learning rate",
    )
    weight_decay: float = option(
        None,
        "Decay of the weights; by default 0.01, of sgd 0.0005.",
        least=0,
        noun="the weight decay",
    )
    optimizer: str = option("adamw", "What takes the steps.", choices=OPTIMIZERS)
    momentum: float = option(0.9, "Of sgd.", least=0, below=1, noun="the momentum")
    schedule: str = option(
        "cosine",
        "Learning rate after the warm-up: to zero, the same, or a tenth after each quarter.",
        choices=SCHEDULES,
    )
    augment: bool = option(
        None,
        "Mirror and crop at random; by default not for heads alone, nor for the small networks.",
    )
    crop: str = option(
        "zoom",
        "Random crops: parts of 50 to 100% of the area, or shifts by up to an eighth of the side.",
        choices=CROPS,
    )
    precision: str = option("32", "Bits per number; bf16 and 16 are mixed.", choices=PRECISIONS)
    accumulate: int = option(1, "Batches per step.", least=1)
    ema: float | None = option(
        None,
        "Keep a moving average of the weights, such as 0.999; by default none.",
        above=0,
        below=1,
        metavar="DECAY",
    )
    select: str = option(
        "loss", "What makes an epoch the best on the validation split.", choices=CRITERIA
    )
    patience: int | None = option(
        None,
        "Stop after so many epochs without a better one; by default never.",
        least=1,
        unit="epoch",
        metavar="EPOCHS",
    )
    compile: bool = option(False, "Compile the network (torch.compile).")
    seed: int = option(0, "Seed of all chance.", least=0, below=2**63, noun="the seed")
    device: str = option(
        "auto",
        "Where the network runs.",
        choices=("auto", "cpu", "cuda", "mps"),
        is_checked=False,
    )
    workers: int | None = option(
        None, "Threads that decode pictures; by default one per core.", least=1
    )
    cache: str = option(
        "auto",
        "Whether decoded pictures are kept on the disk; auto keeps them where they take at most "
        "half of what is free, else they are decoded whenever they are needed.",
        choices=("auto", "always", "never"),
        is_checked=False,
    )
    checkpoint_every: int | None = option(
        None,
        "When to write the state within an epoch; by default about once a minute.",
        least=1,
        unit="step",
        metavar="STEPS",
    )
    resume: bool = option(
        False,
        "Continue the unfinished run in the output folder, with the options it was started with.",
    )
    overwrite: bool = option(False, "Replace what an earlier call wrote there.")
    quiet: bool = option(True, "Show no progress.")
    method_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, declared in OPTIONS.items():
            declared.check(name, getattr(self, name))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Settings:
        """Return settings from keywords, of which those that are not fields are the method's."""
        rest = {name: value for name, value in options.items() if name not in OPTIONS}
        given = {name: value for name, value in options.items() if name in OPTIONS}
        settings = cls(**given, method_options=rest)
        taken = [name for name in methods.option_names(settings.method) if name in OPTIONS]
        if taken:
            raise InputError(
                f"method {settings.method!r} has an option --{taken[0]}, which every training has: "
                "its package must call it otherwise"
            )
        settings.make_method()
        return settings

    def make_method(self) -> Method:
        """Return the method with its options; `InputError` where there is no such one."""
        return methods.settings(self.method, self.method_options, captions=self.captions)

    def as_options(self) -> Mapping[str, Any]:
        """Return the keywords of `fairvision.train`, but for those of the method."""
        return {name: getattr(self, name) for name in OPTIONS}

    def learning(self) -> Mapping[str, Any]:
        """Return the options on which the weights depend, but for the seed and the method's."""
        return {name: getattr(self, name) for name in LEARNING}


OPTIONS: dict[str, Option] = {
    declared.name: declared.metadata["option"]
    for declared in fields(Settings)
    if "option" in declared.metadata
}
TYPES: Mapping[str, Any] = {name: get_type_hints(Settings)[name] for name in OPTIONS}
DEFAULTS: Mapping[str, Any] = {
    declared.name: declared.default for declared in fields(Settings) if declared.name in OPTIONS
}


Settings.__doc__ = "\n".join(
    [str(Settings.__doc__), "    Attributes", "    ----------"]
    + [f"    {name} : {declared.help}" for name, declared in OPTIONS.items()]
)


def takes_settings(function: F) -> F:
    """Give a function whose keywords are those of `Settings` its whole signature."""
    signature = inspect.signature(function)
    *first, options = signature.parameters.values()
    keywords = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name], annotation=TYPES[name]
        )
        for name in OPTIONS
    ]
    rest = options.replace(name="method_options")
    whole = signature.replace(parameters=[*first, *keywords, rest])
    function.__signature__ = whole  # type: ignore[attr-defined]
    return function
