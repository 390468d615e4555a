"""The core's threads give signs of life, and one that does not is noticed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from cores import built
from given import denying
from server import running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.runtime import watchdog
from pdp.transports.choice import Transport
from pdp.transports.core import pulse
from pdp.transports.core.pulse import Pulse

if TYPE_CHECKING:
    import pytest


@built
def test_every_thread_of_the_core_gives_signs_of_life() -> None:
    """Those that serve, and the one that accepts; a server with live threads is alive."""
    from pdp.transports.core.transport import CoreTransport  # noqa: PLC0415 - there only with a core

    with running_server(denying("118"), transport=Transport.CORE, io_threads=2) as running:
        transport = running.server._transport
        assert isinstance(transport, CoreTransport)
        front = transport._front
        first = front.beats()
        assert len(first) == 3
        until(lambda: all(now > then for now, then in zip(front.beats(), first, strict=True)), "all have beaten")
        assert running.metrics.alive


def test_a_thread_without_a_sign_of_life_is_noticed_and_so_is_its_return(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log, and where the liveness probe asks."""
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.2)
    beating, stands = count(), [True]
    watch = Pulse(lambda: [next(beating), 7 if stands[0] else next(beating)])
    with capture_logs() as logs:
        watch.start()
        until(lambda: watch.stuck, "it is noticed")
        stands[0] = False
        until(lambda: not watch.stuck, "it is noticed, too")
        watch.stop()
    assert [(log["event"], log.get("core")) for log in logs] == [("threads_stuck", [1]), ("threads_recovered", None)]
