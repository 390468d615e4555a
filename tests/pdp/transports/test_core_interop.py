"""The core as others see it: h2spec's rules of HTTP/2, and a proxy in front. Clients of other languages: examples."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import grpc
import pytest
from cores import ALONE, CALL, DENY, asked, built, served
from given import denying
from server import DEADLINE
from tools import tool
from waiting import until

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import Running

pytestmark = built

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
CONFIGURATION = """
daemon off; master_process off; pid {at}/pid; error_log {at}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};
    upstream core {{ server {address}; keepalive 2; }}
    server {{ listen unix:{at}/socket http2; location / {{ grpc_pass grpc://core; }} }}
}}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with the core."""
    with served(denying("0900")) as it:
        yield it


def test_the_rules_of_http2_are_kept(running: Running, tmp_path: Path) -> None:
    """All of h2spec's, but for what docs/scaling.md explains: who begins with something else is reset, not closed."""
    _, _, port = running.server.address.rpartition(":")
    report = tmp_path / "report.xml"
    command = [str(tool("h2spec")), "-p", port, "--timeout", "5", "--junit-report", str(report)]
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - it was written here
    ended = {(case.get("package"), case.get("classname")): case.find("failure") is None for case in cases}

    assert len(ended) > 130
    assert {name for name, passed in ended.items() if not passed} <= {("http2/3.5", "Sends invalid connection preface")}


@pytest.mark.skipif(NGINX is None, reason="nginx is missing; get it with: apt-get install nginx-light")
def test_a_proxy_may_stand_in_front(running: Running, tmp_path: Path) -> None:
    """Unary calls with their errors, and streams."""
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(at=tmp_path, address=running.server.address))
    command = [str(NGINX), "-e", f"{tmp_path}/errors", "-c", str(configuration)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as proxy:
        try:
            until((tmp_path / "socket").exists, "nginx listens")
            with grpc.insecure_channel(f"unix:{tmp_path}/socket", ALONE) as channel:
                stub = v1.DecisionServiceStub(channel)
                found = {stub.CheckCall(CALL, timeout=DEADLINE).decision for _ in range(20)}
                streamed = list(stub.StreamCheckCalls(asked(*[CALL] * 20), timeout=DEADLINE))
                with pytest.raises(grpc.RpcError) as ended:
                    stub.CheckCall(v1.CheckCallRequest(), timeout=DEADLINE)
        finally:
            proxy.terminate()

    assert found == {DENY}
    assert {answer.response.decision for answer in streamed} == {DENY}
    assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT
