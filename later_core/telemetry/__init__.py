"""What the server says about itself: log lines always, metrics and traces where they are asked for."""

from later_core.telemetry.logs import configure_logging

__all__ = ["configure_logging"]
