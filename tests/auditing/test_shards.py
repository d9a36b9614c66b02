"""Processes that share a folder audit as one does, whoever of them dies, to the last byte."""

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import pyarrow.parquet as pq
import pytest

from fairvision import audit, datasets
from fairvision.auditing import shards as shards_module
from fairvision.auditing.shards import Shards, SharedWork
from fairvision.core.claims import Claims
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
# 18 test images in batches of 4, of which a shard has one: 5 shards of each step.
QUICK = {"replicates": 2, "batch_size": 4, "sanity": False, "swaps": 0, "leaning": False}
FULL = {"replicates": 2, "batch_size": 4, "sanity_pictures": 4, "swaps": 2, "leaning": True}
LAPSE = 1.0


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def made_shards(folder):
    return sorted((folder / "shards").rglob("*.parquet"))


@pytest.fixture(scope="module")
def plain(two_runs, tmp_path_factory):
    """The folders that one process writes without shards: a quick audit, and one of everything."""
    folder = tmp_path_factory.mktemp("plain")
    for name, settings in (("quick", QUICK), ("full", FULL)):
        audit(two_runs, output=folder / name, **settings)
    return folder


@pytest.fixture
def shards(tmp_path):
    return Shards(tmp_path / "shared", images=4, lapse=LAPSE)


def take_part(runs, output, shards, settings, die_at):
    """Audit in a process; be killed at the given shard: while measuring, or before renaming it."""
    import torch

    torch.set_num_threads(1)
    made, write = [], SharedWork._write

    def dying_write(self, table, path):
        made.append(path)
        if len(made) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, table, path)

    SharedWork._write = dying_write
    if die_at == 0:

        def conclude(*args, **kwargs):
            os.kill(os.getpid(), signal.SIGKILL)

        SharedWork.outcome = conclude
    audit(runs, output=output, shards=shards, **settings)


