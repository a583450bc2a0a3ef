"""Write ``docs/reference/``: every service, method, message, field and value of the wire, from its comments.

``python proto/reference.py`` writes; ``--check`` writes nothing and exits 1 when a page is stale. Run it as
``tox -e reference``. What a comment does not say comes from where it is decided: the rules of a
field from ``later.proto``, the permission of a method from ``later_core.rpc.auth.methods``, what may be
repeated from ``later_core.client.channel``. What has no comment, or a rule that has no words, ends it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import in_words
from check import FILE, write_image
from generate import ROOT
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from wire import SHARED, STATUSES, Wire, is_ours, local, page_name

from later_core.client.channel import REPEATABLE
from later_core.rpc.auth.methods import METHODS

TARGET = ROOT / "docs" / "reference"
#: Streams, which no client repeats by itself, and whose batches may be sent again all the same.
_REPEATABLE_STREAMS = {"StreamCreateInstances", "ImportInstances"}
#: How a comment says that a field tells a repeated request from a new one.
_OWN_ID = "Chosen by the client so that a repeated"
_SCALARS = FieldDescriptorProto.Type
_TABLE_HEAD = "| no. | name | type | meaning | must |\n| --- | --- | --- | --- | --- |\n"


def pages(file: FileDescriptorProto) -> dict[str, str]:
    """Each page of the reference by the name of its file.

    Raises:
        Uncommented, ValueError: a rule without words.
    """
    wire = Wire(file)
    made = {"index": index(wire)}
    for number, service in enumerate(file.service):
        made[page_name(service)] = page(wire, page_name(service), service, number)
    made[SHARED] = page(wire, SHARED)
    return {f"{name}.md": _NOTICE + text for name, text in made.items()}


_NOTICE = (
    "<!-- Made from proto/later/v1/later.proto by tox -e reference: change that, not this. -->\n\n"
)


def index(wire: Wire) -> str:
    """Every method in a line, and how the pages are to be read."""
    text = _INDEX
    for number, service in enumerate(wire.file.service):
        text += f"\n## {service.name}\n\n{wire.comment(service.name, 6, number)}\n\n"
        text += "| method | permission | may be repeated |\n| --- | --- | --- |\n"
        for method in service.method:
            may = METHODS[f"/later.v1.{service.name}/{method.name}"].permission
            again = repeating(wire, service, method).partition(":")[0]
            text += f"| {wire.link(method.name)} | `{may}` | {again} |\n"
    return text


_INDEX = """# Reference

Every method, message and field of `later.v1`, made from the comments of `proto/later/v1/later.proto`. [The
interface](../api.md) says how they work together: errors, pages, watching, limits.

```{toctree}
:maxdepth: 1

instances
schedules
tasks
admin
shared
```

