"""``later completion``: what a shell needs to complete the words of ``later``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from later_core.cli.examples import Command


@click.command(
    cls=Command,
    examples=("later completion bash >> ~/.bashrc",),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash: eval "$(later completion bash)"       in ~/.bashrc
    zsh:  eval "$(later completion zsh)"        in ~/.zshrc
    fish: later completion fish | source        in ~/.config/fish/config.fish
    """  # noqa: D301 - click reads the escape as: leave these lines as they are
    kind = get_completion_class(shell)
    assert kind is not None  # the choice above names those that click knows
    click.echo(kind(ctx.find_root().command, {}, "later", "_LATER_COMPLETE").source())
