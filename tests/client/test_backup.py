"""The file of a backup: whatever happens to it, it is read as it was written, or said to be damaged."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from google.protobuf.proto import serialize_length_prefixed
from hypothesis import given
from hypothesis import strategies as st

from later_core.client import backup
from later_core.client.backup import BLOCK_MAX_BYTES, BackupReader, BackupWriter
from later_core.client.backup_errors import BackupDamaged, BackupUnusable, Totals
from later_core.rpc.v1 import later_pb2 as pb

REQUEST = pb.ExportInstancesRequest(only_instances=True)


def a_part(number: int) -> pb.ExportInstancesResponse:
    """A part of three instances and a schedule."""
    part = pb.ExportInstancesResponse(resume_token=f"token-{number}")
    for place in range(3):
        exported = part.instances.add(fingerprint=b"\x00f")
        exported.instance.id = f"id-{number}-{place}"
        exported.instance.parameters = bytes(range(number, number + 20))
    part.schedules.add().schedule.id = f"schedule-{number}"
    return part


PARTS = [a_part(number) for number in range(6)]


def written(parts: list[pb.ExportInstancesResponse] = PARTS, *, whole: bool = True) -> bytes:
    out = io.BytesIO()
    writer = BackupWriter(out)
    writer.begin(REQUEST)
    for part in parts:
        writer.add(part)
    if whole:
        writer.end()
    return out.getvalue()


WHOLE = written()
CUT = written(whole=False)


def read(data: bytes) -> list[pb.ExportInstancesResponse]:
    return list(BackupReader(io.BytesIO(data)).parts())


def good_parts(data: bytes) -> tuple[list[pb.ExportInstancesResponse], BackupReader]:
    """What comes before the damage, which must be there."""
    reader = BackupReader(io.BytesIO(data))
    found: list[pb.ExportInstancesResponse] = []
    with pytest.raises(BackupDamaged) as caught:
        found.extend(reader.parts())  # those before the damage stay
    assert caught.value.totals == reader.totals
    assert reader.totals.parts == len(found)
    return found, reader


def member(block: pb.BackupBlock) -> bytes:
    """A block as the file has it, whatever is in it."""
    plain = io.BytesIO()
    serialize_length_prefixed(block, plain)
    return packed(plain.getvalue())


def packed(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    return backup._MEMBER + body + backup._CHECK.pack(zlib.crc32(data), len(data))


def test_what_was_written_is_read() -> None:
    reader = BackupReader(io.BytesIO(WHOLE))
    assert reader.request == REQUEST
    assert list(reader.parts()) == PARTS
    assert reader.totals == Totals(parts=6, instances=18, schedules=6)
    assert (reader.size, reader.token) == (len(WHOLE), "token-5")


def test_gzip_reads_it_too() -> None:
    assert b"id-5-2" in gzip.decompress(WHOLE)


def test_a_backup_of_nothing_is_whole() -> None:
    assert read(written([])) == []


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_off_is_good_up_to_its_last_whole_part(length: int) -> None:
    try:
        found, _ = good_parts(WHOLE[:length])
    except BackupUnusable:
        assert length < WHOLE.index(backup._MEMBER, 1)
    else:
        assert found == PARTS[: len(found)]


@given(
    st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.sampled_from(["change", "add", "drop"])
)
def test_no_changed_byte_goes_unnoticed(place: int, change: int, how: str) -> None:
    middle = {"change": bytes([WHOLE[place] ^ change]), "add": bytes([change, WHOLE[place]])}
    data = WHOLE[:place] + middle.get(how, b"") + WHOLE[place + 1 :]
    try:
        found = read(data)
    except (BackupUnusable, BackupDamaged):
        return
    # Bits that fill up the last byte of the trailer's packed form mean nothing.
    assert found == PARTS
    assert place >= len(CUT)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    with pytest.raises(BackupUnusable):
        BackupReader(io.BytesIO(data))
    for more in (CUT + data, CUT + packed(data), CUT + backup._MEMBER + data):
        found, _ = good_parts(more)
        assert found == PARTS


@given(st.lists(st.integers(0, 7), max_size=10).filter(lambda order: order != list(range(8))))
def test_parts_that_were_moved_are_noticed(order: list[int]) -> None:
    starts = [0]
    while (found := WHOLE.find(backup._MEMBER, starts[-1] + 1)) > 0:
        starts.append(found)
    pieces = [
        WHOLE[start:end] for start, end in zip(starts, [*starts[1:], len(WHOLE)], strict=True)
    ]
    assert len(pieces) == 8
    with pytest.raises((BackupUnusable, BackupDamaged)):
        read(b"".join(pieces[number] for number in order))


@given(st.integers(0, len(WHOLE) - 1))
def test_an_export_that_broke_off_can_be_gone_on_with(length: int) -> None:
    out = io.BytesIO(WHOLE[:length])
    try:
        reader = BackupReader(out)
    except BackupUnusable:
        return  # not even its header was whole
    found: list[pb.ExportInstancesResponse] = []
    with pytest.raises(BackupDamaged):
        found.extend(reader.parts())  # those before the damage stay
    out.seek(reader.size)
    out.truncate()
    writer = BackupWriter(out, behind=reader)
    rest = (
        PARTS[[part.resume_token for part in PARTS].index(reader.token) + 1 :] if found else PARTS
    )
    for part in rest:
        writer.add(part)
    writer.end()
    assert out.getvalue() == WHOLE


def test_a_newer_form_is_refused() -> None:
    header = pb.BackupHeader(version=2, later_version="9.9")
    with pytest.raises(BackupUnusable, match=r"a newer Later \(9\.9\) .*: upgrade later-core"):
        BackupReader(io.BytesIO(member(pb.BackupBlock(header=header))))


def test_a_file_without_a_header_is_no_backup() -> None:
    for block in (pb.BackupBlock(part=PARTS[0]), pb.BackupBlock()):
        with pytest.raises(BackupUnusable, match="no header"):
            BackupReader(io.BytesIO(member(block)))


def test_what_unpacks_to_more_than_a_block_is_not_unpacked() -> None:
    bomb = packed(bytes(4 * BLOCK_MAX_BYTES))
    assert len(bomb) < BLOCK_MAX_BYTES
    with pytest.raises(BackupDamaged, match="larger than any"):
        read(CUT + bomb)


def test_what_unpacks_to_nothing_for_ever_is_given_up() -> None:
    class Endless:
        """A stream that never ends: empty stored blocks."""

        def __init__(self) -> None:
            self.begin = CUT + backup._MEMBER
            self.given = 0

        def read(self, size: int) -> bytes:
            if self.begin:
                begin, self.begin = self.begin, b""
                return begin
            self.given += 1
            return b"\x00\x00\x00\xff\xff" * 10_000

    source = Endless()
    with pytest.raises(BackupDamaged, match="larger than any"):
        list(BackupReader(source).parts())
    assert source.given * 50_000 < 2 * BLOCK_MAX_BYTES


def test_a_source_that_gives_little_at_a_time_is_read() -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(7, size or 7))

    assert list(BackupReader(Dripping(WHOLE)).parts()) == PARTS
