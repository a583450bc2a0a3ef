"""The server put together: a node on its store, behind its gRPC server."""

from later_core.app.node import RunningNode, node
from later_core.app.serve import serve

__all__ = ["RunningNode", "node", "serve"]
