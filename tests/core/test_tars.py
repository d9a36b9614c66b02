"""Files in tar archives: where they lie, and what damaged archives and odd entries lead to."""

import gzip
import io
import os
import tarfile

import pytest

from fairvision.core import tars
from fairvision.errors import InputError


def entry(name, content=b"", **changes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


@pytest.fixture
def archive(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(*entry("folder/one.txt", b"first"))
        tar.addfile(*entry("n" * 300, b"long name"))
        tar.addfile(*entry("folder/é.txt", b"accent"))
        tar.addfile(*entry("folder/one.txt", b"again"))
        tar.addfile(*entry("link.txt", type=tarfile.SYMTYPE, linkname="/etc/passwd"))
        tar.addfile(*entry("hard.txt", type=tarfile.LNKTYPE, linkname="folder/one.txt"))
        tar.addfile(*entry("device", type=tarfile.CHRTYPE))
        tar.addfile(*entry("folder", type=tarfile.DIRTYPE))
        tar.addfile(*entry("empty.txt"))
    return tmp_path / "a.tar"


def test_files_are_read_as_tarfile_reads_them(archive):
    with tarfile.open(archive) as tar:
        expected = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}
    assert {name: tars.read(archive / name) for name in tars.members(archive)} == expected
    assert tars.read(archive / "folder/one.txt") == b"again"


@pytest.mark.parametrize("name", ["link.txt", "hard.txt", "device", "folder", "../a.tar", "other"])
def test_what_is_no_file_is_not_there(archive, name):
    assert tars.read(archive / name) is None
    assert tars.stamp(archive / name) is None


def test_a_changed_archive_is_read_anew(archive):
    before = tars.stamp(archive / "folder/one.txt")
    with tarfile.open(archive, "a") as tar:
        tar.addfile(*entry("folder/one.txt", b"changed"))
    assert tars.read(archive / "folder/one.txt") == b"changed"
    assert tars.stamp(archive / "folder/one.txt") != before


@pytest.mark.parametrize("keep", [700, 100])
def test_a_damaged_archive_is_named(archive, keep):
    content = archive.read_bytes()
    archive.write_bytes(content[: 512 + 2 if keep == 700 else keep])
    with pytest.raises(InputError, match=r"a\.tar"):
        tars.members(archive)


def test_a_compressed_archive_has_no_places(archive):
    archive.write_bytes(gzip.compress(archive.read_bytes()))
    with pytest.raises(InputError, match=r"a\.tar is not a valid tar archive"):
        tars.read(archive / "folder/one.txt")


def test_folders_may_be_called_like_archives(tmp_path):
    (tmp_path / "a.tar").mkdir()
    (tmp_path / "a.tar" / "one.txt").write_bytes(b"1")
    assert tars.read(tmp_path / "a.tar" / "one.txt") is None  # is read as any file is
    assert tars.archive_of(tmp_path / "a.tar" / "one.txt") is None
    os.rename(tmp_path / "a.tar", tmp_path / "b")
    assert tars.read(tmp_path / "a.tar" / "one.txt") is None
