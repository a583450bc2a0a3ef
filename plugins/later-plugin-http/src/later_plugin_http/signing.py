"""A signature by which a receiver knows that a request came from this server, and not long ago."""

import hashlib
import hmac
from collections.abc import Mapping


def signature_headers(secret: bytes, timestamp: int, body: bytes) -> Mapping[str, str]:
    """HMAC-SHA256 over the timestamp (Unix seconds), a full stop and the body, as hexadecimal digits."""
    digest = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"Later-Timestamp": str(timestamp), "Later-Signature": f"sha256={digest.hexdigest()}"}
