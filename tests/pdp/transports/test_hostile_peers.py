"""Hostile peers, on every transport: the server stays up, good clients are answered, and nothing of the others stays.

What came of each attack, and what helps where something remains, is in docs/security.md.
"""

from __future__ import annotations

import random
import resource
from typing import TYPE_CHECKING

import grpc
import pytest
from bench.facts import resident
from cores import built
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hostile import (
    ACKNOWLEDGED,
    CHECK,
    END_HEADERS,
    END_STREAM,
    GREETING,
    GZIP,
    LOBBY,
    MEGABYTE,
    PADDED,
    Crowd,
    Kind,
    attacked,
    calls,
    field,
    greeting,
    in_frames,
    message,
    number,
    opened,
    packed,
)
from load.http2 import first_headers, frame
from security import bearer, client_of, clients_file
from server import DEADLINE
from waiting import until

from pdp.transports.choice import Transport
from rightcall import Client, Decision, v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hostile import Target

HEADERS = first_headers(CHECK, "localhost")
CALL = v1.CheckCallRequest(caller=LOBBY, extension="0900")
QUESTION = message(CALL.SerializeToString())
HALF = message(b"abc", length=1_000_000)
"""The beginning of a message that never comes."""
STATUS, HEALTH, WATCH = (
    "/rightcall.v1.DirectoryService/GetStatus",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
)
IDLE = 10_000
LARGE = 32 * MEGABYTE
GIGABYTES = 2**32 - 1
"""As much as a message can declare."""
GRPCIO, CORE = Transport.GRPCIO, Transport.CORE


@pytest.fixture(scope="module", autouse=True)
def files() -> Iterator[int]:
    """Open files that may be had at the same time, here and in the servers that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, IDLE + 1000)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    yield allowed
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=[GRPCIO, pytest.param(CORE, marks=built)], ids=lambda transport: transport.value)
def target(request: pytest.FixtureRequest, files: int) -> Iterator[Target]:
    """A server as it is by default, with each transport."""
    assert files
    with attacked(request.param) as it:
        yield it


def health(address: str) -> int:
    """What a health check says, over a connection of its own."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        check = channel.unary_unary(
            HEALTH,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        return check(HealthCheckRequest(), timeout=DEADLINE).status


def refused(address: str, data: bytes, compression: grpc.Compression | None = None) -> grpc.StatusCode:
    """The status with which CheckCall ends that was sent these bytes."""
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK)
        with pytest.raises(grpc.RpcError) as ended:
            send(data, timeout=DEADLINE, compression=compression)
    return ended.value.code()


def test_random_bytes_harm_nobody(target: Target) -> None:
    """Hundreds of connections, with and without a proper beginning."""
    chance = random.Random(6)
    with target.stands() as crowd:
        for turn in range(400):
            crowd.join((b"", GREETING, GREETING + asked(1))[turn % 3]).send(chance.randbytes(chance.randrange(1, 4000)))


def asked(stream: int, more: bytes = b"") -> bytes:
    """A whole call, with more headers than it needs."""
    return opened(stream, more=more) + frame(Kind.DATA, END_STREAM, stream, QUESTION)


