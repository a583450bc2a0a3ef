"""What would be too much for a server, or more than somebody may have."""

from __future__ import annotations

from later_core.errors.root import LaterError


class LimitReached(LaterError):
    """A bound that keeps this server alive."""

    reason = "LIMIT_REACHED"


class SubscriberTooSlow(LimitReached):
    """The subscriber did not read fast enough for its bounded queue.

    ``resume_token`` continues behind the last event it was given.
    """

    reason = "SUBSCRIBER_TOO_SLOW"

    def __init__(self, resume_token: str) -> None:
        self.resume_token = resume_token
        super().__init__(
            "the subscriber reads slower than events happen and its queue is full;"
            " watch again with the resume_token, with a narrower filter or a faster reader"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"resume_token": self.resume_token}


class ClientStalled(LimitReached):
    """The client of a stream has taken nothing for a long time, while there was something to take.

    ``seconds``: how long that was.
    """

    reason = "CLIENT_STALLED"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"nothing of what this stream has to tell was read for {seconds:g} s;"
            " call again, with the resume token where there is one, and read as it comes"
        )


class ServerOverloaded(LimitReached):
    """A call that would cost this server memory or punctuality. Worth another try, after a while.

    ``retry_after``: how long, in seconds, it is of no use to try again.
    """

    reason = "SERVER_OVERLOADED"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("this server has more to do than it can do in time; try again")


class QuotaExceeded(LimitReached):
    """The caller has had as much created as it may in a time. Worth another try, after a while.

    ``retry_after``: as in ``ServerOverloaded``.
    """

    reason = "QUOTA_EXCEEDED"

    def __init__(self, principal: str, limit: str, retry_after: float) -> None:
        self.principal = principal
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(
            f"{principal or 'whoever asks'!r} may have {limit} created by this server; try again later"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"principal": self.principal, "limit": self.limit}


class PendingLimitReached(LimitReached):
    """As many instances of the caller as it may have PENDING wait already. Worth another try, once some
    have started.

    ``retry_after``: as in ``ServerOverloaded``.
    """

    reason = "PENDING_LIMIT_REACHED"

    def __init__(self, principal: str, limit: int, retry_after: float) -> None:
        self.principal = principal
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(
            f"{principal or 'whoever asks'!r} may have {limit:,} instances PENDING, and has no room for"
            " more: let some start, abort some, or have the limit raised (LATER_PENDING_LIMITS, or a token"
            " with another --max-pending)"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"principal": self.principal, "limit": str(self.limit)}


class TooManyWatches(LimitReached):
    """As many watches as this node serves at once are open."""

    reason = "TOO_MANY_WATCHES"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"this node serves {limit:,} watches at once, and as many are open; close one, ask another"
            " node, or raise LATER_MAX_WATCHES"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"limit": str(self.limit)}
