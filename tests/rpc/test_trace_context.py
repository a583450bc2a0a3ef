"""Only what the W3C writes is taken for a trace context."""

import pytest

from later_core.rpc.trace_context import sent

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Call:
    """As much of a call as is asked."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self):
        return self._metadata


def test_what_a_client_sends_is_found_among_its_metadata():
    assert sent(Call(("user-agent", "x"), ("traceparent", GOOD))) == GOOD
    assert sent(Call(("user-agent", "x"))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        GOOD.upper(),
        GOOD + "-00",
        GOOD.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        GOOD + "\n",
        GOOD.encode(),
    ],
)
def test_anything_else_is_as_if_it_had_not_been_sent(text: str | bytes):
    assert sent(Call(("traceparent", text))) is None