MALFORMED = {
    "another protocol": b"",
    "a length beyond the frame": b"\x00\x00\x01\x01\x05" + number(1),
    "a frame that ends early": b"\x00\x40\x00\x00\x00" + number(1) + b"abc",
    "a frame of 16 MB": b"\xff\xff\xff\x00\x00" + number(1) + bytes(100_000),
    "data on stream 0": frame(Kind.DATA, 0, 0, b"x"),
    "data on no stream": frame(Kind.DATA, 0, 9, b"x"),
    "more padding than frame": opened(1) + frame(Kind.DATA, PADDED, 1, b"\xff"),
    "headers on stream 0": frame(Kind.HEADERS, END_HEADERS, 0, HEADERS),
    "an even stream": frame(Kind.HEADERS, END_HEADERS, 2, HEADERS),
    "streams that go back": asked(1) + asked(5) + asked(3),
    "headers that cannot be read": frame(Kind.HEADERS, END_HEADERS, 1, b"\xff" * 9),
    "headers that refer to nothing": frame(Kind.HEADERS, END_HEADERS, 1, b"\xfe"),
    "headers without a path": frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, b"\x83\x86"),
    "headers with capitals": asked(1, field(b"FOO", b"x")),
    "a deadline that is none": asked(1, field(b"grpc-timeout", b"soon")),
    "an encoding that is none": asked(1, field(b"grpc-encoding", b"none")),
    "a continuation of nothing": frame(Kind.CONTINUATION, END_HEADERS, 1, HEADERS),
    "headers that are interrupted": frame(Kind.HEADERS, 0, 1, HEADERS) + frame(Kind.PING, 0, 0, bytes(8)),
    "a promise by a client": frame(Kind.PUSH, END_HEADERS, 1, number(2) + HEADERS),
    "a window that does not grow": opened(1) + frame(Kind.WINDOW, 0, 1, number(0)) + frame(Kind.RESET, 0, 1, number(8)),
    "a connection's window that does not grow": frame(Kind.WINDOW, 0, 0, number(0)),
    "a window that grows too much": frame(Kind.WINDOW, 0, 0, number(2**31 - 1)) * 2,
    "a window of three bytes": frame(Kind.WINDOW, 0, 0, b"abc"),
    "settings on a stream": frame(Kind.SETTINGS, 0, 1, b""),
    "settings of three bytes": frame(Kind.SETTINGS, 0, 0, b"abc"),
    "settings out of range": frame(Kind.SETTINGS, 0, 0, b"\x00\x04" + b"\xff" * 4),
    "a huge table of headers": frame(Kind.SETTINGS, 0, 0, b"\x00\x01" + b"\xff" * 4) + asked(1),
    "acknowledgements of nothing": ACKNOWLEDGED * 1000,
    "a reset of nothing": frame(Kind.RESET, 0, 7, number(8)),
    "a ping of one byte": frame(Kind.PING, 0, 0, b"x"),
    "a priority below itself": frame(Kind.PRIORITY, 0, 1, number(1) + b"\x00"),
    "kinds that do not exist": b"".join(frame(kind, 0xFF, 3, bytes(60)) for kind in range(10, 256)),
    "a farewell, then a call": frame(Kind.GOAWAY, 0, 0, number(0) * 2 + b"bye") + asked(1),
    "a farewell of one byte": frame(Kind.GOAWAY, 0, 0, b"x"),
    "a message of an unknown kind": opened(1) + frame(Kind.DATA, END_STREAM, 1, b"\xff" + QUESTION[1:]),
    "a message that ends early": opened(1) + frame(Kind.DATA, END_STREAM, 1, HALF),
    "two messages": opened(1) + frame(Kind.DATA, END_STREAM, 1, QUESTION * 2),
    "no message": frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, HEADERS),
    "a message that is no gzip": opened(1, more=GZIP) + frame(Kind.DATA, END_STREAM, 1, b"\x01" + number(9) + b"x" * 9),
}


