"""Write the tables in these pages that are made from the code.

``python docs/tables.py`` writes them between their marks (``<!-- table: NAME -->`` and
``<!-- end of table -->``); ``--check`` writes nothing and exits 1 when one is stale. A test checks
too. Change the code, not the tables.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import grpc

from later_core import errors
from later_core.model import limits
from later_core.model.permission import ROLE_PERMISSIONS, UNCONFINED_ONLY, Permission, Role
from later_core.model.recurrence.combine import RULES_MAX
from later_core.model.recurrence.interval import TIMES_MAX
from later_core.plugin.hookspecs import Hooks
from later_core.rpc.auth.methods import METHODS
from later_core.rpc.errors import CODES
from later_core.rpc.transport import HEADERS_MAX_BYTES, REQUEST_MAX_BYTES
from later_core.settings import Settings
from later_core.telemetry.metrics import METRICS

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto" / "later" / "v1" / "later.proto"
MARKED = re.compile(
    r"(?P<begin><!-- table: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end of table -->)", re.DOTALL
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )


def code(text: str) -> str:
    """The text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def markdown(docstring: str) -> str:
    """The double backticks of a docstring as Markdown's single ones."""
    return docstring.replace("``", "`")


def settings() -> str:
    """Each setting of Later's own."""
    depends_on_user = {"data_dir": "`later` in the user's data directory"}
    rows = (
        [
            code(row.name),
            code(row.flag),
            code(row.env),
            depends_on_user.get(row.name, code(row.default)),
            row.description,
        ]
        for row in Settings(plugins={}, sources={}).describe()
    )
    return table(["name", "flag", "variable", "default", "meaning"], rows)


def rpcs() -> str:
    """Each RPC with its comment in the proto."""
    return table(
        ["service", "method", "what it does"],
        ([code(service), code(method), comment] for service, method, comment in methods()),
    )


def methods() -> Iterator[tuple[str, str, str]]:
    """The service, the name and the comment of each RPC, in the order of the proto."""
    service, comment = "", list[str]()
    for line in PROTO.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if line.strip().startswith("//"):
            comment.append(line.strip().removeprefix("//").strip())
            continue
        if words[:1] == ["service"]:
            service = words[1]
        elif words[:1] == ["rpc"]:
            yield service, words[1].partition("(")[0], " ".join(comment)
        comment = []


def reasons() -> str:
    """Each error that a request can meet: reason, status, what it means."""
    rows = [
        [code(kind.reason), code(status.name), first_paragraph(kind)]
        for kind in drawn_kinds()
        if not issubclass(kind, errors.Misconfigured) and (status := status_of(kind))
    ]
    internal = [
        code("INTERNAL"),
        code("INTERNAL"),
        "A fault of the server, which its log explains.",
    ]
    return table(["reason", "status", "meaning"], [*rows, internal])


def status_of(kind: type[errors.LaterError]) -> grpc.StatusCode | None:
    """The status that the nearest class of its ancestry has."""
    return next((CODES[parent] for parent in kind.__mro__ if parent in CODES), None)


def bounds() -> str:
    """The bounds that every request keeps."""
    rows = [
        ["parameters of an instance", f"{limits.PARAMETERS_MAX_BYTES // 1024 // 1024} MiB"],
        [
            "result of an instance",
            f"{limits.RESULT_MAX_BYTES // 1024 // 1024} MiB; kept without it",
        ],
        ["id of an instance", f"{limits.ID_MAX_LENGTH} characters"],
        ["id of a schedule", f"{limits.SCHEDULE_ID_MAX_LENGTH} characters"],
        ["rules of a schedule, and exclusions", f"{RULES_MAX} each"],
        ["instants of a rule, and days of an exclusion", f"{TIMES_MAX:,}"],
        ["times of one backfill, and of one preview", f"{limits.BACKFILL_MAX_TIMES:,}"],
        ["name of a task", f"{limits.TASK_NAME_MAX_LENGTH} characters"],
        [
            "a whole request",
            f"{REQUEST_MAX_BYTES / 1024 / 1024:g} MiB; gRPC itself refuses a larger one",
        ],
        ["headers of a call", f"{HEADERS_MAX_BYTES // 1024} KiB"],
        ["requests in a batch", f"{limits.BATCH_MAX_REQUESTS:,}"],
        ["page", f"{limits.PAGE_MAX_SIZE:,}, by default {limits.PAGE_DEFAULT_SIZE}"],
        ["labels on an instance", f"{limits.LABELS_MAX_COUNT}"],
        ["key of a label", f"{limits.LABEL_KEY_MAX_LENGTH} characters"],
        ["value of a label", f"{limits.LABEL_VALUE_MAX_LENGTH} characters"],
        ["attempts", f"{limits.MAX_ATTEMPTS:,}"],
        ["any duration", f"{limits.DURATION_MAX.days:,} days"],
    ]
    return table(["what", "at most"], rows)


