"""The public face holds exactly what the modules behind it define for it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import signature
from pkgutil import walk_packages

import pytest

from fairvision import metrics
from fairvision.metrics._engine.outcomes import RATES

SEEN_THROUGH_OTHERS = {
    "BoundedResult",
    "CaptionReport",
    "CounterfactualResult",
    "Counts",
    "EntropyResult",
    "GroupMetrics",
    "GroupResult",
    "LeakageResult",
    "LicResult",
    "MalsResult",
    "MultiAttributeResult",
    "Hypotheses",
    "NoisyGroups",
    "Sampling",
    "ScoreGapResult",
}


def test_all_is_sorted_and_holds_what_is_shown_as_public() -> None:
    """A function is public when its example calls it as `metrics.<its name>`."""
    shown = set()
    for module in walk_packages(metrics.__path__, "fairvision.metrics."):
        found = import_module(module.name)
        assert module.name.split(".")[-1] not in metrics.__all__, (
            f"{module.name} hides the exported function of its name: name the module otherwise"
        )
        shown |= {
            name
            for name, thing in vars(found).items()
            if getattr(thing, "__module__", "") == found.__name__
            and f"metrics.{name}(" in (thing.__doc__ or "")
        }
    assert metrics.__all__ == sorted(metrics.__all__)
    assert set(metrics.__all__) - shown <= SEEN_THROUGH_OTHERS | {"Result"}
    assert shown <= set(metrics.__all__)


@pytest.mark.parametrize("name", metrics.__all__)
def test_what_is_public_is_documented(name: str) -> None:
    text = getattr(metrics, name).__doc__
    assert "Parameters" in text or "Attributes\n" in text
    assert name in SEEN_THROUGH_OTHERS or ">>> from fairvision import metrics" in text


@pytest.mark.parametrize("name", [name for name in metrics.__all__ if name[0].islower()])
def test_what_is_declared_in_a_table_looks_like_any_function(name: str) -> None:
    function = getattr(metrics, name)
    assert (function.__name__, function.__qualname__) == (name, name)
    assert getattr(import_module(function.__module__), function.__qualname__) is function
    like = "demographic_parity_difference" if name == "accuracy_difference" else "selection_rate"
    if name in ("accuracy_difference", *RATES) and name not in ("accuracy", "error_rate"):
        assert signature(function) == signature(getattr(metrics, like))
        assert list(signature(function).parameters)[:3] == ["truth", "predicted", "groups"]


def test_imports_neither_torch_nor_the_rest() -> None:
    program = (
        "import sys, fairvision.metrics;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'captum', 'matplotlib') "
        "or m.startswith('fairvision.') "
        "and m.split('.')[1] not in ('metrics', 'schema', 'core', 'errors')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
