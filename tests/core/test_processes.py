"""Who does what of several processes; what they exchange is tested where they do."""

import numpy as np
import pandas as pd
import pytest
import torch

from fairvision.core import processes
from fairvision.errors import InputError


@pytest.fixture
def as_one_of(monkeypatch):
    """Let this process be one of several."""

    def be(rank, many):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(many))

    return be


@pytest.mark.parametrize("many", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 30])
def test_shares_are_whole_batches_and_no_row_is_taken_twice(as_one_of, n, many):
    rows = np.arange(n)
    pieces = []
    for rank in range(many):
        as_one_of(rank, many)
        own = rows[processes.rows_of_process(n, batch_size=4)]
        assert not len(own) or own[0] % 4 == 0
        pieces.append(own)
    assert np.concatenate(pieces).tolist() == rows.tolist()


def test_alone_nothing_is_exchanged():
    table = pd.DataFrame({"score": [0.5]})
    assert processes.gathered(table) is table
    processes.wait()
    with processes.first_ahead():
        assert processes.may_tell()


def test_the_device_of_each(as_one_of, monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert processes.device_of_process(cuda) == cuda
    as_one_of(1, 2)
    assert processes.device_of_process(cpu) == cpu
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes.device_of_process(cuda) == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 processes for 1 GPUs: choose --nproc_per_node"):
        processes.device_of_process(cuda)
    with pytest.raises(InputError, match="several processes need --device cpu or cuda"):
        processes.device_of_process(torch.device("mps"))


def test_only_the_loss_of_another_is_bad_input(as_one_of):
    def exchange(message):
        with processes.none_lost():
            raise RuntimeError(message)

    lost = "[gloo/transport/tcp/pair.cc:545] Connection reset by peer"
    with pytest.raises(RuntimeError, match="Connection reset"):
        exchange(lost)
    as_one_of(0, 2)
    with pytest.raises(InputError, match="another of the processes has ended"):
        exchange(lost)
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        exchange("sizes of tensors must match")
