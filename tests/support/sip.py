"""Kamailio with the example's configuration, and SIPp as callers and as those who take the calls."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import pytest
from programs import ROOT
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURATION = ROOT / "examples" / "kamailio" / "kamailio.cfg"
_SCENARIOS = Path(__file__).parents[1] / "cases" / "sip"
_CALL_SECONDS = 60
_END_SECONDS = 10
_PING = (
    "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{count};rport\r\nMax-Forwards: 5\r\n"
    "From: <sip:ping@{me}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: {count}@{me}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def udp_port() -> int:
    """A port that no UDP socket has at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Kamailio:
    """The example's proxy, as a context manager.

    Args:
        rightcall: address of the HTTP port that it asks.
        trunk: address that calls go to.
        desk: address that calls with a PIN go to; empty: they are refused.
        seconds: that a response may take.
    """

    _program, _packages = "kamailio", "kamailio kamailio-utils-modules kamailio-extra-modules"
    _configuration = CONFIGURATION

    def __init__(self, rightcall: str, trunk: str, *, desk: str = "", seconds: int = 30) -> None:
        self._binary = _binary(self._program, self._packages)
        self._environment: dict[str, str] = {}
        self._directory = tempfile.mkdtemp(prefix="rightcall-kamailio-")
        self._log = Path(self._directory, "log")
        self.address = f"127.0.0.1:{udp_port()}"
        self._defined = ["-A", f'RIGHTCALL="rightcall=>http://{rightcall}"', "-A", f'TRUNK="{trunk}"']
        self._defined += ["-A", f"RIGHTCALL_TIMEOUT={seconds}", *(["-A", f'PIN_DESK="{desk}"'] if desk else [])]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        """Starts it and waits until it answers."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self._environment}
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it with the processes that it started, and removes its files."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _command(self) -> list[str]:
        command = [self._binary, "-DD", "-E", "-f", str(self._configuration), "-l", f"udp:{self.address}"]
        return [*command, *self._defined, "-Y", self._directory, "-w", self._directory, "-m", "32", "-M", "4"]

    def _wait(self) -> None:
        host, _, port = self.address.partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pinger:
            pinger.connect((host, int(port)))
            pinger.settimeout(0.2)
            me = "{}:{}".format(*pinger.getsockname())
            count = iter(range(1_000_000))
            until(lambda: self._answers(pinger, me, next(count)), "the proxy answers")

    def _answers(self, pinger: socket.socket, me: str, count: int) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the proxy did not start: {self.log[-3000:]}"
        try:
            pinger.send(_PING.format(address=self.address, me=me, count=count).encode())
            return pinger.recv(4096).startswith(b"SIP/2.0 200")
        except OSError:  # it does not listen yet, or does not answer yet
            return False


class PythonKamailio(Kamailio):
    """The example's proxy whose routing is Python; ``rightcall`` is the gRPC address."""

    _configuration = ROOT / "examples" / "kamailio-kemi" / "kamailio.cfg"

    def __init__(self, rightcall: str, trunk: str, *, desk: str = "", seconds: int = 30) -> None:
        super().__init__(rightcall, trunk)
        routes = self._configuration.with_name("routes.py")
        self._defined = ["-A", f'ROUTES="{routes}"']
        told = {"RIGHTCALL_TARGET": rightcall, "RIGHTCALL_SECONDS": str(seconds), "TRUNK": trunk, "PIN_DESK": desk}
        # Kamailio has Debian's Python; the packages of this one have the same version.
        packages = os.pathsep.join((str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))))
        self._environment = {**told, "PYTHONPATH": packages}


class OpenSips(Kamailio):
    """The example's proxy for OpenSIPS; ``modules`` is the folder of its modules."""

    _program, _packages = "opensips", "opensips opensips-json-module opensips-http-modules"
    _configuration = ROOT / "examples" / "opensips" / "opensips.cfg"

    def __init__(self, rightcall: str, trunk: str, *, modules: str, desk: str = "", seconds: int = 30) -> None:
        super().__init__(rightcall, trunk)
        text = self._configuration.read_text(encoding="utf-8")
        meant = {
            "udp:127.0.0.1:5060": f"udp:{self.address}",
            "/usr/lib/x86_64-linux-gnu/opensips/modules/": modules,
            "rightcall=s:http://127.0.0.1:9464": f"rightcall=s:http://{rightcall}",
            "trunk=s:127.0.0.1:5080": f"trunk=s:{trunk}",
            '"pin_desk=s:"': f'"pin_desk=s:{desk}"',
            'timeout", 1)': f'timeout", {seconds})',
        }
        for written, told in meant.items():
            assert written in text, written
            text = text.replace(written, told)
        self._written = Path(self._directory, "opensips.cfg")
        self._written.write_text(text, encoding="utf-8")

    def _command(self) -> list[str]:
        return [self._binary, "-F", "-f", str(self._written), "-w", self._directory, "-m", "64", "-M", "8"]


