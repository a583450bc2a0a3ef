"""Commands whose help ends with examples, all in one form.

A test walks all commands, and parses each example as the command line itself does: none can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


class _Shown(click.Command):
    """The examples stand last but for the epilog, one a line, never broken: they are to be copied."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        #: Lines for a shell, each with a ``later`` command.
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class Command(_Shown):
    """A command with ``examples=``."""


class Group(_Shown, click.Group):
    """A group with ``examples=``; its own commands are of ``Command`` and are listed as they come."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)
