"""Killed at any moment, a run that is resumed ends with the weights of one that was not."""

import multiprocessing
import os
import signal
import time

import pandas as pd
import pytest

import fairvision
from fairvision import runs
from fairvision.core import files
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.baseline import Baseline
from fairvision.training import checkpoint, output

SETTINGS = {"size": 16, "epochs": 3, "batch_size": 4, "device": "cpu", "augment": True}
KILLED = -signal.SIGKILL


def train(data, output, **settings):
    return fairvision.train(data, output=output, **{**SETTINGS, **settings})


def ends(folder):
    names = runs.BEST, runs.LAST
    history = pd.read_csv(folder / runs.HISTORY).drop(columns="seconds")
    return [(folder / name).read_bytes() for name in names], history.to_csv()


@pytest.fixture(scope="session")
def whole(folder, tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(folder, out)
    return out


@pytest.fixture(scope="session")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairvision.training", "fairvision.methods.baseline"])
    return context


def written_at(path):
    """Return when a file was written; None where there is none, as after the end of a training."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(owner, name, number):
    """Kill this process when a function is called for the so-manieth time."""
    real, calls = getattr(owner, name), [0]

    def called(*args, **kwargs):
        calls[0] += 1
        if calls[0] == number:
            die()
        return real(*args, **kwargs)

    setattr(owner, name, called)


# 18 training images are 5 steps of an epoch, 9 of validation are 3.
MOMENTS = {
    "first step": lambda: die_at_call(Baseline, "terms", 1),
    "step 4 of epoch 1": lambda: die_at_call(Baseline, "terms", 4),
    "step 3 of epoch 2": lambda: die_at_call(Baseline, "terms", 11),
    "validation": lambda: die_at_call(Baseline, "terms", 15),
    "first checkpoint": lambda: die_at_call(checkpoint._Digesting, "write", 5),
    "a later checkpoint": lambda: die_at_call(checkpoint._Digesting, "write", 180),
    "checkpoint not yet in its place": lambda: die_at_call(checkpoint.os, "fsync", 7),
    "history": lambda: die_at_call(pd.DataFrame, "to_csv", 2),
    "weights": lambda: die_at_call(output, "tensor_bytes", 2),
}


def run_until(moment, data, out, every):
    if moment == "between the two renames":
        real = files.Path.replace

        def replace(self, target):
            result = real(self, target)
            if str(target).endswith(checkpoint.PREVIOUS):
                die()
            return result

        files.Path.replace = replace
    elif moment:
        MOMENTS[moment]()
    train(data, out, checkpoint_every=every, resume=out.exists())


@pytest.mark.parametrize("moment", [*MOMENTS, "between the two renames"])
def test_killed_at_any_moment(processes, folder, tmp_path, whole, moment):
    out = tmp_path / "run"
    child = processes.Process(target=run_until, args=(moment, folder, out, 1))
    child.start()
    child.join()
    assert child.exitcode == KILLED
    assert not (out / runs.BEST).exists()
    train(folder, out, resume=True)
    assert ends(out) == ends(whole)
    assert not list(out.glob(".*.part"))


def test_killed_again_and_again_by_the_clock(processes, folder, tmp_path, whole):
    out = tmp_path / "run"
    for wait in (0.01, 0.05, 0.15):
        child = processes.Process(target=run_until, args=(None, folder, out, 1))
        child.start()
        path = out / runs.CHECKPOINT
        before = written_at(path)
        while child.is_alive() and written_at(path) in (None, before):
            time.sleep(0.001)
        time.sleep(wait)
        child.kill()
        child.join()
    if not (out / runs.BEST).exists():
        train(folder, out, resume=True)
    assert ends(out) == ends(whole)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "equalizer"},
        {"method": "group_dro"},
        {"method": "swap", "consistency": 1.0},
        {"ema": 0.9, "accumulate": 2, "batch_size": 2, "select": "accuracy", "patience": 2},
    ],
)
def test_methods_in_the_middle_of_an_epoch(processes, folder, tmp_path, settings):
    train(folder, tmp_path / "whole", **settings)
    out = tmp_path / "run"
    child = processes.Process(target=stop_after, args=(12, folder, out, settings))
    child.start()
    child.join()
    assert child.exitcode == KILLED
    train(folder, out, resume=True, **settings)
    assert ends(out) == ends(tmp_path / "whole")


def stop_after(saves, data, out, settings):
    die_at_call(checkpoint, "save", saves)
    train(data, out, checkpoint_every=1, **settings)


def test_when_it_is_written_changes_nothing(folder, tmp_path, whole):
    train(folder, tmp_path / "often", checkpoint_every=1)
    assert ends(tmp_path / "often") == ends(whole)


def stopped(folder, out, processes):
    child = processes.Process(target=stop_after, args=(9, folder, out, {}))
    child.start()
    child.join()
    return out / runs.CHECKPOINT, out / checkpoint.PREVIOUS


@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty", "other file"])
def test_a_damaged_checkpoint_gives_way_to_the_previous(processes, folder, tmp_path, whole, damage):
    out = tmp_path / "run"
    last, _ = stopped(folder, out, processes)
    spoil(last, damage)
    with pytest.warns(FairvisionWarning, match=r"last.ckpt is damaged .* from previous.ckpt"):
        train(folder, out, resume=True)
    assert ends(out) == ends(whole)


def test_with_both_damaged_it_is_one_clear_line(processes, folder, tmp_path):
    out = tmp_path / "run"
    for path in stopped(folder, out, processes):
        spoil(path, "one bit")
    with pytest.raises(InputError, match=r"previous.ckpt is damaged .* delete both") as error:
        train(folder, out, resume=True)
    assert "\n" not in str(error.value)


def spoil(path, damage):
    content = bytearray(path.read_bytes())
    if damage == "cut off":
        content = content[:-1000]
    elif damage == "one bit":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content.clear()
    else:
        content = bytearray(b"PK\x03\x04 no checkpoint")
    path.write_bytes(bytes(content))


def test_about_once_a_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    rhythm = checkpoint.Rhythm()
    now[0] = 59
    assert not rhythm.is_due(1)
    now[0] = 61
    assert rhythm.is_due(2)
    rhythm.wrote(seconds=10)  # at most a twentieth of the time
    now[0] = 61 + 199
    assert not rhythm.is_due(3)
    now[0] = 61 + 201
    assert rhythm.is_due(4)


def test_never_is_no_rhythm():
    with pytest.raises(InputError, match="checkpoint every must be at least 1"):
        train("nowhere", "nothing", checkpoint_every=0)


def test_a_folder_that_another_process_trains_into_is_refused(folder, tmp_path):
    place = tmp_path / "run"
    with pytest.raises(InputError, match="diverged"):
        train(folder, place, lr=1e30)
    for again in ({"resume": True}, {"overwrite": True}):
        with (
            output.kept_from_others(place),
            pytest.raises(InputError, match="another process is training into"),
        ):
            train(folder, place, lr=1e30, **again)
    assert (place / runs.CONFIG).is_file()
    with output.kept_from_others(place):
        pass


def test_a_finished_run_stays_until_the_one_that_replaces_it_is_finished(folder, tmp_path):
    out = tmp_path / "run"
    train(folder, out, seed=1)
    old = ends(out)
    for _ in range(2):  # an unfinished one is replaced, what that was to replace is not
        with pytest.raises(InputError, match="not finite"):
            train(folder, out, lr=1e30, overwrite=True)
        kept = runs.load(out / "replaced")
        assert ends(kept.folder) == old
        runs.network(kept)
        with pytest.raises(InputError, match=r"unfinished .* to replace is .*replaced"):
            runs.load(out)
    train(folder, out, overwrite=True)
    assert not (out / "replaced").exists()
