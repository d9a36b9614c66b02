"""The whole way on drawn images: draw, train a baseline and an equalizer, audit, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fairvision.core.files import drop_replaced, keep_replaced, whole_folder, write_json

if TYPE_CHECKING:
    from fairvision.auditing import Audit

# The equalizer's beta of 10 is that of captioners that were trained before. This network starts
# from nothing, and with 10 it is long busy with the hidden images before it learns the shirts.
METHODS: Mapping[str, Mapping[str, float]] = {"baseline": {}, "equalizer": {"beta": 3.0}}
_MARKER = "demo.json"


def demo(
    output: str | Path,
    *,
    count: int = 3500,
    bias: float = 0.95,
    groups: int = 2,
    size: int = 48,
    epochs: int = 9,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Draw images, train a baseline and an equalizer on them, audit both, write the report.

    The drawn person can be recognised by a pattern on the shirt; the surroundings go with the
    pattern in most images and are easier to see.

    Parameters
    ----------
    output : folder to write: `data`, one run folder per method, `audit`
    count : number of images drawn
    bias : probability that an image's surroundings are typical of its group
    groups : number of groups
    size : side of the images in pixels
    epochs : passes over the training images
    seed : of drawing, training and the bootstrap
    device : auto, cpu, cuda or mps
    workers : threads or processes that draw and decode; by default one per core
    overwrite : replace the folder of an earlier demonstration
    quiet : show no progress
    say : told, in a line each, what happens

    Returns
    -------
    Audit of the two runs; its report is `output/audit/report.html`

    Raises
    ------
    InputError
        If the folder is not empty and may not be replaced, or an option is out of range.
    """
    from fairvision.auditing import audit
    from fairvision.datasets import scenes
    from fairvision.training import train

    output = Path(output)
    with whole_folder(output, marker=_MARKER, overwrite=overwrite) as part:
        drawn = {"count": count, "bias": bias, "groups": groups, "size": size, "seed": seed}
        write_json(part / _MARKER, drawn)
        keep_replaced(output, part, "audit/report.html")

    say(f"drawing {count} pictures: in {bias:.0%} of them the surroundings go with the group")
    data = output / "data"
    scenes(data, count=count, bias=bias, groups=groups, size=size, seed=seed, test_fraction=0.3)
    for method, options in METHODS.items():
        say(f"training the {method}")
        train(
            data,
            output=output / method,
            method=method,
            model="small_cnn",
            size=size,
            epochs=epochs,
            lr=0.002,
            seed=seed,
            device=device,
            workers=workers,
            quiet=quiet,
            **options,
        )
    say("auditing both on the test pictures")
    runs = [output / method for method in METHODS]
    audited = audit(
        runs,
        data=data,
        output=output / "audit",
        seed=seed,
        device=device,
        workers=workers,
        quiet=quiet,
    )
    drop_replaced(output)
    return audited
