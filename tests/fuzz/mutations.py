"""Right bytes made wrong: what comes close to being right gets further than what is random."""

from __future__ import annotations

from hypothesis import strategies as st

#: Bytes that mean something to who reads them: ends, lengths, and varints without an end.
_MEANINGFUL = st.sampled_from(
    [
        *(b"\0", b"\xff", b"\n", b"\x80" * 11, b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f"),
        *(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\r\n\r\n"),
    ]
)
_NEW = st.one_of(_MEANINGFUL, st.binary(min_size=1, max_size=6))


@st.composite
def mutated(draw: st.DrawFn, right: st.SearchStrategy[bytes]) -> bytes:
    """Up to six changes of something right: overwritten, inserted, cut out, doubled, or cut off."""
    data = draw(right)
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, min(16, len(data) - place)))
        new = {
            "overwrite": lambda: draw(_NEW),
            "insert": lambda place=place, length=length, data=data: (
                draw(_NEW) + data[place : place + length]
            ),
            "cut out": lambda: b"",
            "double": lambda place=place, length=length, data=data: (
                2 * data[place : place + length]
            ),
        }
        how = draw(st.sampled_from([*new, "cut off"]))
        data = data[:place] + (b"" if how == "cut off" else new[how]() + data[place + length :])
    return data
