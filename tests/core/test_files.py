"""Outputs appear whole or not at all."""

import os
import subprocess
import sys
import textwrap

import pytest

from fairvision.core import files
from fairvision.core.files import digest, inside, read_json, whole_file, whole_folder, write_json
from fairvision.errors import InputError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"

    def fail():
        with whole_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder"

    def stop():
        with whole_folder(path, marker="m.json") as part:
            (part / "m.json").write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []
    with whole_folder(path, marker="m.json") as part:
        (part / "m.json").write_text("{}")
    assert [p.name for p in path.iterdir()] == ["m.json"]


def test_overwrite_touches_only_what_it_knows(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite, words in ((False, "add --overwrite"), (True, "was not written by this command")):
        with (
            pytest.raises(InputError, match=words),
            whole_folder(tmp_path, marker="m.json", overwrite=overwrite),
        ):
            pass
    assert (tmp_path / "thesis.txt").exists()


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "out", marker="m"):
        pass


def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", "", "../here", tmp_path / "here"):
        with (
            pytest.raises(InputError, match="the folder you are in"),
            whole_folder(path, marker="m"),
        ):
            pass


def test_a_link_to_a_folder_is_written_through(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with whole_folder(tmp_path / "link", marker="m") as part:
        (part / "m").write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target" / "m").read_text() == "1"


def test_json_nested_too_deeply(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 99999)
    with pytest.raises(InputError, match="nested too deeply"):
        read_json(tmp_path / "deep.json")


def test_inside(tmp_path):
    assert inside(tmp_path, "a/b.png") == tmp_path.resolve() / "a" / "b.png"
    with pytest.raises(InputError, match="leaves its folder"):
        inside(tmp_path, "a/../../b.png")


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {"name": "ü"})
    assert read_json(tmp_path / "a.json") == {"name": "ü"}


def test_what_others_write_meanwhile_stays(tmp_path):
    path = tmp_path / "out"

    def import_slowly():
        with whole_folder(path, marker="m.json") as part:
            (part / "m.json").write_text("ours")
            path.mkdir()
            (path / "thesis.txt").write_text("my only copy")

    with pytest.raises(InputError, match="is not empty"):
        import_slowly()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (path / "thesis.txt").read_text() == "my only copy"


def test_what_others_put_in_place_of_a_folder_to_replace_stays(tmp_path):
    path = tmp_path / "out"
    with whole_folder(path, marker="m.json") as part:
        (part / "m.json").write_text("old")

    def replace_slowly():
        with whole_folder(path, marker="m.json", overwrite=True) as part:
            (part / "m.json").write_text("new")
            (path / "m.json").rename(path / "thesis.txt")

    with pytest.raises(InputError, match="was not written by this command"):
        replace_slowly()
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "thesis.txt"]


@pytest.mark.parametrize("at_once", [True, False])
def test_replacing(tmp_path, monkeypatch, at_once):
    if not at_once:
        monkeypatch.setattr(files, "_exchanged_at_once", lambda a, b: False)
    path = tmp_path / "out"
    for content in ("old", "new"):
        with whole_folder(path, marker="m.json", overwrite=True) as part:
            (part / "m.json").write_text(content)
    assert (path / "m.json").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def _killed(program: str) -> None:
    """Run a program that prints a line when it is to be killed, and kill it."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    for kind in ("folder", "file"):
        path = tmp_path / f"out-{kind}"
        marker = ", marker='m'" if kind == "folder" else ""
        program = f"""
            import time
            from fairvision.core.files import whole_{kind}
            with whole_{kind}({str(path)!r}{marker}) as part:
                print(part, flush=True)
                time.sleep(60)
        """
        _killed(program)
        assert len(list(tmp_path.iterdir())) == 1
        with whole_folder(path, marker="m") if kind == "folder" else whole_file(path) as part:
            assert [p.name for p in tmp_path.iterdir()] == [part.name]
        files.remove(path)


def test_what_another_process_is_writing_is_left_alone(tmp_path):
    program = f"""
        import sys
        from fairvision.core.files import whole_folder
        with whole_folder({str(tmp_path / "out")!r}, marker="m") as part:
            print("ready", flush=True)
            sys.stdin.readline()
            (part / "m").write_text("slow")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with whole_folder(tmp_path / "out", marker="m"):
            pass
        process.communicate("go on\n")
    assert process.returncode == 0
    assert (tmp_path / "out" / "m").read_text() == "slow"


def test_killed_while_the_old_is_removed(tmp_path):
    path = tmp_path / "out"
    with whole_folder(path, marker="m") as part:
        (part / "m").write_text("old")
    _killed(f"""
        import time
        from fairvision.core import files
        from fairvision.core.files import whole_folder
        files.remove = lambda path: (print("removing", flush=True), time.sleep(60))
        with whole_folder({str(path)!r}, marker="m", overwrite=True) as part:
            (part / "m").write_text("new")
    """)
    assert (path / "m").read_text() == "new"
    files.clear(path)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_killed_between_two_renames(tmp_path):
    path = tmp_path / "out"
    with whole_folder(path, marker="m") as part:
        (part / "m").write_text("old")
    _killed(f"""
        import pathlib, time
        from fairvision.core import files
        from fairvision.core.files import whole_folder
        files._exchanged_at_once = lambda a, b: False
        rename, renamed = pathlib.Path.rename, []
        def slow(self, to):
            if renamed:
                print("one is renamed", flush=True)
                time.sleep(60)
            renamed.append(rename(self, to))
        pathlib.Path.rename = slow
        with whole_folder({str(path)!r}, marker="m", overwrite=True) as part:
            (part / "m").write_text("new")
    """)
    assert not path.exists()
    files.clear(path)
    assert (path / "m").read_text() == "old"


def test_rubble_of_other_programs_is_not_ours(tmp_path):
    (tmp_path / ".out.zip.part").write_text("a download")
    (tmp_path / ".out.0123.fairvision-part").write_text("no name that we give")
    with whole_file(tmp_path / "out"):
        pass
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_and_folders_are_not_replaced_by_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, words in (("pipe", "no regular file"), ("folder", "is a folder")):
        with pytest.raises(InputError, match=words), whole_file(tmp_path / name):
            pass
    with pytest.raises(InputError, match="not a regular file"):
        read_json(tmp_path / "pipe")


def test_a_file_is_written_through_a_link(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("target.txt")
    with whole_file(tmp_path / "link.txt") as part:
        part.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for call in (
        lambda: inside(tmp_path, "a/1.png"),
        lambda: read_json(tmp_path / "a"),
        lambda: whole_folder(tmp_path / "a", marker="m").__enter__(),
        lambda: whole_file(tmp_path / "a").__enter__(),
        lambda: digest(tmp_path / "a"),
    ):
        with pytest.raises(InputError):
            call()


def test_names_as_long_as_the_system_allows(tmp_path):
    for name in ("ü" * 127, "x" * 255):
        with whole_file(tmp_path / name) as part:
            part.write_text("1")
        with whole_folder(tmp_path / name[1:], marker="m") as part:
            (part / "m").write_text("1")
    assert len(list(tmp_path.iterdir())) == 4


def test_an_error_of_the_disk_names_the_output(tmp_path):
    with (
        pytest.raises(OSError, match=r"out") as caught,
        whole_folder(tmp_path / "out", marker="m") as part,
    ):
        (part / "deep" / "m").write_text("1")
    assert caught.value.filename == str(tmp_path / "out")
