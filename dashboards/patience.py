"""A connection that is kept waiting: whoever takes too long to ask, or does not read the answer, is let go; and nobody may
open so many that none are left for others."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 20.0  # from the first byte of a request, or the opening of a connection, to the last byte of its body
UNREAD_S = 30.0  # in which something of an answer must be taken ...
LEAST_READ = 16_384  # ... so many bytes of it, where more are left
PEER_CONNECTIONS = 100  # of one address at one time
_REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: 40\r\n\r\nToo many connections from this address.\n"
)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to its patience. Uvicorn's own time limit begins after an answer, and ends
    nothing while a part of that answer is unread."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # told of every byte that is not taken at once
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._expect()
        else:
            self._stop_expecting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_waiting()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self.transport.close)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _wait_for_reader(self) -> None:
        self._unread = self.loop.call_later(UNREAD_S, self._look_at_reader, unread_bytes(self.transport))

    def _look_at_reader(self, before: int) -> None:
        # An answer that was written at once is under way for minutes on a slow line, without a word from the transport.
        if before - unread_bytes(self.transport) >= LEAST_READ:
            self._wait_for_reader()
        else:
            self._drop()

    def _drop(self) -> None:
        held = self.transport.get_extra_info("socket")
        if held is not None:  # else the system would keep for minutes what it has of the answer
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()  # to close would be to wait for the reader

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class FairProtocol(PatientProtocol):
    """The same for a server whose clients come by themselves: of one address, only so many connections at one time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None and sum(self._is_of_peer(other) for other in self.connections) > PEER_CONNECTIONS:
            transport.write(_REFUSED)
            transport.close()

    def _is_of_peer(self, other: object) -> bool:
        theirs = getattr(other, "client", None)
        return theirs is not None and self.client is not None and theirs[0] == self.client[0]


def unread_bytes(transport: asyncio.Transport) -> int:
    """Bytes that the other side has not yet received: those that wait here, and those that the system holds."""
    left = transport.get_write_buffer_size()
    with contextlib.suppress(OSError, AttributeError):  # a system that does not tell
        held: socket.socket = transport.get_extra_info("socket")
        (sent,) = struct.unpack("i", fcntl.ioctl(held.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        left += sent
    return left
