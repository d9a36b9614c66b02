from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from fairvision.captioning.measures import measure
from fairvision.cli.captions import command

PAGE = Path(__file__).parents[2] / "docs" / "captions.md"


def test_examples_of_the_page():
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)
    assert found.attempted > 3
    assert found.failed == 0


@pytest.mark.filterwarnings("ignore:attackers learn from")
def test_every_option_and_metric_is_on_the_page(make_labels, make_said):
    text = PAGE.read_text()
    for parameter in command.params:
        if parameter.name not in ("files", "labels", "output"):
            assert any(f"`{name}" in text or f"{name}`" in text for name in parameter.opts)
    truth = make_labels(["woman", "man"] * 20, [("tv",)] * 40)
    words = {"woman": frozenset(["woman"]), "man": frozenset(["man"])}
    said = make_said("A", ["a woman", "a man"] * 20, ["tv"])
    human = [("somebody",)] * 40
    table = measure([said], truth, words, human=human, rounds=1, replicates=5)
    for metric in set(table["metric"]):
        assert f"`{metric}`" in text
