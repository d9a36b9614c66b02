"""Where the pixels come from makes no difference; small images are not enlarged."""

import json

import pandas as pd
import pytest
from safetensors.numpy import load_file

import fairvision
from fairvision import runs
from fairvision.datasets import load, save
from fairvision.datasets.pixels import StreamedPixels
from fairvision.errors import InputError
from fairvision.training import checkpoint

SETTINGS = {"size": 16, "epochs": 2, "batch_size": 4, "device": "cpu", "augment": True}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, so that none is there yet."""
    monkeypatch.setenv("FAIRVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def weights(folder):
    return [(folder / name).read_bytes() for name in (runs.BEST, runs.LAST)]


def test_streamed_and_cached_training_end_with_the_same_bits(folder, tmp_path, cache):
    fairvision.train(folder, output=tmp_path / "streamed", cache="never", workers=2, **SETTINGS)
    assert not cache.exists()
    run = fairvision.train(folder, output=tmp_path / "cached", cache="always", **SETTINGS)
    assert len(list(cache.iterdir())) == 2
    assert weights(tmp_path / "streamed") == weights(tmp_path / "cached")
    assert "cache" not in run.config["options"]
    with pytest.raises(InputError, match="cache 'some' is not one of auto, always, never"):
        fairvision.train(folder, output=tmp_path / "other", cache="some", **SETTINGS)


def test_streamed_it_resumes_within_an_epoch(folder, tmp_path, cache, monkeypatch):
    fairvision.train(folder, output=tmp_path / "whole", cache="never", **SETTINGS)
    real, saved = checkpoint.save, []

    def save_twice(*args):
        real(*args)
        saved.append(args)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", save_twice)
        with pytest.raises(KeyboardInterrupt):
            fairvision.train(
                folder, output=tmp_path / "run", cache="never", checkpoint_every=1, **SETTINGS
            )
    fairvision.train(folder, output=tmp_path / "run", cache="never", resume=True, **SETTINGS)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_streamed_it_is_audited_alike(squares, tmp_path, cache, monkeypatch):
    data = squares(48)
    run = fairvision.train(data, output=tmp_path / "run", cache="never", **SETTINGS)
    opened = []
    real = StreamedPixels.each
    monkeypatch.setattr(
        StreamedPixels, "each", lambda self, pieces: (opened.append(1), real(self, pieces))[1]
    )
    how = {"device": "cpu", "replicates": 20, "sanity": True, "sanity_pictures": 4}
    streamed = fairvision.audit([run.folder], output=tmp_path / "a", cache="never", **how)
    assert opened
    assert not cache.exists()
    cached = fairvision.audit([run.folder], output=tmp_path / "b", cache="always", **how)
    pd.testing.assert_frame_equal(streamed.metrics, cached.metrics)


def test_small_networks_do_not_enlarge_small_images(squares, tmp_path):
    data = squares()
    quick = {"epochs": 1, "batch_size": 8, "device": "cpu"}
    assert fairvision.train(data, output=tmp_path / "unknown", **quick).size == 64
    settings = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**settings, "size": [16, 12]}))
    run = fairvision.train(data, output=tmp_path / "known", **quick)
    assert run.size == 16
    small = fairvision.train(data, output=tmp_path / "small", model="small_cnn", **quick)
    assert small.size == 16
    assert fairvision.train(data, output=tmp_path / "given", size=20, **quick).size == 20
    dense = load_file(run.folder / runs.BEST)["backbone.dense.weight"]
    assert dense.shape == (128, 64 * 6 * 6)
    # what is larger than the network's usual size is shrunk to that
    (data / "dataset.json").write_text(json.dumps({**settings, "size": [640, 480]}))
    assert load(data).size == (640, 480)
    assert fairvision.train(data, output=tmp_path / "large", **quick).size == 64
    save(load(data), data)
    assert load(data).size == (640, 480)
