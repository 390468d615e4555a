"""The client needs grpcio and protobuf alone; what is left out says how to get it."""

from __future__ import annotations

from bare import CLIENT, COMMAND_LINE, run_with
from given import ALICE, denying
from programs import ROOT
from server import running_server

_CHECK = """
import asyncio
from rightcall import Client
from rightcall.aio import Client as AsyncClient
with Client({target!r}) as client:
    print(client.check(caller={caller!r}, extension="0900").decision.name)
async def asked():
    async with AsyncClient({target!r}) as client:
        return (await client.check(caller={caller!r}, extension="0901")).decision.name
print(asyncio.run(asked()))
"""


def test_the_client_needs_no_more_than_grpc() -> None:
    """Both clients ask a server in a Python that has nothing else."""
    with running_server(denying("0900")) as running:
        done = run_with(CLIENT, _CHECK.format(target=running.server.address, caller=ALICE))
    assert done.stdout.split() == ["DENY", "ALLOW"], done.stderr


def test_without_the_command_line_the_program_says_how_to_get_it() -> None:
    """One line, and no traceback."""
    done = run_with(CLIENT, "from rightcall.__main__ import main; main()")
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: the command line is not installed; run: pip install 'rightcall[all]'"


def test_a_command_without_its_packages_says_how_to_get_them() -> None:
    """The help lists it; used, it ends with 2 and one line. Asking a server needs no more than is there."""
    start = "import sys; from rightcall.__main__ import main; sys.argv = ['rightcall', {}]; main()"
    listed = run_with(COMMAND_LINE, start.format("'--help'"))
    assert listed.returncode == 0, listed.stderr
    assert "(not installed)" in listed.stdout
    load = run_with(COMMAND_LINE, start.format("'load', '--source', 'file:x', '--redis', 'redis://x'"))
    assert load.returncode == 2
    assert "pip install 'rightcall[all]'" in load.stderr
    check = run_with(COMMAND_LINE, start.format("'check', '--extension', '1', '--target', '127.0.0.1:9'"))
    assert check.returncode == 4, check.stderr


def test_type_checkers_see_the_types() -> None:
    """By the marker that PEP 561 asks for."""
    assert (ROOT / "rightcall" / "py.typed").exists()