class Taker:
    """SIPp that takes every call, as a trunk does; a context manager."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="rightcall-sipp-")
        self.address = f"127.0.0.1:{udp_port()}"
        self._messages = Path(self._directory, "messages")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Starts it; SIP sends an INVITE again, so that calls need not wait for it."""
        command = [*_sipp(self.address), "-sf", str(_SCENARIOS / "trunk.xml"), "-trace_shortmsg"]
        command += ["-shortmessage_file", "messages"]
        self._process = subprocess.Popen(
            command, cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self

    def numbers(self) -> list[str]:
        """What was dialled in the calls that have come, each number once, sorted."""
        lines = self._messages.read_text().splitlines() if self._messages.exists() else []
        starts = [line.split("\t")[-1] for line in lines]
        return sorted({start[11:].partition("@")[0] for start in starts if start.startswith("INVITE sip:")})

    def __exit__(self, *_: object) -> None:
        """Kills it and removes its files."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class Reply(NamedTuple):
    """The last reply to an INVITE."""

    status: int
    reason: str


class Caller:
    """SIPp that dials numbers through a proxy, all at once, as a context manager.

    Args:
        proxy: its address.
        numbers: what is dialled, a call each.
        user: the caller's.
        trunk: address of the trunk that the caller claims to have a call with already; empty: a plain call.
        hang_up: whether the caller does so as soon as the call is being worked on.
        rate: calls a second.
    """

    def __init__(
        self,
        proxy: str,
        numbers: Sequence[str],
        *,
        user: str = "alice",
        trunk: str = "",
        hang_up: bool = False,
        rate: int = 50,
    ) -> None:
        self._numbers = numbers
        self._directory = tempfile.TemporaryDirectory(prefix="rightcall-sipp-")
        home = Path(self._directory.name)
        (home / "numbers").write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in numbers))
        self._messages = home / "messages"
        me = f"127.0.0.1:{udp_port()}"
        scenario = "forged.xml" if trunk else "hung_up.xml" if hang_up else "call.xml"
        command = [*_sipp(me), "-sf", str(_SCENARIOS / scenario), "-inf", "numbers", "-m", str(len(numbers))]
        command += ["-timeout", f"{_CALL_SECONDS}s"]
        command += [
            "-r",
            str(rate),
            "-key",
            "user",
            user,
            "-key",
            "trunk",
            trunk or "none",
            "-trace_shortmsg",
            "-shortmessage_file",
            "messages",
            proxy,
        ]
        with (home / "output").open("wb") as output:
            self._process = subprocess.Popen(command, cwd=home, stdout=output, stderr=output)

    def __enter__(self) -> Self:
        """The caller itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it, if it still dials, and removes its files."""
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def dialling(self) -> bool:
        """Whether a call has not ended yet."""
        return self._process.poll() is None

    def trying(self) -> int:
        """How many calls the proxy has taken on."""
        return sum(reply is not None for reply in self._last_replies().values())

    def replies(self) -> list[Reply]:
        """What each call came to, in the order of the numbers, once all have ended."""
        self._process.wait(_CALL_SECONDS + _END_SECONDS)
        calls = self._last_replies()
        assert len(calls) == len(self._numbers), Path(self._directory.name, "output").read_text()[-3000:]
        return [reply for reply in calls.values() if reply is not None]

    def _last_replies(self) -> dict[str, Reply | None]:
        calls: dict[str, Reply | None] = {}
        text = self._messages.read_text() if self._messages.exists() else ""
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):  # it is being written
                continue
            *_, call, sequence, start = line.strip().split("\t")
            if sequence.endswith(" INVITE"):
                first, status, reason = start.split(" ", 2)
                calls[call] = Reply(int(status), reason) if first == "SIP/2.0" else calls.get(call)
        return calls


def _sipp(me: str) -> list[str]:
    host, _, port = me.partition(":")
    return [_binary("sipp", "sip-tester"), "-i", host, "-p", port, "-nostdin"]


def _binary(name: str, packages: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed; run `make test`, or: apt-get install {packages}")
    return found
