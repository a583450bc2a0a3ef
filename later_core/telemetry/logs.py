"""Log lines: for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
#: Libraries whose lesser messages tell operators nothing, whatever the verbosity.
_NOISY = ("asyncio", "grpc", "motor", "pymongo")
#: What gRPC logs as an error, with a traceback, of what a client did: a path or a header that is not
#: UTF-8 (it goes on with it as Latin-1), and a client that is gone before it has its answer. Each is the
#: beginning of the message, and the name of the exception.
_OF_CLIENTS = (
    ("Invalid encoding on ", "UnicodeDecodeError"),
    ("ExecuteBatchError raised in core ", "ExecuteBatchError"),
)
#: Text that may span lines: a traceback is readable only as it is.
_BLOCKS = frozenset({"exception", "stack"})


def configure_logging(*, verbose: int, format: str, stream: TextIO) -> None:
    """Send everything that is logged, by structlog or by the standard library, to the stream.

    ``verbose``: 0 is warnings and worse, 1 is news too, 2 everything. ``format``: ``text``,
    ``json``, or ``auto`` for text on a terminal and JSON elsewhere. Times are UTC, ISO 8601. May be
    called again, and then replaces what was before.
    """
    level = _LEVELS[min(max(verbose, 0), len(_LEVELS) - 1)]
    is_terminal = stream.isatty()
    as_text = format == "text" or (format == "auto" and is_terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_lessen_what_clients_do)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Plain tracebacks: the rich ones show local variables, and parameters with them.
                structlog.processors.format_exc_info,
                *(_text(colors=is_terminal and _may_be_coloured(stream)) if as_text else _json()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _may_be_coloured(stream: TextIO) -> bool:
    """As the answers of the commands: where the terminal has colours, and NO_COLOR is not set."""
    # Not for servers under a supervisor, which write JSON.
    from rich.console import Console

    console = Console(file=stream)
    return console.color_system is not None and not console.no_color


def _lessen_what_clients_do(record: logging.LogRecord) -> bool:
    """Strangers write no tracebacks into the log: what gRPC says of them is a line for who asks for all."""
    if not record.name.startswith("grpc.") or not record.exc_info or not record.exc_info[0]:
        return True
    kind = record.exc_info[0].__name__
    if not any(kind == name and str(record.msg).startswith(said) for said, name in _OF_CLIENTS):
        return True
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    record.exc_info = record.exc_text = None
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def _text(*, colors: bool) -> Sequence[Processor]:
    return [
        _keep_to_one_line,
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        ),
    ]


def _json() -> Sequence[Processor]:
    return [structlog.processors.JSONRenderer(default=str)]


def _keep_to_one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What a task logs may come from strangers: no line breaks and no escape codes for the terminal."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _BLOCKS and not value.isprintable():
            event[key] = repr(value)[1:-1]
    return event
