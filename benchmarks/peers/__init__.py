"""The peers that Later is compared with, measured on the same MongoDB in the same run."""

from __future__ import annotations

from benchmarks.peers.runner import measure_peers

__all__ = ["measure_peers"]
