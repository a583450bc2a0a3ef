"""docs/reference says of every part of the wire what its comment says, and stands as it would be made now."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FieldOptions, FileDescriptorProto

from later_core.rpc.auth.methods import METHODS
from later_core.rpc.v1 import later_pb2


@pytest.fixture
def reference(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "proto"))
    return importlib.import_module("reference")


@pytest.fixture
def in_words(reference: ModuleType) -> ModuleType:
    return reference.in_words


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[str, str]:
    folder = root / "docs" / "reference"
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}


def test_the_reference_is_fresh(root: Path):
    command = [sys.executable, root / "proto" / "reference.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def messages(parents: Iterator[Descriptor] | list[Descriptor]) -> Iterator[Descriptor]:
    for message in parents:
        if not message.GetOptions().map_entry:
            yield message
            yield from messages(list(message.nested_types))


def test_every_field_and_value_of_the_wire_stands_in_it(pages: dict[str, str]):
    file = later_pb2.DESCRIPTOR
    text = "".join(pages.values())
    for message in messages(list(file.message_types_by_name.values())):
        name = message.full_name.removeprefix("later.v1.")
        (section,) = [part for part in text.split("\n### ") if part.startswith(f"{name}\n")]
        for field in message.fields:
            assert f"| {field.number} | `{field.name}` | " in section, field.full_name
    for enum in file.enum_types_by_name.values():
        for value in enum.values:
            assert f"| {value.number} | `{value.name}` | " in text


def test_every_method_says_who_may_call_it_and_whether_twice_is_once(pages: dict[str, str]):
    text = "".join(pages.values())
    for service in later_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            rule = METHODS[f"/{service.full_name}/{method.name}"]
            (section,) = [p for p in text.split("\n### ") if p.startswith(f"{method.name}\n")]
            assert f"- permission `{rule.permission}`" in section
            assert "\n- may be repeated: " in section


def test_a_part_without_a_comment_is_refused_by_its_name(reference: ModuleType):
    file = FileDescriptorProto.FromString(reference.compiled().SerializeToString())
    for place in list(file.source_code_info.location):
        if list(place.path) == [4, 0, 2, 1]:
            place.ClearField("leading_comments")
    named = f"{file.message_type[0].name}.{file.message_type[0].field[1].name}"
    with pytest.raises(importlib.import_module("wire").Uncommented, match=named):
        reference.pages(file)


def test_a_rule_that_has_no_words_is_refused(in_words: ModuleType):
    options = FieldOptions()
    options.Extensions[in_words._FIELD].string.contains = "x"
    with pytest.raises(ValueError, match="no words for the rule contains"):
        in_words.of_field(options)


def test_rules_are_said_in_words(in_words: ModuleType):
    options = FieldOptions()
    rules = options.Extensions[in_words._FIELD]
    rules.string.min_len, rules.string.max_len = 1, 64
    assert in_words.of_field(options) == "hold 1 to 64 characters"
    rules.ignore = in_words._IF_SET
    assert in_words.of_field(options) == "if it is set: hold 1 to 64 characters"
    rules.Clear()
    rules.double.gte = 0
    rules.double.lte = 0.5
    assert in_words.of_field(options) == "be 0 to 0.5"
    rules.Clear()
    rules.duration.gte.nanos = 1_000_000
    rules.duration.lte.seconds = 86_400 * 7
    assert in_words.of_field(options) == "be 1 ms to 7 days"
