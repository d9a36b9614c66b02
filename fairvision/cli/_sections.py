"""Help with the options under headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class SectionedCommand(click.Command):
    """A command whose help lists its options under headings.

    Parameters
    ----------
    sections : names of parameters, by heading; the others stand under the last
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, under their headings."""
        heading_of = {name: head for head, names in self.sections.items() for name in names}
        records: dict[str, list[tuple[str, str]]] = {head: [] for head in self.sections}
        last = list(records)[-1]
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                records[heading_of.get(parameter.name or "", last)].append(record)
        for heading, listed in records.items():
            if listed:
                with formatter.section(heading):
                    formatter.write_dl(listed)
