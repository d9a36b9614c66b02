"""Claims are exclusive while their owner lives, whatever clocks say, and followed afterwards."""

import errno
import os
import threading
import time

import pytest

from fairvision.core.claims import Claims


@pytest.fixture
def piece(tmp_path):
    return tmp_path / "000000.parquet"


def abandon(piece, lapse=0.3):
    """Claim a piece as a process does that is killed then: nothing changes any more."""
    claim = Claims(lapse)._take(piece)
    assert claim is not None
    return claim


def until(claims, piece, seconds=10.0):
    """Try until the piece is free; return after how many seconds."""
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        with claims.claimed(piece) as mine:
            if mine:
                return time.monotonic() - start
        time.sleep(0.01)
    raise AssertionError("nobody gave it back")


def test_one_of_many_gets_it_and_gives_it_back(piece):
    barrier, granted, release = threading.Barrier(8), [], threading.Event()

    def try_it():
        barrier.wait()
        with Claims().claimed(piece) as mine:
            granted.append(mine)
            release.wait(10)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(granted) < 8:
        time.sleep(0.01)
    release.set()
    for thread in threads:
        thread.join()
    assert sorted(granted) == [False] * 7 + [True]
    assert list(piece.parent.iterdir()) == []


def test_the_claim_of_a_dead_process_is_followed_after_the_stated_time(piece):
    abandon(piece)
    assert 0.25 < until(Claims(0.3), piece) < 5


def test_the_claim_of_a_living_process_never_is(piece):
    alive, other = Claims(0.3), Claims(0.3)
    with alive.claimed(piece) as mine:
        assert mine
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            with other.claimed(piece) as theirs:
                assert not theirs
            time.sleep(0.02)


@pytest.mark.parametrize("years", [-50, 50])
def test_wrong_clocks_do_not_matter(piece, years):
    """Times of change that are nonsense neither free a claim nor keep it."""
    wrong = time.time() + years * 365 * 86400
    claim = abandon(piece, lapse=0.6)
    os.utime(claim, (wrong, wrong))
    claims = Claims(0.6)
    with claims.claimed(piece) as mine:
        assert not mine
    assert 0.4 < until(claims, piece) < 5


def test_of_several_who_wait_one_follows(piece):
    abandon(piece)
    waiting = [Claims(0.2) for _ in range(6)]
    for claims in waiting:
        with claims.claimed(piece) as mine:
            assert not mine
    time.sleep(0.3)
    barrier, granted, release = threading.Barrier(6), [], threading.Event()

    def follow(claims):
        barrier.wait()
        with claims.claimed(piece) as mine:
            granted.append(mine)
            release.wait(10)

    threads = [threading.Thread(target=follow, args=(claims,)) for claims in waiting]
    for thread in threads:
        thread.start()
    while len(granted) < 6:
        time.sleep(0.01)
    release.set()
    for thread in threads:
        thread.join()
    assert sum(granted) == 1


def test_one_that_comes_back_to_life_is_alive(piece):
    claim = abandon(piece)
    claims = Claims(0.2)
    with claims.claimed(piece) as mine:
        assert not mine
    time.sleep(0.3)
    with claim.open("a") as file:
        file.write(".")
    with claims.claimed(piece) as mine:
        assert not mine


def test_a_full_disk_does_not_end_a_life(piece, monkeypatch):
    """Where a claim cannot grow, its time of change says that its owner lives."""

    def full(descriptor, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    alive, other = Claims(0.3), Claims(0.3)
    with alive.claimed(piece) as mine:
        assert mine
        end = time.monotonic() + 0.9
        while time.monotonic() < end:
            with other.claimed(piece) as theirs:
                assert not theirs
            time.sleep(0.02)


def test_a_lost_share_ends_quietly(piece):
    with Claims(0.3).claimed(piece) as mine:
        assert mine
        for claim in piece.parent.iterdir():
            claim.unlink()
        time.sleep(0.2)
    with pytest.raises(FileNotFoundError), Claims().claimed(piece.parent / "gone" / "piece"):
        pass
