"""Whatever stops a command is one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import click
import pytest

from fairvision.cli import printing, stopping
from fairvision.errors import InputError


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("a.csv row 1: is empty"), 2, "a.csv row 1: is empty"),
        (KeyboardInterrupt(), 130, "stopped"),
        (caused(click.Abort(), KeyboardInterrupt()), 130, "stopped"),
        (
            caused(click.Abort(), EOFError("no data")),
            2,
            "unexpected EOFError in a library: no data",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "out"),
            2,
            "out: No space left on device",
        ),
        (MemoryError(), 2, "not enough memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't"),
            2,
            "mem",
        ),
        (RuntimeError("can't start new thread"), 2, "not enough memory"),
        (ImportError("a.so: failed to map segment from shared object"), 2, "not enough memory"),
        (RuntimeError("x" * 10_000), 2, "FAIRVISION_TRACEBACK=1 shows how it came about"),
        (click.UsageError("No such option: \x1b[2J"), 2, r"\x1b[2J (fairvision --help explains)"),
        (click.ClickException("bad"), 2, "bad"),
    ],
)
def test_one_line_and_a_code(capsys, monkeypatch, error, code, words):
    monkeypatch.delenv(printing.TRACEBACK, raising=False)
    with pytest.raises(SystemExit) as caught:
        printing.end(error)
    assert caught.value.code == code
    line = capsys.readouterr().err
    assert line.startswith("fairvision: ")
    assert line.count("\n") == 1
    assert len(line.encode()) <= 500
    assert words in line


def test_what_nobody_foresaw_can_be_seen(monkeypatch):
    monkeypatch.setenv(printing.TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        printing.end(ZeroDivisionError())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_terminated_command_leaves_nothing(tmp_path, number, request):
    # What ignores a signal, as nohup does, hands that down; what handles it does not.
    before = signal.signal(number, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(number, before))
    command = ["data", "scenes", "out", "--count", "100000", "--bias", ".5", "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "fairvision", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not any(tmp_path.rglob("*.png")):
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err.strip()) == (130, "fairvision: stopped")
    assert not list(tmp_path.iterdir())


_SWALLOWED = """
import signal, sys, time, weakref
from fairvision.cli import printing

number = signal.Signals(int(sys.argv[1]))
ignored = number != signal.SIGINT  # and not as whoever runs the tests has it
signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
printing.prepare()


class Seen:
    pass


class Last:
    def __del__(self):
        signal.raise_signal(number)


thing = Last() if sys.argv[2] == "del" else Seen()
reference = sys.argv[2] == "del" or weakref.ref(thing, lambda _: signal.raise_signal(number))
try:
    del thing
    print("went on", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("where", ["callback", "del"])
def test_a_signal_that_python_swallows_stops_all_the_same(number, where):
    given = [sys.executable, "-c", _SWALLOWED, str(int(number)), where]
    ended = subprocess.run(given, capture_output=True, text=True, timeout=40, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["went", "on", "stopped"]


def test_other_swallowed_errors_are_told_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    stopping.heed_signals()

    class Broken:
        def __del__(self):
            raise ValueError("a fault")

    broken = Broken()
    del broken
    assert [of.exc_type for of in told] == [ValueError]
