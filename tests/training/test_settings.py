"""Options are declared once: function, command, messages and documentation have them from there."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import fairvision
from fairvision import methods, models
from fairvision.cli.train import command
from fairvision.errors import InputError
from fairvision.training.settings import DEFAULTS, LEARNING, OPTIONS, REGIMES, Settings

PAGE = Path(__file__).parents[2] / "docs/training.md"


def table() -> str:
    """Return the options as the documentation has them."""
    lines = ["| option | default | |", "|---|---|---|"]
    for name, option in OPTIONS.items():
        default = "" if DEFAULTS[name] in (None, ()) else f"`{DEFAULTS[name]}`"
        of = f": {', '.join(f'`{choice}`' for choice in option.choices)}" if option.choices else ""
        words = option.help.removesuffix(".")
        lines.append(f"| `{name}` | {default} | {words}{of} |")
    return "\n".join(lines)


def test_the_documentation_lists_every_option() -> None:
    assert table() in PAGE.read_text("utf-8"), f"docs/training.md must hold\n{table()}"


def test_the_function_shows_every_option_and_its_default() -> None:
    parameters = inspect.signature(fairvision.train).parameters
    assert list(parameters) == ["data", "output", *OPTIONS, "method_options"]
    assert {name: parameters[name].default for name in OPTIONS} == DEFAULTS
    assert str(parameters["ema"]) == "ema: float | None = None"
    for name, option in OPTIONS.items():
        assert f"{name} : {option.help}" in str(Settings.__doc__)


def test_the_command_has_every_option_with_its_help() -> None:
    by_name = {parameter.name: parameter for parameter in command.params}
    for name, option in OPTIONS.items():
        if name != "method":  # the command lists those that there are
            assert by_name[name].help == option.help
        if name != "quiet":  # which a function is, and a command only if asked
            default = by_name[name].default
            value = default if isinstance(default, (str, int, float)) else None
            assert (value or None) == (DEFAULTS[name] or None)


def test_what_is_known_elsewhere_is_the_same() -> None:
    assert REGIMES == models.REGIMES
    assert set(LEARNING) < set(OPTIONS)
    assert not set(methods.option_names()) & set(OPTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"patience": 0}, "patience must be at least 1 epoch, not 0"),
        ({"checkpoint_every": 0}, "checkpoint every must be at least 1 step, not 0"),
        ({"ema": 1.0}, "ema must be above 0 and below 1, not 1.0"),
        ({"lr": float("inf")}, "the learning rate must be above 0, not inf"),
        ({"weight_decay": float("nan")}, "the weight decay must be 0 or above, not nan"),
        ({"momentum": -0.1}, "the momentum must be 0 or above and below 1, not -0.1"),
        ({"seed": 2**63}, f"the seed must be 0 or above and below 2**63, not {2**63}"),
        ({"crop": "cut"}, "crop 'cut' is not one of zoom, shift"),
        ({"epoch": 3}, "--epoch is not an option of method baseline, which has none"),
    ],
)
def test_what_is_out_of_range_is_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        Settings.from_options(options)
    assert str(error.value) == message


def test_options_of_the_method_are_read_as_what_they_are() -> None:
    settings = Settings.from_options({"method": "equalizer", "beta": "3", "lr": 0.5})
    assert settings.make_method() == methods.settings("equalizer", {"beta": 3.0})
    assert settings.as_options() == {**DEFAULTS, "method": "equalizer", "lr": 0.5}


def test_a_method_cannot_take_the_name_of_an_option() -> None:
    @dataclass(frozen=True)
    class Greedy(methods.Method):
        summary: ClassVar[str] = "wants an option that every training has"
        epochs: int = 3

    methods.register("greedy", Greedy)
    try:
        with pytest.raises(InputError, match="'greedy' has an option --epochs, which every"):
            Settings.from_options({"method": "greedy"})
    finally:
        methods._METHODS.reset()
