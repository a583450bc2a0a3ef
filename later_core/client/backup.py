"""The file of a backup: what an export said, in blocks that are checked one by one and as a whole.

The file is a series of gzip members (RFC 1952), so that ``gzip -t`` and ``zcat`` know it too. Each one
holds a ``BackupBlock`` of the proto after its length: a header, then the messages of the export as the
server sent them, then a trailer with their number and a digest of every byte before it.

gzip checks each block, the digest the whole. The header of a member is always the same ten bytes. So
a byte that was changed is noticed, wherever it stands.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from io import BytesIO
from struct import Struct
from typing import Protocol

from google.protobuf.message import DecodeError
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed

from later_core.client.backup_errors import BackupDamaged, BackupUnusable, Totals
from later_core.rpc.v1 import later_pb2 as pb

#: Of the form written here; a reader refuses newer ones.
FORM = 1

#: The most that a block holds, unpacked and packed: a message of the server's, with room to spare.
BLOCK_MAX_BYTES = 8 * 1024 * 1024

_MEMBER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_CHECK = Struct("<II")
_CHUNK = 64 * 1024
#: Twice as fast as gzip's own choice, and hardly larger.
_LEVEL = 4


class Source(Protocol):
    """What a backup is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class Sink(Protocol):
    """What a backup is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of it."""


class BackupWriter:
    """Writes a backup, or goes on behind what a reader found whole. Blocks the caller: best in a thread."""

    def __init__(self, sink: Sink, *, behind: BackupReader | None = None) -> None:
        self._sink = sink
        self._digest = behind.digest() if behind else hashlib.sha256()
        self.totals = behind.totals if behind else Totals()

    def begin(self, request: pb.ExportInstancesRequest) -> None:
        """Write the header."""
        header = pb.BackupHeader(version=FORM, later_version=version("later-core"), request=request)
        self._write(pb.BackupBlock(header=header))

    def add(self, part: pb.ExportInstancesResponse) -> None:
        """Write a message of the export."""
        self._write(pb.BackupBlock(part=part))
        self.totals = self.totals.with_part(len(part.instances), len(part.schedules))

    def end(self) -> None:
        """Write the trailer: the file is whole."""
        trailer = pb.BackupTrailer(
            parts=self.totals.parts,
            instances=self.totals.instances,
            schedules=self.totals.schedules,
            sha256=self._digest.digest(),
        )
        self._write(pb.BackupBlock(trailer=trailer))

    def _write(self, block: pb.BackupBlock) -> None:
        plain = BytesIO()
        serialize_length_prefixed(block, plain)
        data = plain.getvalue()
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = deflate.compress(data) + deflate.flush()
        member = _MEMBER + body + _CHECK.pack(zlib.crc32(data), len(data))
        self._sink.write(member)
        self._digest.update(member)


