"""Under which name a node lives, and what the others are told of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import uuid_utils

from later_core.model.node import Node
from later_core.ports.store import Store
from later_core.ports.tasks import Tasks

if TYPE_CHECKING:
    from later_core.settings import Settings


def new_node_id() -> str:
    """An id that no other process has, nor this one at another start."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid_utils.uuid4().hex[:8]}"


def describe(
    settings: Settings,
    store: Store,
    tasks: Tasks,
    started_at: datetime,
    new_id: Callable[[], str],
) -> Node:
    """The node as the others are told of it, under a new id."""
    return Node(
        id=new_id(),
        address=settings.listen,
        version=version("later-core"),
        tasks=tasks.names(),
        started_at=started_at,
        has_local_database=store.is_local,
    )