@pytest.fixture(scope="module")
def start(two_runs):
    """Return a function that starts processes, which die at a shard, at the end (0) or never."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairvision.auditing.material", "fairvision.auditing.collect"])

    def start(output, shards, deaths, settings=QUICK):
        children = [
            context.Process(target=take_part, args=(two_runs, output, shards, settings, die_at))
            for die_at in deaths
        ]
        for child in children:
            child.start()
        return children

    return start


def ended(children):
    for child in children:
        child.join(120)
        if child.is_alive():
            child.kill()
    return [child.exitcode for child in children]


def test_one_process_makes_the_same_bytes(two_runs, plain, tmp_path, shards):
    audit(two_runs, output=tmp_path / "audit", shards=shards, **FULL)
    assert contents(tmp_path / "audit") == contents(plain / "full")
    assert len(made_shards(shards.folder)) > 5 * 2 * 3
    assert not list(shards.folder.rglob("*claim*"))


def test_several_of_which_some_are_killed(plain, tmp_path, shards, start):
    """One dies in a shard, one when it makes the audit, if it does, one lives."""
    children = start(tmp_path / "audit", shards, [random.Random(0).randint(1, 6), 0, None])
    codes = ended(children)
    assert codes[0] == -signal.SIGKILL
    assert codes[1] in (0, -signal.SIGKILL)
    assert codes[2] == 0
    assert contents(tmp_path / "audit") == contents(plain / "quick")


def test_killed_at_any_moment(plain, tmp_path, shards, start):
    """Each is killed after a while; the work goes on with every start."""
    chance, output = random.Random(3), tmp_path / "audit"
    for _ in range(2):
        children = start(output, shards, [None])
        time.sleep(chance.uniform(1, 3))
        children[0].kill()
        ended(children)
    assert ended(start(output, shards, [None])) == [0]
    assert contents(output) == contents(plain / "quick")


def test_who_comes_late_gets_the_audit(two_runs, plain, tmp_path, shards):
    settings = {**QUICK, "shards": shards}
    first = audit(two_runs, output=tmp_path / "audit", **settings)
    times = {path: path.stat().st_mtime_ns for path in made_shards(shards.folder)}
    again = audit(two_runs, output=tmp_path / "audit", **settings)
    assert again.verdict.headline == first.verdict.headline
    audit(two_runs, output=tmp_path / "other", **settings)
    shutil.rmtree(tmp_path / "audit")
    audit(two_runs, output=tmp_path / "audit", **settings)
    assert {path: path.stat().st_mtime_ns for path in made_shards(shards.folder)} == times
    for name in ("audit", "other"):
        assert contents(tmp_path / name) == contents(plain / "quick")


def test_two_writers_of_one_shard_do_no_harm(plain, tmp_path, shards, start, two_runs, monkeypatch):
    """Where all claims are granted, all write the same bytes."""

    def granted(self, piece):
        claim = piece.with_name(f"{piece.name}.claim-{random.random()}")
        claim.touch()
        return claim

    monkeypatch.setattr(Claims, "_take", granted)
    children = start(tmp_path / "audit", shards, [None])
    audit(two_runs, output=tmp_path / "audit", shards=shards, **QUICK)
    assert ended(children) == [0]
    assert contents(tmp_path / "audit") == contents(plain / "quick")


def test_processes_of_torchrun_need_none_of_each_other(
    two_runs, plain, tmp_path, shards, monkeypatch
):
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    audit(two_runs, output=tmp_path / "audit", shards=shards, **QUICK)
    assert contents(tmp_path / "audit") == contents(plain / "quick")


@pytest.fixture
def begun(two_runs, tmp_path, shards, monkeypatch):
    """A folder in which a disk was full at the third shard."""
    write, number = pq.write_table, iter(range(100))

    def full(*args, **kwargs):
        if next(number) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*args, **kwargs)

    monkeypatch.setattr(shards_module.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        audit(two_runs, output=tmp_path / "audit", shards=shards, **QUICK)
    monkeypatch.undo()
    return shards


def test_a_full_disk_costs_a_shard(two_runs, plain, tmp_path, begun):
    assert len(made_shards(begun.folder)) == 2
    assert not list(begun.folder.rglob("*claim*"))
    assert not list(begun.folder.rglob("*.fairvision-part"))
    assert not (tmp_path / "audit").exists()
    audit(two_runs, output=tmp_path / "audit", shards=begun, **QUICK)
    assert contents(tmp_path / "audit") == contents(plain / "quick")


def test_a_lost_share_is_told(two_runs, tmp_path, shards, monkeypatch):
    measure = SharedWork._write

    def lose(self, table, path):
        measure(self, table, path)
        shutil.rmtree(shards.folder)

    monkeypatch.setattr(SharedWork, "_write", lose)
    with pytest.raises(FileNotFoundError, match="shared"):
        audit(two_runs, output=tmp_path / "audit", shards=shards, **QUICK)
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"options\.seed is 0 there and 1 here"),
        ({"attribution": "gradcam"}, r"options\.attribution is 'auto' there and 'gradcam' here"),
        ({"names": ["X", "B"]}, r"models\.X is absent there"),
        ({"shards": 8}, "images is 4 there and 8 here"),
        ({"batch_size": 2}, r"options\.batch_size is 4 there and 2 here"),
    ],
)
def test_another_audit_is_refused(two_runs, tmp_path, begun, change, message):
    settings = {**QUICK, "shards": begun, **change}
    if "shards" in change:
        settings["shards"] = Shards(begun.folder, images=8)
    with pytest.raises(InputError, match=f"plan.json is the plan of another audit: {message}"):
        audit(two_runs, output=tmp_path / "audit", **settings)


def test_other_data_models_and_versions_are_refused(two_runs, world, tmp_path, begun, draw_run):
    def again(runs, **settings):
        audit(runs, output=tmp_path / "audit", shards=begun, **QUICK, **settings)

    other = tmp_path / "data"
    shutil.copytree(world, other)
    os.utime(other / datasets.load(other).samples["image"][0])
    with pytest.raises(InputError, match="another audit: data is"):
        again(two_runs, data=other)
    runs = [two_runs[0], draw_run(tmp_path / "B", world, seed=7)]
    with pytest.raises(InputError, match=r"models\.B\.(seed|weights) is"):
        again(runs)
    plan = begun.folder / "plan.json"
    described = json.loads(plan.read_text())
    described["options"]["versions"]["torch"] = "1.0"
    plan.write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"options\.versions\.torch is '1\.0' there"):
        again(two_runs)
    plan.write_text("[]")
    with pytest.raises(InputError, match="is no plan of shards"):
        again(two_runs)


def test_models_in_another_order_are_another_audit(two_runs, tmp_path, begun):
    """The others are compared with the first."""
    with pytest.raises(InputError, match=r"another audit: order is \['A', 'B'\] there"):
        audit(two_runs[::-1], output=tmp_path / "audit", shards=begun, **QUICK)


@pytest.mark.parametrize("damage", ["cut", "bits", "foreign", "moved", "name"])
def test_a_damaged_shard_is_named(two_runs, tmp_path, shards, damage):
    settings = {**QUICK, "shards": shards}
    audit(two_runs, output=tmp_path / "audit", **settings)
    victim = made_shards(shards.folder)[0]
    content = bytearray(victim.read_bytes())
    if damage == "cut":
        victim.write_bytes(content[:-20])
    elif damage == "bits":
        content[40] ^= 255
        victim.write_bytes(content)
    elif damage == "name":
        first = pq.read_schema(victim).names[0].encode()
        victim.write_bytes(content.replace(first, b"?" + first[1:]))
    elif damage == "moved":
        shutil.copy(victim.with_name("000001.parquet"), victim)
    else:
        pq.write_table(pq.read_table(victim).replace_schema_metadata({}), victim)
    shutil.rmtree(tmp_path / "audit")
    with pytest.raises(InputError, match=r"000000\.parquet .*: remove it, and start once more"):
        audit(two_runs, output=tmp_path / "audit", **settings)
    victim.unlink()
    audit(two_runs, output=tmp_path / "audit", **settings)


def test_what_cannot_be_divided(two_runs, tmp_path, shards, answers):
    answers().to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(InputError, match="--shards is for runs"):
        audit(predictions=tmp_path / "mine.parquet", output=tmp_path / "audit", shards=shards)
    with pytest.raises(InputError, match="must be > 0"):
        Shards(tmp_path, images=0)
    inside = Shards(tmp_path / "audit" / "shared")
    with pytest.raises(InputError, match=r"lies in .*audit, which is written whole"):
        audit(two_runs, output=tmp_path / "audit", shards=inside, **QUICK)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "note.txt").touch()
    with pytest.raises(InputError, match="is not empty"):
        audit(two_runs, output=tmp_path / "audit", shards=shards)


def test_counterfactuals_and_tasks_are_divided_too(tmp_path, draw_run):
    data = tmp_path / "data"
    datasets.scenes(data, count=60, bias=0.8, size=32, seed=2, counterfactuals=True)
    runs = [draw_run(tmp_path / "A", data)]
    audit(runs, output=tmp_path / "plain", **QUICK)
    shards = Shards(tmp_path / "shared", images=4)
    audit(runs, output=tmp_path / "audit", shards=shards, **QUICK)
    assert contents(tmp_path / "audit") == contents(tmp_path / "plain")
    assert (shards.folder / "shards/A/counterfactuals/000000.parquet").is_file()
