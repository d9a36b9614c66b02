"""Two processes audit as one does: each asks about its share of the images, the first writes."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from datetime import timedelta

import pandas as pd
import pytest

from fairvision import audit, auditing
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
# 18 test images: batches of 4, 4, 4 for the first process and of 4 and 2 for the second.
QUICK = {"replicates": 5, "batch_size": 4}
FULL = {**QUICK, "sanity": True, "sanity_pictures": 4}
KILLED = -signal.SIGKILL


def fail(owner, name):
    """Let a function meet bad input."""

    def failing(*args, **kwargs):
        raise InputError("picture 7 is damaged")

    setattr(owner, name, failing)


def die(owner, name):
    """Let a function be the end of this process."""
    setattr(owner, name, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))


def late(seconds=4):
    """Let this process measure for long, while the others' default patience is a second."""
    real = auditing.folder.measure_together

    def measure(*args, **kwargs):
        time.sleep(seconds)
        return real(*args, **kwargs)

    auditing.folder.measure_together = measure


def prepare(what, rank):
    from torch import distributed

    from fairvision.auditing import collect, leaning, sanity

    if what == "long":
        distributed.init_process_group("gloo", timeout=timedelta(seconds=1))
    own = {
        ("long", 0): late,
        ("second fails", 1): lambda: fail(collect, "_measure_evidence"),
        ("second fails while leaning", 1): lambda: fail(leaning, "_areas"),
        ("second fails in sanity checks", 1): lambda: fail(sanity, "checks"),
        ("first fails while measuring", 0): lambda: fail(auditing.folder, "measure_together"),
        ("second is killed", 1): lambda: die(collect, "_measure_evidence"),
        ("first is killed while measuring", 0): lambda: die(auditing.folder, "measure_together"),
    }
    own.get((what, rank), lambda: None)()


def take_part(rank, many, port, what, sources, output, told, settings):
    import torch

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(many)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    prepare(what, rank)
    try:
        done = audit(**sources, output=output, **settings)
    except InputError as error:
        (told / f"{rank}").write_text(str(error))
        sys.exit(2)
    done.metrics.to_csv(told / f"{rank}.csv", index=False)


@pytest.fixture(scope="module")
def together(two_runs, tmp_path_factory):
    """Return a function that audits by several processes: codes, the folder, what they said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairvision.auditing.material", "fairvision.auditing.collect"])

    def run(what="", many=2, sources=None, **settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = tmp_path_factory.mktemp("told")
        output = told / "out" / "audit"
        rest = (what, sources or {"runs": two_runs}, output, told, settings or QUICK)
        children = [
            context.Process(target=take_part, args=(rank, many, port, *rest))
            for rank in range(many)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
            if child.is_alive():
                child.kill()
        messages = {p.name: p.read_text() for p in sorted(told.glob("?"))}
        return [child.exitcode for child in children], output, messages

    return run


@pytest.fixture(scope="module")
def of_one(together):
    """The folder that one process writes."""
    codes, output, _ = together(many=1, **FULL)
    assert codes == [0]
    return output


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_folder_is_that_of_one_process_to_the_last_bit(together, of_one):
    codes, output, _ = together(**FULL)
    assert codes == [0, 0]
    assert contents(output) == contents(of_one)
    first, second = (pd.read_csv(output.parents[1] / f"{rank}.csv") for rank in range(2))
    pd.testing.assert_frame_equal(second, first)


def test_a_process_without_images_does_no_harm(together, of_one):
    codes, output, _ = together(many=7)
    assert codes == [0] * 7
    tables = {name: own for name, own in contents(of_one).items() if name.endswith(".parquet")}
    assert {name: own for name, own in contents(output).items() if name in tables} == tables


def test_others_wait_for_as_long_as_the_first_measures(together):
    codes, output, _ = together("long")
    assert codes == [0, 0]
    assert output.exists()


@pytest.mark.parametrize(
    "what",
    [
        "second fails",
        "second fails while leaning",
        "second fails in sanity checks",
        "first fails while measuring",
    ],
)
def test_an_error_of_one_ends_all(together, what):
    codes, output, messages = together(what, **(FULL if "sanity" in what else QUICK))
    assert codes == [2, 2]
    assert sorted(messages.values()) == [
        "another of the processes has ended, so this one does too",
        "picture 7 is damaged",
    ]
    assert not any(output.parent.iterdir()) if output.parent.exists() else True


@pytest.mark.parametrize(
    ("what", "expected"),
    [("second is killed", [2, KILLED]), ("first is killed while measuring", [KILLED, 2])],
)
def test_the_death_of_one_ends_all(together, what, expected):
    codes, output, messages = together(what)
    assert codes == expected
    assert [*messages.values()] == ["another of the processes has ended, so this one does too"]
    assert not output.exists()


def test_tables_are_read_by_the_first(together, of_one):
    tables = {"predictions": [of_one / name / "samples.parquet" for name in "AB"]}
    codes, output, _ = together(sources=tables, **QUICK)
    assert codes == [0, 0]
    one, two = (pd.read_csv(output.parents[1] / f"{rank}.csv") for rank in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_what_all_meet_all_raise(together, tmp_path):
    codes, output, messages = together(sources={"runs": [tmp_path]}, **QUICK)
    assert codes == [2, 2]
    assert (
        messages["0"] == messages["1"] == f"{tmp_path} is not a run folder: it holds no config.json"
    )
    assert not output.exists()


def test_by_torchrun_it_is_printed_once(torchrun, two_runs, tmp_path):
    command = ["-m", "fairvision", "audit", *two_runs, "--replicates", 5, "--no-leaning", "-o"]
    out, told = torchrun(*command, tmp_path / "audit").communicate(timeout=300)
    assert out.count("report: ") == 1, told
    out, told = torchrun(*command, tmp_path / "audit").communicate(timeout=300)
    assert not out
    assert told.count("fairvision: ") == 1
    assert "is not empty: choose another folder or add --overwrite" in told
