"""Makes protovalidate's rules known to google.protobuf before our messages are loaded.

``later.proto`` imports ``buf/validate/validate.proto``, so its generated code imports
``buf.validate.validate_pb2``. No distribution ships that module; protovalidate carries the same
descriptor in another form. ``tox -e proto`` writes it beside the generated code, and from there the module is
made here, without protovalidate, which is large (docs/decisions/0006).
"""

from __future__ import annotations

import sys
from importlib.resources import files
from importlib.util import find_spec
from types import ModuleType

from google.protobuf import (  # noqa: F401 - what the rules import must be in the pool before them
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)

_MODULE = "buf.validate.validate_pb2"
_FILE = "buf/validate/validate.proto"

#: Its serialized FileDescriptorProto, beside the generated code.
DESCRIPTOR = "validate.binpb"


def register() -> None:
    """Provide ``buf.validate.validate_pb2`` unless some installed package really has it."""
    if _MODULE in sys.modules or _is_installed():
        return
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(_FILE)
    except KeyError:
        pool.AddSerializedFile(files("later_core.rpc.v1").joinpath(DESCRIPTOR).read_bytes())
    parent: ModuleType | None = None
    for name in ("buf", "buf.validate", _MODULE):
        module = sys.modules.get(name)
        if module is None:
            module = sys.modules[name] = ModuleType(name)
            module.__path__ = []
        if parent is not None:
            setattr(parent, name.rpartition(".")[2], module)
        parent = module


def _is_installed() -> bool:
    try:
        return find_spec(_MODULE) is not None
    except ModuleNotFoundError:
        return False
