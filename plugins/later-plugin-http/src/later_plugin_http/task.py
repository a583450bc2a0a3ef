"""One request an attempt, and what its answer means."""

import errno
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from later_core import Context, Task, TaskError, parse_parameters
from later_plugin_http.connections import Connections
from later_plugin_http.order import Order
from later_plugin_http.signing import signature_headers

#: JSON may write one byte as six: with more the result could pass the 1 MiB that Later keeps.
MOST_RESULT_BYTES = 128 * 1024
#: A year; no policy waits as long.
_LONGEST_SECONDS = 365 * 24 * 3600
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Http(Task):
    """Sends a request, and keeps the answer."""

    name = "http"
    description = "Sends an HTTP request, and succeeds or fails by the status of its answer."
    parameters_schema: ClassVar[Mapping[str, Any]] = Order.model_json_schema()

    def __init__(
        self,
        connections: Connections,
        *,
        signing_secret: bytes = b"",
        result_bytes: int = 64 * 1024,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 - receivers compare it with their clocks
    ) -> None:
        self._connections = connections
        self._signing_secret = signing_secret
        self._result_bytes = min(max(result_bytes, 0), MOST_RESULT_BYTES)
        self._now = now

    async def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        try:
            status, result, said, wait = await self._exchange(order, context)
        except TimeoutError as error:
            raise TaskError("no answer in time", reason="HTTP_TIMEOUT") from error
        except aiohttp.ClientConnectorError as error:
            is_refused = error.os_error.errno == errno.EACCES
            raise TaskError(
                f"no connection: {error.os_error.strerror or error.os_error}",
                reason="ADDRESS_REFUSED" if is_refused else "UNREACHABLE",
                is_final=is_refused,
            ) from error
        except aiohttp.InvalidURL as error:
            raise TaskError(
                "url: it cannot be understood", reason="INVALID_PARAMETERS", is_final=True
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TaskError(f"no answer: {error}", reason="UNREACHABLE") from error
        if order.succeeds(status):
            return result
        raise TaskError(
            f"the receiver answered {status}{said}",
            reason="HTTP_STATUS",
            is_final=order.is_final(status),
            result=result.encode(),
            retry_after=self._wanted(wait),
        )

    def _wanted(self, wait: str) -> timedelta | None:
        """How long the receiver wants to be left alone: seconds or a date (RFC 9110, 10.2.3)."""
        try:
            if wait.isdecimal():
                return timedelta(seconds=min(int(wait), _LONGEST_SECONDS))
            return parsedate_to_datetime(wait) - self._now() if wait else None
        except (ValueError, TypeError):
            return None

    async def _exchange(self, order: Order, context: Context) -> tuple[int, str, str, str]:
        """The status, the result, more for people, and ``Retry-After``.

        Redirects are followed as far as is allowed. What leads to another origin carries neither the
        caller's headers nor the signature there: they were meant for the first.
        """
        url, method, content = URL(str(order.url)), order.method, order.content
        origin, headers = url.origin(), self._headers(order, context)
        session, timeout = self._connections.session(), self._connections.timeout(order.timeout)
        for left in range(order.max_redirects, -1, -1):
            async with session.request(
                method,
                url,
                data=content or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                proxy=self._connections.proxy,
            ) as answer:
                target = _target(answer, method) if left else None
                if target is None:
                    return await self._read(answer)
            url = target
            if url.origin() != origin:
                headers = CIMultiDict(_own_headers(order, context))
        raise AssertionError  # the last one is never followed

    def _headers(self, order: Order, context: Context) -> CIMultiDict[str]:
        headers = CIMultiDict(_own_headers(order, context))
        headers.update(order.headers)
        if self._signing_secret:
            timestamp = int(self._now().timestamp())
            headers.update(signature_headers(self._signing_secret, timestamp, order.content))
        return headers

    async def _read(self, answer: aiohttp.ClientResponse) -> tuple[int, str, str, str]:
        kept = bytearray()
        while len(kept) <= self._result_bytes:
            chunk = await answer.content.read(self._result_bytes + 1 - len(kept))
            if not chunk:
                break
            kept += chunk
        is_truncated = len(kept) > self._result_bytes
        if is_truncated:
            answer.close()  # the rest is not waited for, and the connection not used again
        del kept[self._result_bytes :]
        result = {
            "status": answer.status,
            "content_type": answer.headers.get("Content-Type", ""),
            "body": _text(kept, answer.charset),
            "truncated": is_truncated,
        }
        said = f" {answer.reason}" if answer.reason else ""
        wait = answer.headers.get("Retry-After", "")[:100].strip()
        return answer.status, json.dumps(result, ensure_ascii=False), said, wait


def _own_headers(order: Order, context: Context) -> Mapping[str, str]:
    """The id is the same at each attempt, so that a receiver who knows it already does nothing twice."""
    own = {
        "Idempotency-Key": quote(context.instance.id, safe=_PRINTABLE),
        "Later-Attempt": str(context.attempt),
    }
    if context.trace_parent is not None:
        own["traceparent"] = context.trace_parent
    return own | ({"Content-Type": order.content_type} if order.content_type else {})


def _target(answer: aiohttp.ClientResponse, method: str) -> URL | None:
    """Where a redirect leads that keeps the method and the body (RFC 9110, 15.4); None for any other."""
    keeps = {307, 308} | ({301, 302, 303} if method in {"GET", "HEAD"} else set())
    location = answer.headers.get("Location")
    if answer.status not in keeps or not location:
        return None
    target = answer.url.join(URL(location))
    return target if target.scheme in {"http", "https"} and target.host else None


def _text(content: bytearray, charset: str | None) -> str:
    """The answer as text, whatever it says it is; half characters (lone surrogates) are no text."""
    try:
        text = content.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):
        text = content.decode(errors="replace")
    return text.encode(errors="replace").decode()
