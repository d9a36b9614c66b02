"""A campaign of random cases: few of them in `make test`, 10,000 in `make fuzz`.

A test takes a `seed` and says with `@pytest.mark.fuzz(share)` which share of the campaign is its
own; everything random in it is drawn from that seed. `FAIRVISION_FUZZ` is the number of cases of
the whole campaign, `FAIRVISION_FUZZ_SEED` says which. What fails says how to repeat that one case.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator

import pytest

CASES = int(os.environ.get("FAIRVISION_FUZZ", "300"))
SEED = int(os.environ.get("FAIRVISION_FUZZ_SEED", "0"))
APART = 1_000_000  # seeds of one campaign, which another does not share


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fuzz(share, most=None): run with a `seed` for each case of a share of the campaign, and "
        "for so many cases at most",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("fuzz")
    if marker is not None:
        metafunc.parametrize("seed", seeds(*marker.args, **marker.kwargs))


def seeds(share: float, most: int | None = None) -> range:
    """The seeds of a share of the campaign; one at least."""
    cases = max(1, round(share * CASES))
    return range(SEED * APART, SEED * APART + (cases if most is None else min(cases, most)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("fuzz") is not None:
        command = f"FAIRVISION_FUZZ={CASES} FAIRVISION_FUZZ_SEED={SEED} python -m pytest"
        report.sections.append(("repeat this case", f"{command} {shlex.quote(item.nodeid)}"))
    return report
