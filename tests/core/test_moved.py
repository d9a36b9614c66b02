"""Modules that have moved are there by their old paths, with a warning."""

import subprocess
import sys
from importlib import import_module

import pytest

from fairvision.core.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_every_module_that_has_moved_is_somewhere(old):
    for home in MOVED[old]:
        import_module(home)


def test_names_come_from_where_they_are_now():
    program = """
import warnings
with warnings.catch_warnings(record=True, action="always") as caught:
    from fairvision import files
    from fairvision.datasets.mnist import from_mnist
    from fairvision.datasets.pictures import read_picture
from fairvision.core.files import whole_file
from fairvision.datasets import from_mnist as same, read_image
assert files.whole_file is whole_file and from_mnist is same and read_picture is read_image
print(sorted({w.category.__name__ for w in caught}), len(caught))
print({w.filename for w in caught})
print(caught[0].message)
try:
    files.nothing
except AttributeError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.splitlines() == [
        "['FutureWarning'] 3",
        "{'<string>'}",
        "fairvision.files is called fairvision.core.files now",
        "module 'fairvision.files' has no attribute 'nothing'",
    ], ran.stderr


def test_what_never_was_is_not_there():
    with pytest.raises(ModuleNotFoundError):
        import_module("fairvision.never")