def drawn_kinds() -> Iterator[type[errors.LaterError]]:
    """Each class of the tree, in the order in which its picture draws them."""
    for name in re.findall(r"── (\w+)", errors.__doc__ or ""):
        yield getattr(errors, name)


def first_paragraph(kind: type[object]) -> str:
    """The first paragraph of a docstring."""
    return markdown((inspect.getdoc(kind) or "").partition("\n\n")[0])


def metrics() -> str:
    """Each metric that a node sends."""
    return table(
        ["metric", "kind", "unit", "attributes", "in Prometheus", "meaning"],
        (
            [
                code(metric.name),
                metric.kind.value,
                code(metric.unit),
                ", ".join(map(code, metric.attributes)),
                code(metric.in_prometheus[0]),
                metric.description,
            ]
            for metric in METRICS
        ),
    )


def hooks() -> str:
    """Each hook: what it is for, then when, how often, what it returns, what if it raises."""
    return "\n".join(
        f"### {name}\n\n"
        f"```python\n{signature(name, hook)}\n```\n\n"
        f"{markdown(inspect.getdoc(hook) or '')}\n"
        for name, hook in vars(Hooks).items()
        if name.startswith("later_")
    )


def signature(name: str, hook: Callable[..., object]) -> str:
    """The hook as its author writes it, in a module; its annotations are those of the specification."""
    whole = inspect.signature(hook)
    arguments = list(whole.parameters.values())[1:]  # a module has no self
    written = ", ".join(f"{each.name}: {each.annotation}" for each in arguments)
    return f"@hookimpl\ndef {name}({written}) -> {whole.return_annotation}: ..."


#: Who is called when, in order: what happens, the calls, and for whom.
LIFECYCLE: Sequence[tuple[str, Sequence[tuple[str, Sequence[str]]]]] = (
    (
        "any later command",
        (
            ("it starts: plugins are imported, settings read", ["later_settings"]),
            ("it is no command of Later's own, or --help", ["later_cli"]),
        ),
    ),
    (
        "later serve",
        (
            ("are events wanted?", ["later_wants_events"]),
            ("which tasks are there?", ["later_tasks"]),
            ("what must be open?", ["later_lifespan, entered"]),
            ("where is it all kept?", ["later_store"]),
            ("it serves: instances go their way, below", []),
            ("it stops, when no run is left", ["later_lifespan, left"]),
        ),
    ),
    (
        "the way of an instance",
        (
            ("created, PENDING", ["later_on_event"]),
            ("due and claimed, RUNNING", ["later_on_event", "Task.run"]),
            ("it failed and is tried again, PENDING", ["later_on_event", "then as above"]),
            ("SUCCEEDED", ["later_on_event", "Task.on_success"]),
            ("FAILED, with no attempt left", ["later_on_event", "Task.on_fail"]),
            ("ABORTED, pending or running", ["later_on_event", "Task.on_abort"]),
        ),
    ),
)


def lifecycle() -> str:
    """Who is called when, as a picture of three ways from top to bottom."""
    wide = max(len(what) for _, steps in LIFECYCLE for what, _ in steps)
    lines = list[str]()
    for title, steps in LIFECYCLE:
        lines += [title, "  |"]
        for what, calls in steps:
            arrow = f"--> {', '.join(calls)}" if calls else ""
            lines.append(f"  +-- {what:<{wide}} {arrow}".rstrip())
        lines.append("")
    return "```text\n" + "\n".join(lines).rstrip() + "\n```\n"


def roles() -> str:
    """Each permission: which roles have it, what it lets one call, and whether a scope takes it away."""
    return table(
        ["permission", *Role, "needed for", "also within a scope"],
        (
            [
                code(permission),
                *("yes" if permission in ROLE_PERMISSIONS[role] else "" for role in Role),
                needed_for(permission),
                "" if permission in UNCONFINED_ONLY else "yes",
            ]
            for permission in Permission
        ),
    )


def needed_for(permission: Permission) -> str:
    """The RPCs that need it; of standard services the service."""
    found = dict[str, None]()
    for path, rule in METHODS.items():
        if rule.permission is permission:
            service, _, method = path.rpartition("/")
            found[method if service.startswith("/later.") else service.rpartition(".")[2]] = None
    return ", ".join(map(code, found))


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "rpcs": rpcs,
    "reasons": reasons,
    "limits": bounds,
    "hooks": hooks,
    "lifecycle": lifecycle,
    "roles": roles,
    "metrics": metrics,
}


def pages() -> Iterator[Path]:
    """The pages that may hold a table."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def fresh(text: str) -> str:
    """The page with its tables made anew."""
    return MARKED.sub(lambda m: f"{m['begin']}\n{TABLES[m['name']]()}\n{m['end']}", text)


def main() -> int:
    """Write, or check; answer the exit code."""
    stale = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        made = fresh(text)
        if made != text:
            stale += 1
            if "--check" in sys.argv[1:]:
                print(f"{page.relative_to(ROOT)} is stale: run tox -e tables", file=sys.stderr)
            else:
                page.write_text(made, encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
