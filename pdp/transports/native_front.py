"""The front: an address, a thread that takes calls in batches, and a response for each."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import structlog
from pygrpc_native import EVENT_CALL, NativeGrpcFront

from pdp.errors import CallError, Code, ListenError, Stopping, TooManyCalls
from pdp.metrics.counters import CHECK_CALL, CHECK_CALLS
from pdp.runtime.address import UNIX, Address, check_free, check_unix_free, parse_address
from pdp.transports.retry_info import retry_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pygrpc_native._native import Event

    from pdp.metrics.registry import Metrics
    from pdp.services.fastpath import HotCalls
    from pdp.settings import ServerSettings

_log = structlog.get_logger()

_CHECK_CALL, _CHECK_CALLS = 0, 1
_NAMES = (CHECK_CALL, CHECK_CALLS)
_SERVICE = "rightcall.v1.DecisionService"
_BATCH = 65_536
"""Largest batch of calls; the front never waits to fill one."""
_NO_LIMIT = 2**31 - 1
_IO_THREADS = 1
"""One is enough for one Python thread: a second costs a tenth of the throughput, by locks."""
_QUIET_SECONDS = 0.05
"""Seconds without a call after which clients have noticed the stop, and have all responses."""
_MAX_REFUSING_SECONDS = 1.0
"""Largest delay of a stop, for clients that never give up."""
_OVERLOAD_SECONDS = 0.25
"""Seconds after which clients of an overloaded server may retry."""


class Front:
    """Serves the hot methods on an address, and passes everything else on.

    Args:
        settings: the address, and the limits.
        hot: answers.
        metrics: where requests are counted.
        fallback: path of the Unix socket where the other methods are served; "": nowhere.
        shared: whether other processes listen on the same port.

    Attributes:
        address: the real one.

    Raises:
        ListenError: the address cannot be listened on.
    """

    def __init__(
        self, settings: ServerSettings, hot: HotCalls, metrics: Metrics, *, fallback: str, shared: bool = False
    ) -> None:
        self._hot = hot
        self._metrics = metrics
        self._drain_seconds = settings.drain_seconds
        self._most = settings.max_waiting or _NO_LIMIT
        self._refusing = False
        self._calls = 0
        """Seen so far."""
        # A thousand requests take as long as a thousand calls: those behind them need not wait for that. As many
        # threads as may wait for newer rules, and one that never does.
        self._aside = ThreadPoolExecutor(settings.threads // 2 + 1, thread_name_prefix="aside")
        self._beside = 0
        self._guard = threading.Lock()
        """The number of calls in ``_beside``."""
        self._thread = threading.Thread(target=self._run, name="hot", daemon=True)
        self._front, self.address = _opened(settings, shared=shared)
        if fallback:
            self._front.set_fallback(fallback)

    def start(self) -> None:
        """Begins to answer."""
        self._front.start()
        self._thread.start()

    @property
    def answers(self) -> bool:
        """Whether the thread that answers runs."""
        return self._thread.is_alive()

    def refuse(self) -> None:
        """Answers the calls received, rejects new ones; returns when no more calls come."""
        self._refusing = True
        deadline = time.monotonic() + _MAX_REFUSING_SECONDS
        seen = -1
        while seen != self._calls and time.monotonic() < deadline:
            seen = self._calls
            time.sleep(_QUIET_SECONDS)
        self._await_aside()

    def close(self) -> None:
        """Closes the address and the connections."""
        self._front.close()
        if self._thread.is_alive():
            self._thread.join()
        self._aside.shutdown(wait=False, cancel_futures=True)

    def _await_aside(self) -> None:
        """The last calls get their answers, within the time for that."""
        deadline = time.monotonic() + self._drain_seconds
        while self._beside and time.monotonic() < deadline:
            time.sleep(_QUIET_SECONDS)
        time.sleep(_QUIET_SECONDS)  # for the answers to get out

    def _run(self) -> None:
        receive, most = self._front.recv_batch, min(self._most * 2, _BATCH)
        answer = self._answerer()
        while (events := receive(most)) is not None:
            try:
                answer(events)
            except Exception:  # noqa: BLE001 - after any error the next batch is answered
                _log.exception("batch_failed", advice="please report this")

    def _answerer(self) -> Callable[[Sequence[Event]], None]:
        """Answers a batch, over local names, for speed."""
        check_call, respond, most = self._hot.check_call(), self._front.respond, self._most

        def answer(events: Sequence[Event]) -> None:
            if self._refusing or len(events) > most:
                events = self._not_refused(events)
            for kind, call_id, method, data, _ in events:
                if kind != EVENT_CALL or data is None:  # the client went away, which respond reports
                    continue
                started = perf_counter()
                try:
                    response = check_call(data) if method == _CHECK_CALL else None
                except Exception as error:  # noqa: BLE001 - any error gives the client a status
                    self._fail(call_id, method, error, perf_counter() - started)
                    continue
                if response is None:
                    self._set_aside(call_id, method, data)
                else:
                    respond(call_id, response)
            self._calls += len(events)

        return answer

    def _not_refused(self, events: Sequence[Event]) -> Sequence[Event]:
        """Rejects all calls of a batch while stopping, else the calls beyond the limit, which are the latest."""
        calls = [event for event in events if event[0] == EVENT_CALL]
        taken = 0 if self._refusing else self._most
        spared = [event for event in calls[taken:] if not self._refusing and self._spares(event)]
        for event in calls[taken:]:
            _, call_id, method, _, _ = event
            if self._refusing:
                self._fail(call_id, method, Stopping())
            elif event not in spared:
                self._fail_overload(call_id, method)
        self._calls += len(calls[taken:]) - len(spared)
        return [*spared, *calls[:taken]]

    def _spares(self, event: Event) -> bool:
        """Whether a call is exempt from limits, as one to an emergency number."""
        _, _, method, data, _ = event
        return method == _CHECK_CALL and data is not None and self._hot.spares(data)

    def _set_aside(self, call_id: int, method: int, data: bytes) -> None:
        """Leaves a call to other threads."""
        if self._beside >= self._most:
            self._fail_overload(call_id, method)
            return
        with self._guard:
            self._beside += 1
        self._aside.submit(self._answer_aside, call_id, method, data)

    def _answer_aside(self, call_id: int, method: int, data: bytes) -> None:
        started = perf_counter()
        try:
            response = self._hot.answer_calls(data) if method == _CHECK_CALLS else self._hot.check_call_waiting(data)
        except Exception as error:  # noqa: BLE001 - any error gives the client a status
            self._fail(call_id, method, error, perf_counter() - started)
        else:
            self._front.respond(call_id, response)
        with self._guard:
            self._beside -= 1

    def _fail_overload(self, call_id: int, method: int) -> None:
        self._metrics.rejected("overload")
        self._fail(call_id, method, TooManyCalls("overload", _OVERLOAD_SECONDS))

    def _fail(self, call_id: int, method: int, error: Exception, seconds: float | None = None) -> None:
        """Ends a call with a status; an unexpected error goes to the log and not to the client.

        Args:
            call_id: id of the call.
            method: of ``_NAMES``.
            error: the error that ended the call.
            seconds: working time; None: the call was not worked on.
        """
        name = _NAMES[method]
        if isinstance(error, CallError):
            trailing = retry_metadata(error) if isinstance(error, TooManyCalls) else None
            self._metrics.requested(name, error.code.name, seconds)
            self._front.fail(call_id, error.code, error.message, trailing_metadata=trailing)
            return
        _log.error("call_failed", method=name, exc_info=True)
        self._metrics.requested(name, Code.INTERNAL.name, seconds)
        self._front.fail(call_id, Code.INTERNAL, "internal error")


def _opened(settings: ServerSettings, *, shared: bool) -> tuple[NativeGrpcFront, str]:
    """A listening front, and the real address."""
    text, listen = settings.listen, settings.listen
    if text.startswith(UNIX):
        check_unix_free(text)
    else:
        address = parse_address(text)
        if address.port and not shared:
            check_free(address)
        listen = str(address if address.host else Address("::", address.port))
    try:
        front = NativeGrpcFront(
            listen,
            [(f"/{_SERVICE}/{name}", False) for name in _NAMES],
            io_threads=_IO_THREADS,
            keepalive_time_ms=max(1, int(settings.keepalive_time * 1000)),
            keepalive_timeout_ms=max(1, int(settings.keepalive_timeout * 1000)),
            max_concurrent_streams=settings.max_concurrent_streams or _NO_LIMIT,
            max_metadata_size=settings.max_metadata_size,
            reuse_port=shared,
        )
    except OSError as error:
        raise ListenError(
            text, f"{error.strerror or error}; check that the address exists, is free and allowed"
        ) from None
    if text.startswith(UNIX):
        return front, text
    return front, str(Address(address.host or "localhost", front.bound_port))
