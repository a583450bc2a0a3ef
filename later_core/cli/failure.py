"""What went wrong, as one line and an exit code: people never see a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from later_core.errors import InvalidRequest, LaterError, Misconfigured

FAILED = 1
WRONG = 2
INTERRUPTED = 130
#: What a shell shows for a process that SIGPIPE ended.
UNREAD = 141


def guarded(command: Callable[[], Any]) -> int:
    """Run the command; its exit code, with whatever it raised told in one line on stderr."""
    _write_anything()
    try:
        answer = command()
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the outermost place: all that is left is to say it
        return _report(_innermost(error))
    return answer if isinstance(answer, int) else 0


def _write_anything() -> None:
    """What is told may hold bytes of a file that are no text: better escaped than not told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def say_error(message: str) -> None:
    """One line on stderr."""
    click.echo(f"later: error: {' '.join(message.split())}", err=True)


def _report(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Python flushes stdout once more as it ends; there must be somewhere for that to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    if isinstance(error, SystemExit):
        return _exit_code(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if sys.flags.dev_mode:
        raise error
    say_error(_sentence(error))
    return _code(error)


def _exit_code(error: SystemExit) -> int:
    """What ``sys.exit`` of a plugin's command means, by Python's own rules."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    say_error(str(error.code))
    return FAILED


def _innermost(error: BaseException) -> BaseException:
    """The first real error inside the groups that a TaskGroup makes."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _sentence(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f" (try '{error.ctx.command_path} --help')"
        return error.format_message().rstrip(".") + hint
    if isinstance(error, UnicodeError):
        return "an argument is not valid UTF-8"
    if isinstance(error, LaterError) or _is_rpc_error(error):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return (
        f"unexpected {type(error).__name__}: {error} (python -X dev -m later_core.cli shows where)"
    )


def _code(error: BaseException) -> int:
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, Misconfigured | InvalidRequest | UnicodeError):
        return WRONG
    if _is_rpc_error(error) and getattr(error, "code", None) == "INVALID_ARGUMENT":
        return WRONG
    if _is_rpc_error(error, "TlsFailed"):
        return WRONG
    return FAILED


def _is_rpc_error(error: BaseException, kind: str = "RpcError") -> bool:
    # Loaded only if the command spoke to a server: gRPC is slow to load.
    module = sys.modules.get("later_core.client.errors")
    return module is not None and isinstance(error, getattr(module, kind))
