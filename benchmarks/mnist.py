"""The lecture's CNN on MNIST: fairvision, and the lecture's Keras program, in one run.

    pip install tensorflow-cpu
    python benchmarks/mnist.py --source FOLDER-OF-IDX-FILES [--epochs 1] [--batch-size 128]

The Keras program has the lecture's layers and optimiser: Adadelta at the learning rate of its day,
1.0. Ours is `fairvision train --model lecture_cnn`, which adds what a run folder holds, in float32
and in bf16 (mixed precision, which pays on processors with instructions for it). All train on the
same 60,000 images, one after the other, and are tested on the same 10,000. Printed are
accuracies, and seconds per epoch: of the clock, and of the processor in all threads, which others
on the machine change less. Reading and decoding are left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FAIRVISION_CACHE"] = f"{folder}/cache"
        images, digits = _material(given.source, Path(folder))
        found = {"Keras": _theirs(images, digits, given)}
        for precision in ("32", "bf16"):
            found[f"fairvision {precision}"] = _ours(
                Path(folder), images["test"], digits["test"], precision, given
            )
    print(f"{given.epochs} epochs, batches of {given.batch_size}, {given.threads} threads")
    for name, (clock, processor, accuracy) in found.items():
        by_clock, by_processor = found["Keras"][0] / clock, found["Keras"][1] / processor
        print(f"{name}: accuracy {100 * accuracy:.2f}%")
        print(f"    clock     {clock:6.1f} s an epoch, Keras takes {by_clock:.2f} of it")
        print(f"    processor {processor:6.1f} s an epoch, Keras takes {by_processor:.2f} of it")


def _material(source: str, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return grey images (n, 28, 28) and digits by split, after making the dataset folder."""
    from fairvision import datasets
    from fairvision.datasets.readers.mnist import from_mnist

    dataset = from_mnist(folder / "mnist", source=source)
    images, digits = {}, {}
    for split in ("train", "test"):
        part = dataset.split(split)
        images[split] = datasets.open_pixels(part, 28).take(np.arange(len(part))).images[..., 0]
        digits[split] = part.targets("digit")
    return images, digits


def _theirs(
    pixels: dict[str, np.ndarray], digits: dict[str, np.ndarray], given: argparse.Namespace
) -> tuple[float, float, float]:
    import tensorflow as tf
    from tensorflow import keras

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    keras.utils.set_random_seed(0)
    images = {k: (v[..., None] / 255).astype(np.float32) for k, v in pixels.items()}
    classes = {k: keras.utils.to_categorical(v, 10) for k, v in digits.items()}
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile(
        loss="categorical_crossentropy",
        optimizer=keras.optimizers.Adadelta(learning_rate=1.0),
        metrics=["accuracy"],
    )
    clock, processor = time.perf_counter(), time.process_time()
    network.fit(
        *(images["train"], classes["train"]),
        batch_size=given.batch_size,
        epochs=given.epochs,
        verbose=0,
    )
    seconds = _since(clock, processor, given.epochs)
    _, accuracy = network.evaluate(images["test"], classes["test"], verbose=0)
    return *seconds, float(accuracy)


def _since(clock: float, processor: float, epochs: int) -> tuple[float, float]:
    """Return seconds per epoch, by the clock and of the processor."""
    return (time.perf_counter() - clock) / epochs, (time.process_time() - processor) / epochs


def _ours(
    folder: Path, pixels: np.ndarray, digits: np.ndarray, precision: str, given: argparse.Namespace
) -> tuple[float, float, float]:
    import torch

    import fairvision
    from fairvision import runs

    torch.set_num_threads(given.threads)
    clock, processor = time.perf_counter(), time.process_time()
    run = fairvision.train(
        folder / "mnist",
        output=folder / precision,
        model="lecture_cnn",
        size=28,
        epochs=given.epochs,
        batch_size=given.batch_size,
        lr=given.lr,
        precision=precision,
        device="cpu",
    )
    seconds = _since(clock, processor, given.epochs)
    network = runs.network(run)
    images = torch.from_numpy(pixels).float().div(255)[:, None].expand(-1, 3, -1, -1)
    with torch.inference_mode():
        batches = torch.split(images, 500)
        predicted = torch.cat([network(batch)["digit"].argmax(dim=1) for batch in batches])
    return *seconds, float((predicted.numpy() == digits).mean())


if __name__ == "__main__":
    main()
