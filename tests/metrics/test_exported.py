"""The public face holds exactly what the private modules define for it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

from fairvision import metrics

INTERNAL = {"_bootstrap", "_inputs", "_rows"}
SHARED_BY_MODULES = {"Made", "made", "summarise", "pair_keys", "of_units", "dependence"}


def test_all_is_sorted_and_complete() -> None:
    defined = set()
    for module in iter_modules(metrics.__path__):
        assert module.name.startswith("_"), "modules are private; the package names what is public"
        if module.name not in INTERNAL:
            found = import_module(f"fairvision.metrics.{module.name}")
            defined |= {
                name
                for name, thing in vars(found).items()
                if not name.startswith("_") and getattr(thing, "__module__", "") == found.__name__
            }
    assert metrics.__all__ == sorted(metrics.__all__)
    assert set(metrics.__all__) == defined - SHARED_BY_MODULES


def test_imports_neither_torch_nor_the_rest() -> None:
    program = (
        "import sys, fairvision.metrics;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'captum', 'matplotlib') "
        "or m.startswith('fairvision.') and m.split('.')[1] not in ('metrics', 'errors')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
