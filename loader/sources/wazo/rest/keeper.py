"""Keeps the picture of a platform current: reads the parts that events name, and everything in the absence of events.

Requests are made by a few threads. A tenant has one thread at a time, so a tenant that is edited constantly, or at
which wazo-confd fails, takes nothing from the others; a sweep has one thread, too.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from loader.errors import SourceError
from loader.sources.wazo.events import Kind, Part
from loader.sources.wazo.rest.api import Api, explained
from loader.sources.wazo.rest.client import CONNECTIONS, RefusedError
from loader.sources.wazo.rest.crew import Crew
from loader.sources.wazo.rest.marks import Marks
from loader.sources.wazo.rest.picture import Picture, Seen
from loader.sources.wazo.rest.retries import Retries
from loader.sources.wazo.rest.sweep import Answer, Memory, Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loader.sources.wazo.rest.client import Client
    from loader.sources.wazo.rest.crew import Done
    from loader.sources.wazo.rest.pending import Pending, Wanted
    from loader.sources.wazo.rest.session import Session
    from loader.sources.wazo.rest.settings import WazoSettings

_log = structlog.get_logger()

_SWEEP: Final = "sweep"
_TENANTS: Final = "tenants"
_MOST_ROUNDS: Final = 3
_LOOK_SECONDS: Final = 0.2
_TELL_SECONDS: Final = 5.0


class Keeper:
    """Holds the picture, the marks, and the running requests. For use by one thread.

    Args:
        settings: timeouts and intervals.
        client: makes the requests.
        session: has the token.
        pending: rung when a request is finished.
        concerns: whether a tenant is wanted.

    Attributes:
        picture: the known items.
        ready: tenants that changed since they were last taken.
        known: tenants that were read whole.
        unsettled: tenants that kept changing during a sweep.
        unreadable: tenants with unreadable parts, and those parts.
        swept: start of the last finished sweep, by the monotonic clock; None before the first.
        sweep_seconds: duration of that sweep.
        problem: the failure since the last success; None without one.
        failed: number of failures.
        oldest: time of the oldest mark that is not read yet, by the monotonic clock; None without one.
    """

    def __init__(
        self,
        settings: WazoSettings,
        client: Client,
        session: Session,
        pending: Pending,
        concerns: Callable[[str], bool],
    ) -> None:
        self.picture = Picture()
        self.ready: set[str] = set()
        self.known: set[str] = set()
        self.unsettled: frozenset[str] = frozenset()
        self.unreadable: dict[str, str] = {}
        self.swept: float | None = None
        self.sweep_seconds = 0.0
        self.problem: SourceError | None = None
        self.failed = 0
        self.oldest: float | None = None
        self._client = client
        self._api = Api(client, session, settings, settings.patience)
        self._quick = Api(client, session, settings, settings.quick)
        self._crew = Crew(CONNECTIONS, pending.ring)
        self._numbers = count(1)
        self._asked: dict[object, int] = {}
        self._marks = Marks(concerns)
        self._retries = Retries()
        self._memory = Memory()
        self._sweep: Sweep | None = None
        self._changed_by_sweeps: set[str] = set()
        """Tenants changed by a sweep that may be unfinished, or that found no stable state for the tenant."""
        self._told_at = 0.0

    def accept(self, wanted: Wanted) -> None:
        """Takes marks over."""
        self._marks.accept(wanted)
        self._note_oldest()

    def begin_sweep(self, *, settle: bool, by_tenant: bool = False) -> None:
        """Begins to read everything, unless that is being done."""
        if self._sweep is not None and not self._sweep.tenant:
            return
        if self._sweep is not None:
            self._marks.add_whole(self._sweep.tenant, self._sweep.begun)
        self._sweep = Sweep(self._api, self.picture, self._memory if settle else None, by_tenant=by_tenant)

    @property
    def sweeping(self) -> bool:
        """Whether everything is being read."""
        return self._sweep is not None and not self._sweep.tenant

    @property
    def idle(self) -> bool:
        """Whether all work waits for a response or a mark."""
        return not self._crew.has_done and not self._due()

    def _note_oldest(self) -> None:
        times = [self._marks.oldest(), self._sweep.begun if self._sweep is not None and self._sweep.tenant else None]
        self.oldest = min((time for time in times if time is not None), default=None)

    def work_through(self, unless: Callable[[], bool]) -> None:
        """Reads until everything was read, without a time limit, ``unless`` other work goes first.

        Raises:
            SourceError: a part cannot be read. The next call continues from there.
        """
        while self._sweep is not None and not unless():
            self._give()
            self._note_oldest()
            if self._client.stopped:
                raise SourceError("the reading was ended")
            done = self._crew.take(_LOOK_SECONDS)
            if done is not None:
                self._finish(done, whole=True)

    def work(self, seconds: float) -> None:
        """Reads the marked parts and continues running readings, for at most the given time."""
        end = time.monotonic() + seconds
        while True:
            self._give()
            self._note_oldest()
            reading = [key for key in self._crew.busy if not isinstance(key, Sweep)]
            if self._client.stopped:
                return
            if (not reading or time.monotonic() >= end) and not self._crew.has_done:
                return
            done = self._crew.take(min(_LOOK_SECONDS, end - time.monotonic()))
            if done is not None:
                self._finish(done, whole=False)

    def dismiss(self) -> None:
        """Dismisses the threads, marks their unfinished parts again, and forgets everything that was read.

        Meanwhile another loader may publish what was never read here.
        """
        self._crew.dismiss()
        self._marks.put_all_back()
        self.swept = self._sweep = None
        self.picture = Picture()
        for tenants in (self.known, self.ready, self._changed_by_sweeps):
            tenants.clear()

    # giving

    def _give(self) -> None:
        """Gives every request that may be made now."""
        if self._sweep is None and (tenant := self._marks.take_whole()) in self.picture.tenants:
            self._sweep = Sweep(self._api, self.picture, None, tenant)
        sweep = self._sweep
        if sweep is not None and sweep.step is not None and sweep not in self._crew.busy and self._may(_SWEEP):
            self._ask(sweep, sweep.step.job)
        if self._marks.tenants is not None and self._may(_TENANTS):
            self._ask(_TENANTS, self._quick.tenants)
        for tenant in self._marks.waiting():
            if self._may(tenant) and (parts := self._marks.take(tenant)):
                self._ask(tenant, partial(_read, self._quick, parts))

    def _due(self) -> bool:
        wants: list[object] = [*self._marks.waiting()]
        wants += [_SWEEP] if (self._sweep or self._marks.has_whole) and self._sweep not in self._crew.busy else []
        wants += [_TENANTS] if self._marks.tenants is not None else []
        return any(self._may(want) for want in wants)

    def _may(self, key: object) -> bool:
        return key not in self._crew.busy and self._retries.may(key)

    def _ask(self, key: object, job: Callable[[], object]) -> None:
        self._asked[key] = next(self._numbers)
        self._crew.give(key, job)

    # taking

    def _finish(self, done: Done, *, whole: bool) -> None:
        """Takes over the result of a request."""
        key, asked, error = done.key, self._asked[done.key], done.error
        if isinstance(key, Sweep):
            if key is self._sweep:  # else given up during the request
                self._finish_step(key, Answer(done.value if error is None else error, asked), whole=whole)
        elif error is not None:
            self._failed(key, error)
            if key == _TENANTS:
                return
            self._marks.put_back(str(key))
            if isinstance(error, RefusedError):  # the tenant may just have been deleted
                self._marks.add_tenants(time.monotonic())
        elif key == _TENANTS:
            self._succeeded(key)
            self._marks.tenants = None
            self._put_tenants(done.value, asked)
        else:
            self._succeeded(key)
            self._marks.done(str(key))
            self.picture.put(done.value, asked)
            self._changed()
            self._follow(str(key), done.value)

    def _finish_step(self, sweep: Sweep, answer: Answer, *, whole: bool) -> None:
        error = answer.value if isinstance(answer.value, Exception) else None
        if error is not None and sweep.step is not None and not isinstance(error, sweep.step.takes):
            if sweep.tenant and isinstance(error, RefusedError):  # the tenant may just have been deleted
                self._sweep = None
                self._marks.add_tenants(time.monotonic())
            self._sweep_failed(error, whole=whole)
            return
        self._succeeded(_SWEEP)
        try:
            sweep.go_on(answer)
        except SourceError as failed:
            self._sweep = None
            if sweep.tenant:
                self._marks.add_whole(sweep.tenant, sweep.begun)
            self._sweep_failed(failed, whole=whole)
            return
        self._changed_by_sweeps |= self.picture.changed
        self.picture.changed, self.picture.missing = set(), set()  # gone between two requests, or not read yet
        self._count(sweep)
        if sweep.step is None:
            self._swept(sweep, answer.asked)
        elif time.monotonic() >= self._told_at + _TELL_SECONDS and sweep.users[1]:
            self._told_at = time.monotonic()
            tenants = {"tenants_known": len(self.known), "tenants": len(self.picture.tenants)}
            _log.info("wazo_reading", users_read=sweep.users[0], users=sweep.users[1], **tenants)

    def _count(self, sweep: Sweep) -> None:
        """Takes over the tenants that a sweep has read whole, or that count with what was published."""
        whole, sweep.whole = sweep.whole & self.picture.tenants.keys(), set()
        self.ready |= (whole - self.known) | (whole & self._changed_by_sweeps)
        self._changed_by_sweeps -= whole
        self.known |= whole

    def _sweep_failed(self, error: Exception, *, whole: bool) -> None:
        if whole:  # the next reading goes on from there
            raise _told(error) from None
        self._failed(_SWEEP, error)

    def _swept(self, sweep: Sweep, asked: int) -> None:
        self._sweep = None
        if sweep.tenant:
            self.known.add(sweep.tenant)
            self._changed_by_sweeps.add(sweep.tenant)
            self._take_changed_by_sweeps()
            return
        self.swept, self.sweep_seconds = sweep.begun, time.monotonic() - sweep.begun
        self.unsettled, self.unreadable = sweep.unsettled, sweep.unreadable
        whole = (self.picture.tenants.keys() & sweep.tenants) - sweep.unsettled - sweep.unreadable.keys()
        self._changed_by_sweeps |= whole - self.known
        self._take_changed_by_sweeps()
        self.known = (self.known & self.picture.tenants.keys()) | whole
        self._marks.read_since(sweep.begun)
        self.picture.forget_gone(asked)
        for tenant in sorted(sweep.unsettled):
            _log.warning("wazo_tenant_never_rests", tenant=tenant, advice="it is read again at once")

    def _take_changed_by_sweeps(self) -> None:
        self.ready |= self._changed_by_sweeps - self.unsettled
        self._changed_by_sweeps &= self.unsettled

    def _put_tenants(self, names: dict[str, str], asked: int) -> None:
        new = names.keys() - self.picture.tenants.keys()
        self.picture.put_tenants(names, asked)
        self.known &= names.keys()
        self._changed()
        now = time.monotonic()
        for tenant in new:
            self._marks.add_whole(tenant, now)

    def _follow(self, tenant: str, read: Sequence[Seen]) -> None:
        """Marks follow-ups of the responses: doubtful users, unknown items, unknown tenants."""
        now = time.monotonic()
        doubtful, self.picture.doubtful = self.picture.doubtful, set()
        missing, self.picture.missing = self.picture.missing, set()
        follow_ups = {Part(Kind.USERS, user) for user in doubtful} | {Part(kind, id_) for kind, id_ in missing}
        if follow_ups:
            self._marks.add(tenant, follow_ups, now)
        if any(each.tenant and each.tenant not in self.picture.tenants for each in read):
            self._marks.add_tenants(now)

    def _changed(self) -> None:
        self.ready |= self.picture.changed
        self.picture.changed = set()

    def _failed(self, key: object, error: Exception) -> None:
        times = self._retries.failed(key)
        self.problem = _told(error)
        self.failed += 1
        _log.warning("wazo_not_read", what=str(key), problem=str(self.problem), times=times)

    def _succeeded(self, key: object) -> None:
        self._retries.succeeded(key)
        self.problem = None


def _told(error: Exception) -> SourceError:
    if isinstance(error, RefusedError):
        return explained(error)
    if isinstance(error, SourceError):
        return error
    raise error


def _read(api: Api, parts: Sequence[Part]) -> list[Seen]:
    """Reads items alone. An item that takes several requests is read until two readings are equal."""
    kinds = {kind: [part.id for part in parts if part.kind is kind] for kind in Kind}
    last: list[Seen] = []
    for _ in range(_MOST_ROUNDS):
        now = [thing for kind, ids in kinds.items() if ids for thing in api.things(kind, ids)]
        single = len(parts) == 1 or all(part.kind is Kind.USERS for part in parts)
        if single or now == last:
            return now
        last = now
    return last
