"""Peers that mean harm, for tests: HTTP/2 over plain sockets; and a server in a process of its own to stand them."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from enum import IntEnum
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.request import urlopen

from bench.facts import resident
from load.http2 import PREFACE, REFERENCES, first_headers, frame
from programs import ROOT, Program
from server import DEADLINE
from waiting import until

from rightcall import Client, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.transports.choice import Transport

COMPANY: Final = str(ROOT / "examples" / "company.yaml")
LOBBY: Final = "10bb1000-0000-4000-8000-000000000005"
QUESTIONS: Final = (("0900", Decision.DENY), ("112", Decision.ALLOW))
"""What the lobby's telephone dials, and what is right."""
CHECK: Final = "/rightcall.v1.DecisionService/CheckCall"
MEGABYTE: Final = 1_000_000

_GIVE_BACK: Final = """
import ctypes, signal
signal.signal(signal.SIGUSR1, lambda *_: ctypes.CDLL(None).malloc_trim(0))
"""
"""Run by Python before the server: so a test sees what the server holds, not what the C library keeps for later."""
_TIMEOUT: Final = 1.0
"""Seconds after which a server that reads nothing is taken to read no more."""


class Kind(IntEnum):
    """Of a frame."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RESET = 3
    SETTINGS = 4
    PUSH = 5
    PING = 6
    GOAWAY = 7
    WINDOW = 8
    CONTINUATION = 9


END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
GREETING: Final = PREFACE + frame(Kind.SETTINGS, 0, 0, b"")
ACKNOWLEDGED: Final = frame(Kind.SETTINGS, ACK, 0, b"")
"""Of the server's settings; grpcio holds nobody to its limit of headers before."""


def number(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "big")


def greeting(window: int) -> bytes:
    """A hello of somebody who takes this many bytes of each answer."""
    return PREFACE + frame(Kind.SETTINGS, 0, 0, b"\x00\x04" + number(window)) + ACKNOWLEDGED


def message(data: bytes, *, length: int | None = None) -> bytes:
    """A message behind its prefix, which may declare another length."""
    return b"\x00" + number(len(data) if length is None else length) + data


def packed(data: bytes) -> bytes:
    """A message that is compressed, as the headers ``GZIP`` say."""
    small = gzip.compress(data)
    return b"\x01" + number(len(small)) + small


def opened(stream: int, *, path: str = CHECK, more: bytes = b"") -> bytes:
    """The headers of a call: a connection's first one has them all, later ones refer to them."""
    known = first_headers(path, "localhost") if stream == 1 else REFERENCES
    return frame(Kind.HEADERS, END_HEADERS, stream, known + more)


def calls(count: int, data: bytes, *, path: str = CHECK, more: bytes = b"", end: bool = True) -> bytes:
    """Many calls on one connection, each with this as its message; without an end, more of it is awaited."""
    flags = END_STREAM if end else 0
    streams = range(1, 2 * count, 2)
    return b"".join(opened(one, path=path, more=more) + frame(Kind.DATA, flags, one, data) for one in streams)


def field(name: bytes, value: bytes, *, remember: bool = False) -> bytes:
    """A header field as it is, for the server to remember or not."""
    return (b"\x40" if remember else b"\x00") + _text(name) + _text(value)


def in_frames(stream: int, block: bytes, *, size: int = 16_384) -> bytes:
    """Headers in as many frames as they need."""
    pieces = [block[at : at + size] for at in range(0, len(block), size)]
    first, last = 0, len(pieces) - 1
    return b"".join(
        frame(Kind.HEADERS if at == first else Kind.CONTINUATION, END_HEADERS if at == last else 0, stream, piece)
        for at, piece in enumerate(pieces)
    )


def _text(text: bytes) -> bytes:
    left, encoded = len(text), bytearray((min(len(text), 127),))
    if left >= 127:
        left -= 127
        while left > 0x7F:
            encoded.append(left & 0x7F | 0x80)
            left >>= 7
        encoded.append(left)
    return bytes(encoded) + text


GZIP: Final = field(b"grpc-encoding", b"gzip")


class Peer:
    """A connection that sends what it likes, and never reads.

    Args:
        address: of the server.
        hello: what it begins with.
        source: its own address; "": any.
        room: bytes that its side of the connection holds for what the server sends; 0: the usual.
    """

    def __init__(self, address: str, hello: bytes, *, source: str = "", room: int = 0) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.socket()
        self._socket.settimeout(DEADLINE)
        if room:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        if source:
            self._socket.bind((source, 0))
        self._socket.connect((host, int(port)))
        self._socket.settimeout(_TIMEOUT)
        self.send(hello)

    def send(self, data: bytes) -> bool:
        """Sends; False: the server takes no more, or has closed the connection."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def flood(self, data: bytes, total: int) -> int:
        """Sends something again and again, this many bytes in all; returns how many the server took."""
        sent = 0
        while sent < total and self.send(data):
            sent += len(data)
        return sent

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


class Crowd:
    """Any number of peers; as a context manager, they go at the end of the block."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._peers: list[Peer] = []

    def join(self, hello: bytes = GREETING + ACKNOWLEDGED, *, source: str = "", room: int = 0) -> Peer:
        """One more."""
        self._peers.append(Peer(self._address, hello, source=source, room=room))
        return self._peers[-1]

    def __enter__(self) -> Self:
        """The crowd itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes all connections."""
        for peer in self._peers:
            peer.close()


