"""The top of the command line: its options, and commands that are loaded when they are needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeVar

import click

from later_core.cli.examples import Group

_F = TypeVar("_F", bound=Callable[..., Any])

#: Name, module, and the line that ``later --help`` shows: the modules themselves load slowly.
_COMMANDS = {
    "serve": ("later_core.cli.serve", "Run the server."),
    "create": ("later_core.cli.create", "Create an instance: run TASK at a time."),
    "get": ("later_core.cli.instances", "Show one instance."),
    "list": ("later_core.cli.instances", "List instances in order of execution time."),
    "abort": ("later_core.cli.instances", "Abort an instance, pending or running."),
    "reschedule": ("later_core.cli.instances", "Move a pending instance to another time."),
    "retry": ("later_core.cli.instances", "Run an ended instance again."),
    "watch": ("later_core.cli.watch", "Follow the changes of instances as they happen."),
    "schedules": ("later_core.cli.schedules.group", "Run tasks again and again: rules and runs."),
    "plugin": ("later_core.cli.plugin.group", "Begin a plugin of your own."),
    "plugins": ("later_core.cli.inspect", "List the installed plugins; needs no server."),
    "stats": ("later_core.cli.inspect", "Show counts, lateness and load of a server."),
    "top": (
        "later_core.cli.top.command",
        "Look at a deployment live, and steer it by the keyboard.",
    ),
    "nodes": ("later_core.cli.nodes", "List the nodes that share the database."),
    "drain": ("later_core.cli.nodes", "Ask a node to leave its work to the others."),
    "health": ("later_core.cli.health", "Say whether a server serves; for health checks."),
    "doctor": ("later_core.cli.doctor.commands", "Look at a deployment and say what to mend."),
    "tokens": ("later_core.cli.tokens", "Make, list and revoke what lets callers in."),
    "whoami": ("later_core.cli.whoami", "Show who you are to a server, and what you may."),
    "audit": ("later_core.cli.audit", "Show who asked for what, and what became of it."),
    "settings": ("later_core.cli.inspect", "Show every setting and where its value comes from."),
    "export": ("later_core.cli.export", "Write a backup: everything, at one moment."),
    "import": ("later_core.cli.importing", "Restore a backup; twice is once."),
    "crontab": ("later_core.cli.crontab.commands", "Move from cron to Later, and back."),
    "new-key": ("later_core.cli.new_key", "Make a key for encryption at rest."),
    "rekey": ("later_core.cli.rekey", "Encrypt everything stored with the newest key."),
    "demo": ("later_core.cli.demo", "Watch a whole server at work for ten seconds."),
    "completion": ("later_core.cli.completion", "Print the completion script of a shell."),
}

#: Commands whose names are words of Python, or no names there.
_PYTHON_NAMES = {"list": "list_", "import": "import_", "new-key": "new_key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """What was given on the command line about the server to talk to, by name of the setting."""

    flags: Mapping[str, Any]


#: How the server is talked to, before the command or behind it.
CONNECTION_OPTIONS = {
    "--tls": "Speak TLS to the server; of itself with one of the next four.",
    "--tls-ca": "The roots that its certificate must come from; else those of this machine.",
    "--tls-client-cert": "The certificate to show to it.",
    "--tls-client-key": "The private key of that certificate.",
    "--tls-server-name": "The name in its certificate, where the address has another.",
    "--token-file": "The file with the token to show to it; else LATER_TOKEN.",
    "--insecure": "Send the token to another machine though nothing is encrypted.",
}
#: Those of them that take no value.
CONNECTION_FLAGS = frozenset({"--tls", "--insecure"})


def _connection_options(command: _F) -> _F:
    for name, said in reversed(CONNECTION_OPTIONS.items()):
        is_flag = name in CONNECTION_FLAGS
        metavar = None if is_flag else "NAME" if name.endswith("name") else "FILE"
        option = click.option(name, is_flag=is_flag, default=None, metavar=metavar, help=said)
        command = option(command)
    return command


class LazyGroup(Group):
    """Imports a command when it runs; asks the plugins for theirs only when it may matter."""

    _is_extended = False

    @staticmethod
    def own_names() -> Collection[str]:
        """The names of Later's own commands, which no plugin may take."""
        return _COMMANDS.keys()

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._extend()
        return [*_COMMANDS, *sorted(self.commands.keys() - _COMMANDS.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            return _load(cmd_name)
        if not cmd_name.startswith("-"):
            self._extend()
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(name)) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            # click looks for near names among loaded commands; ours are not loaded.
            known = [*_COMMANDS, *self.commands]
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=known, ctx=ctx
            ) from None

    def _help(self, name: str) -> str:
        return _COMMANDS[name][1] if name in _COMMANDS else self.commands[name].get_short_help_str()

    def _extend(self) -> None:
        if not self._is_extended:
            self._is_extended = True
            from later_core.catalog import Catalog
            from later_core.telemetry.logs import configure_logging

            # A warning about a plugin must not stand in what a command answers on stdout.
            configure_logging(verbose=0, format="auto", stream=sys.stderr)
            Catalog.discover().extend_cli(self)


def _load(name: str) -> click.Command:
    module, _ = _COMMANDS[name]
    command = getattr(import_module(module), _PYTHON_NAMES.get(name, name))
    assert isinstance(command, click.Command)
    return command


def _show_version(ctx: click.Context, _: click.Parameter, *, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"later {version('later-core')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    examples=(
        "later demo",
        "later create echo 'good morning' --in 5s --wait",
        "later schedules create echo hello --cron '0 9 * * MON-FRI' --tz Europe/Paris",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage. Every command explains itself with --help.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="The server to talk to; else LATER_ADDRESS, else 127.0.0.1:9081.",
)
@_connection_options
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, param, value: _show_version(ctx, param, value=value),
    help="Show the version and leave.",
)
@click.pass_context
def later(ctx: click.Context, /, **flags: Any) -> None:
    """Run tasks later: durably, on time, once."""
    ctx.obj = Top(flags=flags)