class BackupReader:
    """Reads a backup from its beginning, in memory that does not grow with it.

    ``size`` is how many bytes of it were whole blocks, ``totals`` what they held, and ``token`` where the
    export goes on behind them.
    """

    def __init__(self, source: Source) -> None:
        """Read the header.

        Raises:
            BackupUnusable.

        """
        self.totals = Totals()
        self.size = 0
        self.token = ""
        self._source = source
        self._buffer = b""
        self._digest = hashlib.sha256()
        self._member = hashlib.sha256()
        self._member_size = 0
        self.request = self._header()

    def digest(self) -> hashlib._Hash:
        """That of the whole blocks so far."""
        return self._digest.copy()

    def parts(self) -> Iterator[pb.ExportInstancesResponse]:
        """The messages of the export, one a block; ends only where the file is found whole.

        Raises:
            BackupDamaged: it is cut off, or not as it was written. What came before is good.

        """
        while True:
            block = self._block()
            if block is None:
                raise self._damaged("it is cut off: there is no more of it")
            match block.WhichOneof("content"):
                case "part":
                    part = block.part
                    self._accept()
                    self.token = part.resume_token
                    self.totals = self.totals.with_part(len(part.instances), len(part.schedules))
                    yield part
                case "trailer":
                    self._judge(block.trailer)
                    self._accept()
                    return
                case _:
                    raise self._damaged("a block is of no kind that belongs there")

    def _header(self) -> pb.ExportInstancesRequest:
        try:
            block = self._block()
        except BackupDamaged as error:
            raise BackupUnusable(
                f"not a backup of Later, or damaged at its beginning: {error}"
            ) from None
        if block is None:
            raise BackupUnusable("it is empty")
        if block.WhichOneof("content") != "header" or block.header.version < 1:
            raise BackupUnusable("not a backup of Later: it has no header")
        if block.header.version > FORM:
            raise BackupUnusable(
                f"a newer Later ({block.header.later_version}) has written it in form"
                f" {block.header.version}, and this one knows {FORM}: upgrade later-core"
            )
        self._accept()
        return block.header.request

    def _judge(self, trailer: pb.BackupTrailer) -> None:
        found = Totals(
            parts=trailer.parts, instances=trailer.instances, schedules=trailer.schedules
        )
        if trailer.sha256 != self._digest.digest() or found != self.totals:
            raise self._damaged("its blocks are not those that were written")
        if self._take(1):
            raise self._damaged("something follows behind its end")

    def _accept(self) -> None:
        """What was read belongs to the whole blocks."""
        self._digest = self._member
        self.size += self._member_size

    def _block(self) -> pb.BackupBlock | None:
        """The next block; None at the end of the file."""
        self._member = self._digest.copy()
        self._member_size = 0
        begin = self._take(len(_MEMBER))
        if not begin:
            return None
        if begin != _MEMBER:
            raise self._damaged(
                "it is cut off" if _MEMBER.startswith(begin) else "a block has no beginning"
            )
        data = self._inflate()
        check = self._take(_CHECK.size)
        if len(check) < _CHECK.size:
            raise self._damaged("it is cut off")
        if _CHECK.unpack(check) != (zlib.crc32(data), len(data)):
            raise self._damaged("the checksum of a block is wrong")
        return self._parsed(data)

    def _parsed(self, data: bytes) -> pb.BackupBlock:
        plain = BytesIO(data)
        try:
            block = parse_length_prefixed(pb.BackupBlock, plain)
        except (DecodeError, ValueError):
            block = None
        if block is None or plain.read(1):
            raise self._damaged("a block is not a message of this form")
        return block

    def _inflate(self) -> bytes:
        """What is packed at this place, never more than the bound."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        found = bytearray()
        packed = b""
        while not inflate.eof:
            rest = inflate.unconsumed_tail
            if not rest:
                self._note(packed)
                rest = packed = self._read()
            if not rest:
                raise self._damaged("it is cut off")
            try:
                found += inflate.decompress(rest, BLOCK_MAX_BYTES + 1 - len(found))
            except zlib.error:
                raise self._damaged("a block cannot be unpacked") from None
            if max(len(found), self._member_size) > BLOCK_MAX_BYTES:
                raise self._damaged("a block is larger than any that was written")
        self._buffer = inflate.unused_data
        self._note(packed[: len(packed) - len(self._buffer)])
        return bytes(found)

    def _take(self, size: int) -> bytes:
        """So many bytes, fewer at the end of the file."""
        while len(self._buffer) < size and (more := self._source.read(_CHUNK)):
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        self._note(taken)
        return taken

    def _read(self) -> bytes:
        """Some bytes, which are not noted yet; none at the end of the file."""
        taken, self._buffer = self._buffer, b""
        return taken or self._source.read(_CHUNK)

    def _note(self, data: bytes) -> None:
        """These bytes belong to the block that is being read."""
        self._member.update(data)
        self._member_size += len(data)

    def _damaged(self, what: str) -> BackupDamaged:
        return BackupDamaged(what, self.totals)
