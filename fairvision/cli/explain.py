"""`fairvision explain`: activation maps and attributions for any images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fairvision.attribution import METHODS
from fairvision.cli import config, options
from fairvision.cli.printing import say_made, show_in_browser
from fairvision.cli.sources import SOURCE, options_from, preparation
from fairvision.errors import InputError


@click.command(name="explain")
@click.argument("source", type=SOURCE)
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE…", type=options.PATH, cls=options.Repeated
)
@options.output
@config.option
@click.option(
    "--attribution",
    type=options.Choice(["auto", *METHODS, "attention"]),
    default="auto",
    show_default=True,
    help="How the evidence is found; auto is hirescam, for lecture_cnn integrated_gradients. "
    "Of words of captions: gradcam (auto), occlusion, attention.",
)
@click.option("--head", help="Attribute or task to explain; by default the first attribute.")
@click.option("--group", help="Only this group (or label); by default the most probable ones.")
@click.option(
    "--layer", help="Layer for gradcam, hirescam and alike; by default, see docs/attribution.md."
)
@preparation
@options.prepare
@options.overwrite
@options.device
@options.quiet
@options.open_page
@options.made_as_json
def command(
    source: Path | str,
    images: tuple[Path, ...],
    output: Path,
    attribution: str,
    head: str | None,
    group: str | None,
    layer: str | None,
    prepare: str,
    overwrite: bool,
    device: str,
    quiet: bool,
    open_page: bool,
    **rest: Any,
) -> None:
    """Draw where a model found its evidence, and what its layers made of the picture.

    SOURCE is a run folder, or a model of another library such as timm:NAME (see docs/models.md).
    IMAGE… are picture files, or folders of them. The folder gets PNG sheets and an index.html
    that shows them. Of what writes captions, a run or hf:FOLDER, there is a map for each
    word.
    """
    from fairvision.inference.explanations import explain
    from fairvision.inference.word_explanations import explain_words
    from fairvision.runs.caption_model import write_captions

    quiet = quiet or not sys.stderr.isatty()
    if write_captions([source]):
        for name, value in (("head", head), ("group", group), ("layer", layer)):
            if value is not None:
                raise InputError(f"--{name} is not for captioners")
        folder = explain_words(
            source,
            images,
            output=output,
            method=attribution,
            device=device,
            overwrite=overwrite,
            quiet=quiet,
        )
        _conclude(folder, open_page)
        return
    described = options_from([source], rest)
    folder = explain(
        source,
        images,
        output=output,
        method=attribution,
        head=head,
        group=group,
        layer=layer,
        prepare=prepare,
        device=device,
        overwrite=overwrite,
        options=described[0] if described else None,
        quiet=quiet,
    )
    _conclude(folder, open_page)


def _conclude(folder: Path, open_page: bool) -> None:
    """Say where the drawings are, and show them if asked to."""
    page = folder / "index.html"
    say_made({"explanations": str(folder), "page": str(page)}, f"explanations: {page}")
    if open_page:
        show_in_browser(page)