- *Permission* is what a caller needs where the server [asks who calls](../security.md#who-may).
- *May be repeated* says whether the same call may be sent again when its answer was lost.
- Beside the statuses that a method names, any call can be answered `INVALID_ARGUMENT`, `UNAUTHENTICATED`,
  `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED`, `UNAVAILABLE` or `INTERNAL`, with [reasons](../api.md#errors).
- A request that breaks a rule of the column *must* is answered `INVALID_ARGUMENT`, with the path of the
  field. Where the cell is empty, anything is taken. What the server alone sends is not checked.
"""


def page(
    wire: Wire, name: str, service: ServiceDescriptorProto | None = None, number: int = 0
) -> str:
    """One page: the methods of a service, then the messages and enums that stand there."""
    if service is not None:
        text = f"# {service.name}\n\n{wire.comment(service.name, 6, number)}\n\n## Methods\n"
        for place, method in enumerate(service.method):
            text += rpc(wire, service, method, (6, number, 2, place))
    else:
        text = "# Shared messages\n\nWhat more than one service speaks of, and what files hold.\n"
    text += "\n## Messages\n"
    for place, message in enumerate(wire.file.message_type):
        if wire.pages[message.name] == name:
            text += message_text(wire, message, (4, place), message.name)
    values = [each for each in enumerate(wire.file.enum_type) if wire.pages[each[1].name] == name]
    return (
        text
        + ("\n## Enums\n" if values else "")
        + "".join(enum_text(wire, enum, (5, place)) for place, enum in values)
    )


def rpc(
    wire: Wire,
    service: ServiceDescriptorProto,
    method: MethodDescriptorProto,
    path: tuple[int, ...],
) -> str:
    """What a method does, takes and answers, who may call it, and whether twice is once."""
    rule = METHODS[f"/later.v1.{service.name}/{method.name}"]
    comment = wire.comment(method.name, *path)
    asks = "a stream of " * method.client_streaming + wire.link(local(method.input_type))
    answers = "a stream of " * method.server_streaming + wire.link(local(method.output_type))
    own = [name for name in re.findall(r"[A-Z_]{5,}", comment) if name in STATUSES]
    noted = "; each call is noted in the audit log" if rule.is_change else ""
    lines = [
        f"takes {asks}",
        f"answers {answers}",
        f"permission `{rule.permission}`{noted}",
        f"may be repeated: {repeating(wire, service, method)}",
    ]
    if own:
        lines.append(
            f"statuses of its own: {', '.join(f'`{name}`' for name in dict.fromkeys(own))}"
        )
    listed = "".join(f"- {line}\n" for line in lines)
    return f"\n### {method.name}\n\n{comment}\n\n{listed}"


def repeating(wire: Wire, service: ServiceDescriptorProto, method: MethodDescriptorProto) -> str:
    """Whether the same call may be sent again when nobody knows whether the first one was heard."""
    if not METHODS[f"/later.v1.{service.name}/{method.name}"].is_change:
        return "yes: it changes nothing"
    known = method.name in {*REPEATABLE[f"later.v1.{service.name}"], *_REPEATABLE_STREAMS}
    if not known:
        return "no: a second call is judged by what the first has left"
    request = local(method.input_type)
    if any(_has_own_id(wire, name) for name in (request, *wire.used_by(wire.messages[request]))):
        return "yes, under an id of the client's own: twice is once"
    return "yes: twice is once"


def _has_own_id(wire: Wire, name: str) -> bool:
    places = [place for place, message in enumerate(wire.file.message_type) if message.name == name]
    return any(
        text.startswith(_OWN_ID)
        for path, text in wire.comments.items()
        if len(path) == 4 and path[:1] == (4,) and path[1] in places
    )


def message_text(wire: Wire, message: DescriptorProto, path: tuple[int, ...], name: str) -> str:
    """A message and those inside it: what it is for, its fields, what must hold between them."""
    text = f"\n### {name}\n\n{wire.comment(name, *path)}\n"
    if message.field:
        text += (
            "\n"
            + _TABLE_HEAD
            + "".join(
                row(wire, message, each, (*path, 2, place), name)
                for place, each in enumerate(message.field)
            )
        )
    notes = [f"{wire.markdown(rule)}." for rule in in_words.of_message(message.options)]
    for place, choice in enumerate(message.oneof_decl):
        members = [each for each in message.field if _choice(message, each) == choice.name]
        if members:
            said = wire.comment(f"{name}.{choice.name}", *path, 8, place)
            needed = " One must be set." if in_words.is_needed(choice.options) else ""
            one = " or ".join(f"`{each.name}`" for each in members)
            notes.append(f"{one}, the `{choice.name}`: {said}{needed}")
    text += "\n" * bool(notes) + "".join(f"- {note}\n" for note in notes)
    for place, inner in enumerate(message.nested_type):
        if not inner.options.map_entry:
            text += message_text(wire, inner, (*path, 3, place), f"{name}.{inner.name}")
    return text


def row(
    wire: Wire,
    message: DescriptorProto,
    each: FieldDescriptorProto,
    path: tuple[int, ...],
    name: str,
) -> str:
    """One field as a line of the table."""
    must = in_words.of_field(each.options)
    cells = [
        str(each.number),
        f"`{each.name}`",
        type_text(wire, message, each),
        wire.comment(f"{name}.{each.name}", *path),
        re.sub(r"([\\*<\[\]`|])", r"\\\1", must),
    ]
    return f"| {' | '.join(cells)} |\n"


def type_text(wire: Wire, message: DescriptorProto, each: FieldDescriptorProto) -> str:
    """The type of a field as a reader of the proto would say it."""
    entry = next(
        (
            inner
            for inner in message.nested_type
            if each.type_name.endswith(f".{inner.name}") and inner.options.map_entry
        ),
        None,
    )
    if entry is not None:
        key, value = (type_text(wire, entry, part) for part in entry.field)
        return f"map of {key} to {value}"
    if is_ours(each.type_name):
        kind = wire.link(local(each.type_name))
    elif each.type_name:
        kind = each.type_name.removeprefix(".google.protobuf.").removeprefix(".")
    else:
        kind = _SCALARS.Name(each.type).removeprefix("TYPE_").lower()
    if each.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"list of {kind}"
    return f"optional {kind}" if each.proto3_optional else kind


def _choice(message: DescriptorProto, each: FieldDescriptorProto) -> str:
    """The name of the choice that a field is part of, if any; what is merely optional is part of none."""
    if not each.HasField("oneof_index") or each.proto3_optional:
        return ""
    return message.oneof_decl[each.oneof_index].name


def enum_text(wire: Wire, enum: EnumDescriptorProto, path: tuple[int, ...]) -> str:
    """An enum: what it is for, and its values."""
    head = "| no. | value | meaning |\n| --- | --- | --- |\n"
    text = f"\n### {enum.name}\n\n{wire.comment(enum.name, *path)}\n\n{head}"
    for place, value in enumerate(enum.value):
        text += (
            f"| {value.number} | `{value.name}` | {wire.comment(value.name, *path, 2, place)} |\n"
        )
    return text


def compiled() -> FileDescriptorProto:
    """The wire as protoc reads it, with its comments."""
    with tempfile.TemporaryDirectory() as folder:
        image = FileDescriptorSet.FromString(write_image(Path(folder)).read_bytes())
    return next(file for file in image.file if file.name == FILE)


def main(arguments: Sequence[str]) -> int:
    """Write, or check; answer the exit code."""
    made = pages(compiled())
    there = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.md")}
    stale = sorted(name for name in made | there if made.get(name) != there.get(name))
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is stale: run tox -e reference", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        if name in made:
            (TARGET / name).write_text(made[name], encoding="utf-8")
        else:
            (TARGET / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
