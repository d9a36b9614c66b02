"""A method of another package: registered in a program, or found by the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import fairvision
from fairvision import methods, runs
from fairvision.core import plugins
from fairvision.datasets import Batch, scenes
from fairvision.errors import InputError
from fairvision.methods import Method, Terms
from fairvision.models import Network
from fairvision.training import stored_options

QUICK = {"size": 16, "epochs": 1, "batch_size": 16, "device": "cpu"}
PACKAGE = '''
from dataclasses import dataclass
from typing import ClassVar
from fairvision.methods import Method

@dataclass(frozen=True)
class Halved(Method):
    """How much of the loss is left."""

    summary: ClassVar[str] = "a share of the loss"
    share: float = 0.5

    def terms(self, network, batch):
        terms = super().terms(network, batch)
        terms.losses = {name: self.share * loss for name, loss in terms.losses.items()}
        return terms
'''


@dataclass(frozen=True)
class Doubled(Method):
    """How much of the loss there is."""

    summary: ClassVar[str] = "more of the loss"
    times: int = 2

    def terms(self, network: Network, batch: Batch) -> Terms:
        terms = super().terms(network, batch)
        terms.losses = {name: self.times * loss for name, loss in terms.losses.items()}
        return terms


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=40, bias=0.8, groups=2, size=16, test_fraction=0.3)
    return folder


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget what a test registered."""
    yield
    methods._METHODS.reset()


def test_a_registered_method_trains_and_is_swept(data: Path, tmp_path: Path) -> None:
    methods.register("doubled", Doubled)
    methods.register("doubled", Doubled)
    assert methods.METHODS["doubled"] == "more of the loss"
    assert "doubled: more of the loss\n    --times 2" in methods.describe()
    plain = fairvision.train(data, output=tmp_path / "plain", **QUICK)
    run = fairvision.train(data, output=tmp_path / "run", method="doubled", times="3", **QUICK)
    assert stored_options(run.folder)["times"] == 3
    first, other = (runs.history(r)["train/cross_entropy/shirt"][0] for r in (plain, run))
    assert 2.5 < other / first < 3.5
    done = fairvision.sweep(
        data, output=tmp_path / "s", methods=["baseline", "doubled"], seeds=[0], times=4,
        replicates=5, **QUICK,
    )  # fmt: skip
    assert list(done.table["method"]) == ["baseline", "doubled"]
    assert stored_options(tmp_path / "s" / "runs" / "doubled-0")["times"] == 4


def test_what_cannot_be_registered_is_refused() -> None:
    with pytest.raises(InputError, match="there is a method 'jtt' already"):
        methods.register("jtt", Doubled)
    for bad in (object, Doubled(), lambda network, batch: None):
        with pytest.raises(InputError, match="'bad' must be a frozen dataclass derived from"):
            methods.register("bad", bad)

    class Undecorated(Doubled):
        thrice: int = 3

    @dataclass(frozen=True)
    class Demanding(Method):
        share: float

    with pytest.raises(InputError, match="'bad' must be a frozen dataclass derived from"):
        methods.register("bad", Undecorated)
    with pytest.raises(InputError, match="'bad': its option 'share' must have a default"):
        methods.register("bad", Demanding)
    assert "bad" not in methods.METHODS


def install(folder: Path, entry: str) -> None:
    """Write what pip leaves of a package with an entry point."""
    (folder / "halving.py").write_text(PACKAGE)
    info = folder / "halving-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halving\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fairvision.methods]\n{entry}\n")


def fairvision_command(place: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(place), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "fairvision", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_take_a_method_of_an_entry_point(data: Path, tmp_path: Path) -> None:
    install(tmp_path, "halved = halving:Halved")
    quick = ("--size", 16, "--epochs", 1, "--batch-size", 16, "--device", "cpu")
    listed = fairvision_command(tmp_path, "train", "--method", "list")
    assert "halved: a share of the loss\n    --share 0.5\n" in listed.stdout
    file = tmp_path / "my.toml"
    file.write_text('method = "halved"\n[halved]\nshare = 0.25\n')
    trained = fairvision_command(
        tmp_path, "train", data, "--config", file, *quick, "-o", tmp_path / "run"
    )
    assert trained.returncode == 0, trained.stderr
    config = runs.load(tmp_path / "run").config
    assert (config["method"], config["options"]["share"]) == ("halved", 0.25)
    swept = fairvision_command(
        *(tmp_path, "sweep", data, "--methods", "baseline,halved", "--seeds", 0, "--share", 0.75),
        *(*quick, "--replicates", 5, "-o", tmp_path / "sweep"),
    )
    assert swept.returncode == 0, swept.stderr
    config = runs.load(tmp_path / "sweep" / "runs" / "halved-0").config
    assert config["options"]["share"] == 0.75
    helped = fairvision_command(tmp_path, "train", "--help")
    assert "halved" in helped.stdout


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("halved = halving:Quartered", "'halved' of the package halving cannot be loaded"),
        ("halved = nowhere:Halved", "'halved' of the package halving cannot be loaded"),
        ("halved = halving:dataclass", "'halved' must be a frozen dataclass"),
    ],
)
def test_an_entry_point_that_is_no_method_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, message: str
) -> None:
    install(tmp_path, entry)
    monkeypatch.syspath_prepend(tmp_path)
    methods._METHODS.reset()
    with pytest.raises(InputError, match=message):
        methods.find("halved")


def test_entry_points_of_a_backport_are_loaded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries import the backport `importlib_metadata`, whose entry points are other classes."""

    class Backported:
        name, dist = "halved", None

        def load(self) -> type[Method]:
            return Doubled

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Backported()])
    methods._METHODS.reset()
    assert methods.find("halved") is Doubled


def test_a_broken_package_does_not_hinder_other_methods(data: Path, tmp_path: Path) -> None:
    install(tmp_path, "halved = broken:Halved")
    (tmp_path / "broken.py").write_text("def (:\n")
    quick = ("--size", 16, "--epochs", 1, "--batch-size", 16, "--device", "cpu")
    equalizer = ("--method", "equalizer", "--beta", 2)
    trained = fairvision_command(
        tmp_path, "train", data, *equalizer, *quick, "-o", tmp_path / "run"
    )
    assert trained.returncode == 0, trained.stderr
    problem = "method 'halved' of the package halving cannot be loaded: SyntaxError: "
    listed = fairvision_command(tmp_path, "train", "--method", "list")
    assert f"\nhalved: {problem}" in listed.stdout
    refused = fairvision_command(
        tmp_path, "train", data, "--method", "halved", *quick, "-o", tmp_path / "none"
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert problem in refused.stderr