class Asking:
    """A good client that asks all the time; as a context manager, it does inside the block.

    Attributes:
        failures: what it got instead of right answers.
    """

    def __init__(self, address: str) -> None:
        self.failures: list[str] = []
        self._address = address
        self._right = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def is_answered(self, times: int = 20) -> None:
        """Waits until it has had so many more right answers."""
        goal = self._right + times
        until(lambda: self._right >= goal, f"a good client is answered; it got {self.failures}")

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends."""
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        with Client(self._address, timeout=DEADLINE) as client:
            for extension, right in cycle(QUESTIONS):
                if self._enough.wait(0.002):
                    return
                try:
                    decision = client.check(caller=LOBBY, extension=extension).decision
                except Exception as error:  # noqa: BLE001 - whatever it is, the test says it
                    self.failures.append(repr(error))
                    continue
                if decision is right:
                    self._right += 1
                else:
                    self.failures.append(f"{extension}: {decision.name}")


class Target:
    """A server, in a process of its own.

    Args:
        program: the server.
        transport: what it speaks gRPC with.

    Attributes:
        address: of the gRPC API.
        process: its number.
    """

    def __init__(self, program: Program, transport: Transport) -> None:
        started = program.wait_for("server_started")
        self.transport = transport
        self.address: str = started["grpc"]
        self._http: str = started["http"]
        self.process = program._process.pid
        self._program = program

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._program._process.poll() is None

    def files(self) -> int:
        """How many it has open, connections among them."""
        return sum(1 for _ in Path(f"/proc/{self.process}/fd").iterdir())

    def memory(self) -> int:
        """Resident bytes, without what it has freed."""
        assert self.alive
        os.kill(self.process, signal.SIGUSR1)
        return resident("VmRSS", self.process)

    def peak(self) -> int:
        """Resident bytes at the most since ``forget_peak``."""
        return resident("VmHWM", self.process)

    def forget_peak(self) -> None:
        """Begins anew to look for the most."""
        Path(f"/proc/{self.process}/clear_refs").write_text("5", encoding="ascii")

    def answers(self, method: str) -> float:
        """How many it has given, by its own count."""
        with urlopen(f"http://{self._http}/metrics", timeout=DEADLINE) as response:
            text = response.read().decode()
        counted = re.findall(rf'^rightcall_grpc_requests_total{{.*method="{method}"}} (.+)$', text, re.MULTILINE)
        return sum(map(float, counted))

    def complaints(self) -> list[str]:
        """What its log has that no peer may cause."""
        lines = [str(event) for event in self._program.events if event.get("level") in {"error", "critical"}]
        texts = [str(event["text"]) for event in self._program.events if event["event"] == "text"]
        return lines + [text for text in texts if "Traceback" in text or "panicked" in text]

    @contextmanager
    def stands(self, *, kept: int = 40 * MEGABYTE, excused: Sequence[str] = ()) -> Iterator[Crowd]:
        """Attackers do inside the block what they like: good clients are answered, and nothing of it stays.

        Args:
            kept: bytes by which the server may have grown afterwards; generous, and less than a leak would leave.
            excused: texts of failures that a good client may meet meanwhile.
        """
        with Asking(self.address) as good:
            good.is_answered()
            files, memory = self.files(), self.memory()
            with Crowd(self.address) as crowd:
                yield crowd
                good.is_answered()
            good.is_answered()
            until(lambda: self.files() <= files + 5, f"of {files} files no more than those are open again")
            until(lambda: self.memory() <= memory + kept, f"memory is near {memory} bytes again")
        assert self.alive
        assert [failure for failure in good.failures if not any(text in failure for text in excused)] == []


@contextmanager
def attacked(transport: Transport, *options: str) -> Iterator[Target]:
    """``rightcall serve`` on free ports; at the end it stops as it should, and has complained of nothing."""
    listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--transport", transport.value)
    with ExitStack() as stack:
        before = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (before / "sitecustomize.py").write_text(_GIVE_BACK, encoding="ascii")
        path = os.pathsep.join((str(ROOT), str(before)))
        program = stack.enter_context(Program("serve", "--definitions", COMPANY, *listen, *options, PYTHONPATH=path))
        target = Target(program, transport)
        yield target
        with suppress(ProcessLookupError):
            assert program.stop() == 0
        complaints = target.complaints()
        assert not complaints, complaints
