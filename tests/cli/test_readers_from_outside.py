"""A reader of another package: registered in a program, or found by `fairvision data`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Unpack

import pytest
from click.testing import CliRunner

from fairvision import datasets
from fairvision.cli.data import command
from fairvision.core import plugins
from fairvision.datasets import readers
from fairvision.datasets.readers.columns import Names
from fairvision.datasets.readers.importing import Importing
from fairvision.errors import InputError


def squares(
    source: Path,
    folder: Path,
    *,
    count: int = 12,
    share: float = 0.5,
    title: str = "",
    plain: bool = False,
    quiet: bool = True,
) -> datasets.Dataset:
    """Make a dataset of squares.

    They are drawn anew each time.

    Parameters
    ----------
    source : a file that is not looked at
    folder : where to write
    count, share : how many there are,
        and how many of them are typical
    title : text
    plain : leave it at that

    Returns
    -------
    Dataset
    """
    assert source.name == "list.txt"
    assert plain
    assert isinstance(quiet, bool)
    return datasets.scenes(folder, count=count, bias=share, size=16)


def lists(
    folder: Path,
    *,
    groups: Names = (),
    labels: Iterable[str] = ("x", "y"),
    **importing: Unpack[Importing],
) -> datasets.Dataset:
    """Note what it is given.

    Parameters
    ----------
    folder : where to write
    groups : column of groups
    labels : one of several
    importing : see `Importing`
    """
    GIVEN.append({"groups": groups, "labels": tuple(labels), **importing})
    seed = importing.get("seed", 0)
    return datasets.scenes(folder, count=12, bias=0.5, size=16, seed=seed)


GIVEN: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget what a test registered."""
    yield
    readers._READERS.reset()


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)))
    return result.exit_code, result.output + str(result.exception or "")


def test_a_registered_reader_is_a_command(tmp_path: Path) -> None:
    before = run("--help")[1]
    assert "squares" not in before
    readers.register_reader("squares", squares)
    readers.register_reader("squares", squares)
    assert readers.READERS["squares"] == "Make a dataset of squares."
    assert [*readers.READERS][:3] == ["csv", "folder", "hf"]
    after = run("--help")[1]
    line = "  squares      Make a dataset of squares.\n"
    assert after.replace(line, "") == before
    sources, folders = after.split("Dataset folders:\n")
    assert sources.endswith(f"{line}\n")
    assert [text.split()[0] for text in folders.splitlines()] == [
        "show",
        "captions",
        "masks",
        "hide",
    ]
    text = run("squares", "--help")[1]
    for part in ("SOURCE FOLDER", "drawn anew", "--count INTEGER", "many of them are", "12]"):
        assert part in text
    assert "--plain " in text
    assert "not looked at" not in text
    assert "Returns" not in text
    code, output = run("squares", "list.txt", tmp_path / "made", "--count", "18", "--plain")
    assert code == 0, output
    assert "18 pictures" in output
    assert len(datasets.load(tmp_path / "made")) == 18
    assert run("squares", "list.txt", tmp_path / "b", "--count", "x")[0] == 2


def test_repeatable_options_and_those_that_imports_share(tmp_path: Path) -> None:
    readers.register_reader("lists", lists)
    text = run("lists", "--help")[1]
    for part in ("--group COLUMN", "--label TEXT", "[default: x, y]", "--skip-broken", "--licence"):
        assert part in text
    asked = ["--group", "age", "--group", "sex=gender", "--label", "a", "--label", "b"]
    code, output = run("lists", tmp_path / "made", *asked, "--seed", "3", "--val-fraction", "0")
    assert code == 0, output
    given = GIVEN.pop()
    assert given["groups"] == {"age": "age", "sex": "gender"}
    assert given["labels"] == ("a", "b")
    assert (given["seed"], given["val_fraction"], given["skip_broken"]) == (3, 0, False)
    assert run("lists", tmp_path / "again")[0] == 0
    assert GIVEN.pop()["labels"] == ("x", "y")


def test_a_reader_that_returns_no_dataset_is_named() -> None:
    def forgetful(folder: Path) -> None:
        """Make a dataset and keep it."""

    readers.register_reader("forgetful", forgetful)  # type: ignore[arg-type]
    code, output = run("forgetful", "there")
    assert code == 1
    assert "reader 'forgetful' returned a NoneType: it must return the Dataset" in output


def test_names_that_are_taken_and_what_is_no_function() -> None:
    for name in ("csv", "show"):
        with pytest.raises(InputError, match=f"there is a reader '{name}' already"):
            readers.register_reader(name, squares)
    with pytest.raises(InputError, match="'bad' is no function"):
        readers.register_reader("bad", "squares")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is no reader 'bad': choose one of csv, folder, hf"):
        readers.find_reader("bad")
    assert "bad" not in readers.READERS


def test_entry_points_are_found_and_broken_ones_hinder_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "drawing_squares.py").write_text(
        'def read(folder):\n    """Say hello."""\n    raise ValueError(str(folder))\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        EntryPoint("squares", "drawing_squares:read", "fairvision.readers"),
        EntryPoint("broken", "no_such_module:read", "fairvision.readers"),
        EntryPoint("csv", "drawing_squares:read", "fairvision.readers"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)
    readers._READERS.reset()
    listed = run("--help")[1]
    assert "Say hello." in listed
    assert "broken" in listed
    assert readers.find_reader("csv").__name__ == "from_table"
    assert run("squares", "there") == (1, "there")
    code, output = run("broken", "there", "--x")
    assert code == 1
    assert "reader 'broken' of another package cannot be loaded" in output
