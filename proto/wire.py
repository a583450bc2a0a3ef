"""The wire as its reference sees it: each part, its comment, and the page on which it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

SHARED = "shared"
STATUSES = {code.name for code in grpc.StatusCode} - {"OK"}
_PREFIX = ".later.v1."


class Uncommented(Exception):
    """A part of the wire without a comment: buf's lint says so too."""


@dataclass
class Wire:
    """The file, the comment of each of its parts, and on which page each type stands."""

    file: FileDescriptorProto
    comments: dict[tuple[int, ...], str] = field(default_factory=dict)
    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for place in self.file.source_code_info.location:
            self.comments[tuple(place.path)] = " ".join(place.leading_comments.split())
        self.values = sorted({*STATUSES, *self._values()})
        self.messages = {message.name: message for message in self.file.message_type}
        names = [*self.messages, *(enum.name for enum in self.file.enum_type)]
        self.pages = {name: self._page_of(name) for name in names}
        self.pages |= {
            method.name: page_name(service)
            for service in self.file.service
            for method in service.method
        }

    def comment(self, name: str, *path: int) -> str:
        """What the proto says of a part, as Markdown.

        Raises:
            Uncommented.
        """
        text = self.comments.get(path)
        if not text:
            raise Uncommented(name)
        return self.markdown(text)

    def markdown(self, text: str) -> str:
        """A comment with its words of code as code, and names of methods and messages as links."""
        escaped = re.sub(r"([\\*<\[\]`|])", r"\\\1", text)
        words = re.compile(
            rf"\b(?:[a-z]+(?:_[a-z]+)+|[A-Z]+(?:_[A-Z]+)+|{'|'.join(self.values)})\b"
        )
        coded = words.sub(r"`\g<0>`", escaped)
        return re.sub(
            r"\b[A-Z][a-z]+[A-Z]\w+\b",
            lambda found: self.link(found[0]) if found[0] in self.pages else found[0],
            coded,
        )

    def link(self, name: str) -> str:
        """A link to where a message, an enum or a method stands; ``Outer.Inner`` stands by itself."""
        return f"[{name}]({self.pages[name.partition('.')[0]]}.md#{anchor(name)})"

    def used_by(self, message: DescriptorProto) -> Iterator[str]:
        """The types of this file that the fields of a message have, or of the messages in it."""
        for each in message.field:
            if is_ours(each.type_name):
                yield local(each.type_name).partition(".")[0]
        for inner in message.nested_type:
            yield from self.used_by(inner)

    def _values(self) -> Iterator[str]:
        """The values of enums as comments call them: PENDING for STATE_PENDING."""
        for enum in self.file.enum_type:
            prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper()
            for value in enum.value:
                yield value.name.removeprefix(f"{prefix}_")

    def _page_of(self, name: str) -> str:
        """The page of the one service that speaks of a type, else the shared one."""
        for service in self.file.service:
            for method in service.method:
                if name in {local(method.input_type), local(method.output_type)}:
                    return page_name(service)
        speaking = {
            page_name(service) for service in self.file.service if name in self._all(service)
        }
        return speaking.pop() if len(speaking) == 1 else SHARED

    def _all(self, service: ServiceDescriptorProto) -> set[str]:
        found = set[str]()
        ahead = [
            local(kind)
            for method in service.method
            for kind in (method.input_type, method.output_type)
        ]
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead.extend(self.used_by(self.messages[name]) if name in self.messages else ())
        return found


def page_name(service: ServiceDescriptorProto) -> str:
    """The page of a service: ``instances`` for ``InstanceService``."""
    word = service.name.removesuffix("Service").lower()
    return word if word == "admin" else f"{word}s"


def anchor(heading: str) -> str:
    """The anchor that Sphinx, and GitHub too, makes of a heading of ours."""
    return heading.lower().replace(".", "")


def is_ours(type_name: str) -> bool:
    """Whether a type is of this file."""
    return type_name.startswith(_PREFIX)


def local(name: str) -> str:
    """The name of a type of this file, without its package."""
    return name.removeprefix(_PREFIX)
