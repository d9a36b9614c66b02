"""`fairvision data`: make a dataset folder, or show what is in one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairvision.cli import config, options
from fairvision.cli._captions import captions
from fairvision.cli._groups import SuggestingGroup
from fairvision.cli._hide import hide
from fairvision.cli._masks import masks
from fairvision.cli.printing import say_json, say_made
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets import Dataset
    from fairvision.datasets.readers import Reader


_published = (
    click.option(
        "--val",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Training pictures that are held out, at random, as the split val.",
    ),
)
_writing = (options.workers, options.overwrite, options.quiet)


class _Sources(SuggestingGroup):
    """The sources of this file, and readers of other packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of readers, then of what is done with a dataset folder."""
        from fairvision.datasets.readers import READERS

        return [*READERS, *(name for name in self.commands if name not in READERS)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the readers and the rest apart."""
        from fairvision.datasets.readers import READERS

        rest = [name for name in self.list_commands(ctx) if name not in READERS]
        for title, names in (("Sources", list(READERS)), ("Dataset folders", rest)):
            room = formatter.width - 6 - max(map(len, names))
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, c.get_short_help_str(room)) for name, c in commands if c is not None]
                )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a source."""
        from fairvision.datasets.readers import READERS

        if cmd_name in self.commands or cmd_name not in READERS:
            return super().get_command(ctx, cmd_name)

        from fairvision.cli._reader_command import reader_command

        return reader_command(cmd_name, _read)


@click.group(cls=_Sources)
def command() -> None:
    """Make a dataset folder from a source, or show what is in one."""


@command.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option("--count", type=int, default=3000, show_default=True, help="Number of pictures.")
@click.option(
    "--bias",
    type=float,
    default=0.9,
    show_default=True,
    help="Share of each group's pictures in a place typical of it; 1 / groups: no bias.",
)
@click.option(
    "--groups", type=int, default=2, show_default=True, help="Number of groups, at most 6."
)
@click.option("--size", type=int, default=64, show_default=True, help="Width and height in pixels.")
@click.option(
    "--counterfactuals",
    is_flag=True,
    help="Draw each test picture again: the same person elsewhere, and another shirt there.",
)
@click.option(
    "--gender",
    is_flag=True,
    help="Call the two groups female and male: captions speak of women and men.",
)
@options.several(*options.fractions)
def scenes(folder: Path, quiet: bool, **settings: Any) -> None:
    """Draw scenes with a stated bias.

    People whose shirts tell their group, in places that go with the group.
    """
    from fairvision import datasets

    _print_counts(datasets.scenes(folder, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--cause",
    metavar="NAME",
    required=True,
    help="What decides an image's group: person, surroundings, either, both, object, watermark "
    "or mixture.",
)
@click.option("--count", type=int, default=3000, show_default=True, help="Number of pictures.")
@click.option(
    "--groups", type=int, default=2, show_default=True, help="Number of groups, at most 6."
)
@click.option(
    "--share",
    type=float,
    help="Of a mixture: share of the pictures that the person decides; by default 0.5.",
)
@click.option("--size", type=int, default=64, show_default=True, help="Width and height in pixels.")
@options.several(*options.fractions)
def reasons(folder: Path, quiet: bool, **settings: Any) -> None:
    """Draw scenes in which the cause of the group is known.

    By the person, by the surroundings, by either, by both together, by an object, by a mark.
    """
    from fairvision import datasets

    _print_counts(datasets.reasons(folder, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("table", metavar="TABLE", type=options.PATH)
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="COLUMN",
    callback=options.named,
    help="Column of groups of people; repeatable; NAME=COLUMN gives it another name.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="COLUMN",
    callback=options.named,
    help="Column of labels to be classified, one per picture; repeatable; NAME=COLUMN.",
)
@click.option(
    "--many",
    multiple=True,
    metavar="COLUMN",
    callback=options.named,
    help="Column of labels of which any number may hold; repeatable; NAME=COLUMN.",
)
@click.option(
    "--captions",
    multiple=True,
    metavar="COLUMN",
    help="Column of captions: a text, or a list of texts as JSON or in parquet; repeatable.",
)
@click.option(
    "--separator",
    help="Between the labels of a --many column, by default ';'; alone in a cell it means none of "
    "the labels.",
)
@click.option(
    "--unknown",
    multiple=True,
    metavar="TEXT",
    help="Text that means not known, besides an empty cell and 'unknown'; repeatable.",
)
@click.option(
    "--image", metavar="COLUMN", default="image", show_default=True, help="Column of pictures."
)
@click.option(
    "--mask",
    metavar="COLUMN",
    help="Column of masks: paths, or run lengths or polygons of COCO as JSON; by default mask, if "
    "there.",
)
@click.option(
    "--box",
    metavar="LEFT TOP WIDTH HEIGHT",
    nargs=4,
    help="Columns of boxes in pixels, which are the masks.",
)
@click.option("--id", metavar="COLUMN", help="Column of unique names; by default id, if there.")
@click.option(
    "--split",
    metavar="COLUMN",
    help="Column of train, val and test; by default split, if there, else at random.",
)
@click.option(
    "--images", type=options.PATH, help="Folder where relative paths start; by default the table's."
)
@options.several(*options.importing)
def csv(table: Path, folder: Path, quiet: bool, **settings: Any) -> None:
    """Import any table of pictures.

    TABLE is csv, tsv or parquet, with a header and a row per picture.
    """
    from fairvision import datasets

    _print_counts(datasets.from_table(table, folder, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("files", metavar="INSTANCES.json [CAPTIONS.json]", type=options.PATH, nargs=-1)
@click.argument("images", metavar="IMAGES", type=options.PATH)
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--instances", type=options.PATH, multiple=True, help="A further file of instances; repeatable."
)
@click.option(
    "--captions", type=options.PATH, multiple=True, help="A further file of captions; repeatable."
)
@click.option(
    "--attributes",
    metavar="TABLE",
    type=options.PATH,
    help="Table with image_id, of which every other column holds a group of people.",
)
@click.option(
    "--split",
    type=options.Choice(["train", "val", "test", "names"]),
    help="Put all pictures in this split, or in those that the names of the files say, instead of "
    "dividing them at random.",
)
@options.several(*options.importing)
def coco(
    files: tuple[Path, ...],
    instances: tuple[Path, ...],
    captions: tuple[Path, ...],
    quiet: bool,
    **settings: Any,
) -> None:
    """Import COCO annotations.

    Masks of the people, objects as a task, gender as the words of the captions tell it.
    """
    from fairvision import datasets

    if len(files) not in (1, 2):
        raise click.UsageError(
            "give INSTANCES.json, perhaps CAPTIONS.json, IMAGES and DIR; further files by "
            "--instances and --captions"
        )
    of_instances, of_captions = [files[0], *instances], [*files[1:], *captions]
    _print_counts(datasets.from_coco(of_instances, of_captions, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--source",
    type=options.PATH,
    help="Folder of the four idx files, gzipped or not, or above MNIST/raw; by default they are "
    "downloaded.",
)
@options.several(*_published)
@options.seed
@options.several(*_writing)
def mnist(folder: Path, quiet: bool, **settings: Any) -> None:
    """Import MNIST, the handwritten digits.

    60,000 pictures to train on, 10,000 to test, 28 × 28 pixels; task digit.
    """
    from fairvision.datasets.readers.mnist import from_mnist

    _print_counts(from_mnist(folder, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--source",
    type=options.PATH,
    help="Folder that holds cifar-10-batches-py, or a parquet file, or a folder of them; by "
    "default CIFAR-10 is downloaded.",
)
@click.option(
    "--skew",
    type=float,
    default=0.95,
    show_default=True,
    help="Share of each class that is grey, or in colour, as is typical of it, in training.",
)
@options.several(*_published)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=42,
    show_default=True,
    help="Seed of all chance; the default makes the choice of the authors.",
)
@options.several(*_writing)
def cifar10s(folder: Path, quiet: bool, **settings: Any) -> None:
    """Make CIFAR-10S: five classes mostly grey, five mostly in colour.

    50,000 pictures to train on, and each of the 10,000 of the test grey and in colour; task class,
    attribute colour.
    """
    from fairvision.datasets.readers.cifar10s import from_cifar10

    _print_counts(from_cifar10(folder, quiet=_is_quiet(quiet), **settings))


@command.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--power",
    is_flag=True,
    help="Show instead how large a gap in accuracy has to be for these pictures to show it.",
)
@click.option("--split", default="test", show_default=True, help="With --power: whose pictures.")
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="With --power: column of the table that says which pictures are no independent evidence, "
    "such as all of one person.",
)
@click.option(
    "--correlation",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="With --cluster: how alike answers to two pictures of one cluster are; 0 counts pictures, "
    "1 clusters.",
)
@options.as_json
def show(folder: Path, power: bool, as_json: bool, **of_power: Any) -> None:
    """Show what is in a dataset.

    Pictures per split, group and label; which labels go with which groups; what is missing.

    \b
    fairvision data show photos --power --cluster person
    """
    if power:
        _show_power(folder, as_json, **of_power)
        return
    if of_power["cluster"] is not None:
        raise InputError("--cluster is for --power: add it")
    from fairvision import datasets

    description = datasets.describe(datasets.load(folder))
    if as_json:
        counts, skew = (description[key].to_dict("records") for key in ("counts", "skew"))
        say_json({**description, "counts": counts, "skew": skew})
        return

    from fairvision.cli import tables

    tables.show_dataset(description)


def _show_power(folder: Path, as_json: bool, *, split: str, **how: Any) -> None:
    """Print what gaps the pictures of a split can show."""
    from fairvision.auditing.power import detectable_gaps

    gaps = detectable_gaps(folder, split=split, **how)
    if as_json:
        rows = gaps.astype(object).where(gaps.notna(), None).to_dict("records")
        say_json({"folder": str(folder), "split": split, "gaps": rows})
        return

    from fairvision.cli import tables

    tables.show_power(gaps, split)


command.add_command(captions)
command.add_command(masks)
command.add_command(hide)
for _name, _maker in command.commands.items():
    if _name != "show":
        options.made_as_json(config.option(_maker))


def _read(reader: Reader, values: Mapping[str, Any]) -> None:
    """Call a reader with the values of its options, and print what it has written."""
    if "quiet" in values:
        values = {**values, "quiet": _is_quiet(values["quiet"])}
    from fairvision.datasets import Dataset

    dataset = reader(**values)
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"reader {getattr(reader, '__name__', reader)!r} returned a {type(dataset).__name__}: "
            "it must return the Dataset that it made"
        )
    _print_counts(dataset)


def _is_quiet(quiet: bool) -> bool:
    """Return whether progress is hidden: if asked for, or if the output is no terminal."""
    return quiet or not sys.stdout.isatty()


def _print_counts(dataset: Dataset) -> None:
    """Say how many images a new dataset has, by split, and how to look at it."""
    originals, made = dataset.originals(), len(dataset.counterfactuals())
    splits = originals.samples["split"].value_counts(sort=False)
    counts = ", ".join(f"{name} {n}" for name, n in splits.items())
    more = f", and {made} counterfactuals of them" if made else ""
    say_made(
        {
            "dataset": str(dataset.root),
            "pictures": len(originals),
            "splits": {str(name): int(n) for name, n in splits.items()},
            "counterfactuals": made,
        },
        f"{dataset.root}: {len(originals)} pictures ({counts}){more}",
        f"what is in it: fairvision data show {dataset.root}",
    )