def test_malformed_frames_harm_nobody(target: Target) -> None:
    """Each on a connection of its own, behind a proper beginning, several times."""
    with target.stands() as crowd:
        for what in [*MALFORMED] * 4:
            crowd.join(GREETING).send(MALFORMED[what])
        crowd.join(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        crowd.join(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\n12345\r\n" * 100)


FLOODS = {
    "settings": (b"", frame(Kind.SETTINGS, 0, 0, b"\x00\x04" + number(65_535))),
    "pings": (b"", frame(Kind.PING, 0, 0, bytes(8))),
    "windows": (b"", frame(Kind.WINDOW, 0, 0, number(1))),
    "priorities": (b"", frame(Kind.PRIORITY, 0, 1, number(0) + b"\x00")),
    "resets": (b"", frame(Kind.RESET, 0, 1, number(8))),
    "unknown": (b"", frame(0xF0, 0, 1, bytes(100))),
    "empty data": (opened(1), frame(Kind.DATA, 0, 1, b"")),
    "continuations": (frame(Kind.HEADERS, 0, 1, HEADERS), frame(Kind.CONTINUATION, 0, 1, field(b"a", b"x" * 100))),
    "empty continuations": (frame(Kind.HEADERS, 0, 1, HEADERS), frame(Kind.CONTINUATION, 0, 1, b"")),
}


def test_floods_of_frames_harm_nobody(target: Target) -> None:
    """Frames without end, most of which ask for an answer that is never read."""
    with target.stands() as crowd:
        for before, again in FLOODS.values():
            peer = crowd.join(room=2048)
            peer.send(before)
            peer.flood(again * 500, 500_000)


def reset_rapidly(crowd: Crowd, total: int = 20_000, at_once: int = 4) -> None:
    """Opens calls and takes them back, over a few connections; where the server closes one, over another."""
    peers = [crowd.join() for _ in range(at_once)]
    streams = [1] * at_once
    for turn in range(total // 50):
        at = turn % at_once
        pairs = (opened(one) + frame(Kind.RESET, 0, one, number(8)) for one in range(streams[at], streams[at] + 100, 2))
        if peers[at].send(b"".join(pairs)):
            streams[at] += 100
        else:
            peers[at], streams[at] = crowd.join(), 1


def test_rapid_resets_leave_nothing_behind(target: Target) -> None:
    """20,000 calls that are taken back at once, during which grpcio may refuse good ones where it has no limits."""
    excused = ("CANCELLED", "overload") if target.transport is GRPCIO else ()
    with target.stands(kept=80 * MEGABYTE, excused=excused) as crowd:
        reset_rapidly(crowd)


def test_rapid_resets_harm_nobody_where_connections_and_streams_are_limited() -> None:
    """As docs/security.md advises for grpcio."""
    with (
        attacked(GRPCIO, "--max-concurrent-streams", "100", "--max-connections", "20") as target,
        target.stands() as crowd,
    ):
        reset_rapidly(crowd)


def test_readers_that_stall_harm_nobody(target: Target) -> None:
    """Windows of nothing or next to nothing, connections that nobody reads, streams and watches of health."""
    many = packed(v1.CheckCallsRequest(calls=[CALL] * 600).SerializeToString())
    stream = message(v1.StreamCheckCallsRequest(id="1", call=CALL).SerializeToString()) * 20
    with target.stands() as crowd:
        unread = crowd.join(greeting(2**31 - 1) + frame(Kind.WINDOW, 0, 0, number(2**31 - 65_536)), room=2048)
        before = target.answers("CheckCalls")
        unread.send(calls(200, many, path=f"{CHECK}s", more=GZIP))
        until(lambda: target.answers("CheckCalls") == before + 200, "six megabytes wait that nobody reads")
        watch = frame(Kind.HEADERS, END_HEADERS, 401, first_headers(WATCH, "localhost"))
        unread.send(watch + frame(Kind.DATA, END_STREAM, 401, message(b"")))
        for window in (0, 1, 65_535):
            for _ in range(3):
                crowd.join(greeting(window), room=2048).send(calls(100, QUESTION))
        endless = crowd.join(greeting(0), room=2048)
        endless.send(calls(20, stream, path="/rightcall.v1.DecisionService/StreamCheckCalls", end=False))
        assert {health(target.address) for _ in range(20)} == {HealthCheckResponse.SERVING}


def test_messages_that_never_come_hold_up_nobody_else(target: Target) -> None:
    """Health checks have threads of their own, and the core none that waits; the other calls of grpcio are below."""
    paths = (HEALTH, WATCH) if target.transport is GRPCIO else (HEALTH, WATCH, STATUS, CHECK, f"{CHECK}s")
    with target.stands() as crowd:
        for path in paths:
            crowd.join().send(calls(200, HALF, path=path, end=False))


def test_strangers_hold_no_thread_that_decides(tmp_path: Path) -> None:
    """Not by calls without credentials, and not by health checks, which need none."""
    clients = clients_file(tmp_path, client_of("pbx", "token-of-pbx"))
    with (
        attacked(GRPCIO, "--auth", "tokens", "--clients", clients) as target,
        Crowd(target.address) as crowd,
        grpc.insecure_channel(target.address) as channel,
    ):
        for path in (CHECK, STATUS, HEALTH, WATCH):
            crowd.join().send(calls(50, HALF, path=path, end=False))
        check = v1.DecisionServiceStub(channel).CheckCall
        answers = {check(CALL, metadata=bearer("token-of-pbx"), timeout=DEADLINE).decision for _ in range(50)}

    assert answers == {v1.Decision.DECISION_DENY}


def test_idle_connections_harm_nobody(target: Target, files: int) -> None:
    """Ten thousand, or as many as the system allows, of which half say hello and none keeps 10 kB once it has gone."""
    count = min(IDLE, files - 500)
    opened_before = target.files()
    with target.stands(kept=count * 10_000) as crowd:
        for turn in range(1, count + 1):
            crowd.join(GREETING if turn % 2 else b"", source=f"127.0.0.{2 + turn % 8}")
            if not turn % 100:  # more at a time than its queue holds would wait for seconds
                until(lambda: target.files() >= opened_before + turn, "it has taken them")
        assert target.files() >= count


@pytest.mark.parametrize("hello", [GREETING + ACKNOWLEDGED, GREETING], ids=["acknowledged", "unacknowledged"])
def test_huge_headers_harm_nobody(target: Target, hello: bytes) -> None:
    """Large ones, many, references to a large one, and such as never end, with grpcio's limit in force and without."""
    bomb = HEADERS + field(b"a", b"x" * 4000, remember=True) + b"\xbe" * 50_000
    blocks = {
        "one": HEADERS + field(b"a", b"x" * 300_000),
        "some": HEADERS + b"".join(field(b"a%d" % at, b"x" * 30_000) for at in range(10)),
        "many": HEADERS + b"".join(field(b"a%d" % at, b"x") for at in range(20_000)),
        "bomb": bomb,
    }
    with target.stands() as crowd:
        for block in blocks.values():
            for _ in range(3):
                crowd.join(hello).send(in_frames(1, block) + frame(Kind.DATA, END_STREAM, 1, QUESTION))
        for _ in range(5):
            endless = crowd.join(hello)
            endless.send(frame(Kind.HEADERS, 0, 1, HEADERS))
            endless.flood(frame(Kind.CONTINUATION, 0, 1, field(b"a", b"x" * 4000) * 4), 400_000)


def test_headers_far_beyond_the_limit_are_refused(target: Target) -> None:
    """In one field and in many, by all but grpcio with the whole connection."""
    statuses = {grpc.StatusCode.RESOURCE_EXHAUSTED} | (
        {grpc.StatusCode.UNAVAILABLE} if target.transport is not GRPCIO else set()
    )
    with grpc.insecure_channel(target.address) as channel:
        for metadata in ((("a", "x" * 300_000),), tuple((f"a{at}", "x" * 20) for at in range(2000))):
            with pytest.raises(grpc.RpcError) as ended:
                v1.DecisionServiceStub(channel).CheckCall(CALL, metadata=metadata, timeout=DEADLINE)
            assert ended.value.code() in statuses


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
def test_huge_messages_are_refused(target: Target, compression: grpc.Compression) -> None:
    """32 MB, or 32 kB that unpack to as much, early."""
    target.forget_peak()
    before = target.memory()
    with target.stands():
        statuses = {refused(target.address, bytes(LARGE), compression) for _ in range(3)}

    assert statuses == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert target.peak() < before + LARGE // 2


@pytest.mark.parametrize("transport", [GRPCIO, pytest.param(CORE, marks=built)], ids=lambda transport: transport.value)
def test_declared_gigabytes_are_not_believed(transport: Transport) -> None:
    """A few bytes that declare 4 GiB, where the server cannot have as much."""
    with attacked(transport) as target, Crowd(target.address) as crowd:
        room = resident("VmSize", target.process) + 3_000 * MEGABYTE
        resource.prlimit(target.process, resource.RLIMIT_AS, (room, room))
        crowd.join().send(opened(1) + frame(Kind.DATA, 0, 1, message(b"", length=GIGABYTES)))
        with Client(target.address, timeout=DEADLINE) as good:
            assert {good.check(caller=LOBBY, extension="0900").decision for _ in range(50)} == {Decision.DENY}
