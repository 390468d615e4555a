"""The HTTP ports of a server and of a loader: readiness, metrics, and the time by their clocks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError

from pdp.runtime.address import parse_address
from rightcall.doctor.findings import Finding, NotExamined, Verdict, failure, ok, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

STALE_SECONDS: Final = 60.0
"""Seconds; both kinds of source are checked more often than that."""
LOST_SECONDS: Final = 900.0
"""As of the alert RightcallSourceLost."""
UNREAD_SECONDS: Final = 300.0
"""As of the alert RightcallSourceStale."""


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response.

    Attributes:
        status: the status code.
        text: the body.
        date: the server's clock, in Unix time, cut to a second; None: no ``Date`` header.
        before: time of the request, by the local clock.
        after: time of the response, by the local clock.
    """

    status: int
    text: str
    date: float | None
    before: float
    after: float


class HttpPart:
    """A program at an HTTP port.

    Args:
        address: ``HOST:PORT``, or a URL for HTTPS.
        ca_file: authorities to trust; None: the system's.
        seconds: timeout of a response.

    Raises:
        ListenError: the address is neither.
    """

    def __init__(self, address: str, ca_file: str | None, seconds: float) -> None:
        self.url = _base(address)
        timeout = urllib3.Timeout(total=seconds)
        self._pool = urllib3.PoolManager(ca_certs=ca_file, timeout=timeout, retries=False)

    def get(self, path: str) -> Page:
        """A page.

        Raises:
            HTTPError: there is no response.
        """
        before = time.time()
        answer = self._pool.request("GET", f"{self.url}{path}")
        after = time.time()
        return Page(answer.status, answer.data.decode("utf-8", "replace"), _date(answer.headers), before, after)

    @cached_property
    def ready(self) -> Page:
        """The response of ``/readyz``.

        Raises:
            HTTPError: there is no response.
        """
        return self.get("/readyz")

    @cached_property
    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """The samples of ``/metrics``: by name, then by the labels' values.

        Raises:
            NotExamined: the metrics cannot be read.
        """
        try:
            page = self.get("/metrics")
            found: dict[str, dict[tuple[str, ...], float]] = {}
            for family in text_string_to_metric_families(page.text):
                for sample in family.samples:
                    found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
        except (HTTPError, ValueError) as error:
            raise NotExamined(f"there are no metrics at {self.url}/metrics") from error
        return found

    def value(self, name: str) -> float | None:
        """The value of a metric without labels; None where there is none.

        Raises:
            NotExamined: there are no metrics.
        """
        return self.metrics.get(name, {}).get(())

    @property
    def version(self) -> str:
        """The version of the program at the port.

        Raises:
            NotExamined: the program does not report a version.
        """
        labels = next(iter(self.metrics.get("rightcall_build_info", {})), ("",))
        if not labels[0]:
            raise NotExamined(f"{self.url}/metrics tells no version")
        return labels[0]

    def close(self) -> None:
        """Ends the connections."""
        self._pool.clear()


def check_ready(part: HttpPart) -> Finding:
    """The metrics of the program."""
    try:
        page = part.ready
    except HTTPError as error:
        advice = f"check that it runs, and that its --http listens where {part.url} leads; https:// if it speaks TLS"
        return failure(f"{part.url} does not answer ({_kind(error)})", advice)
    seen = page.text.strip().partition("\n")[0]
    if page.status == HTTPStatus.OK and seen.startswith("ready"):
        return ok(seen)
    if page.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return failure(seen, "it names the cause; the log has more, and so has docs/runbook.md")
    return failure(f"{part.url}/readyz answers {page.status}", "something else than Rightcall listens there")


def check_contact(part: HttpPart) -> Finding:
    """Checks the age of the server's last contact with the source of rules."""
    age = part.value("rightcall_source_contact_age_seconds")
    if age is None:
        raise NotExamined("there is no such metric: it is no server's port")
    # Before the first contact the age counts from the beginning of Unix time.
    seen = f"{age:.0f} s ago" if age < time.time() / 2 else "never"
    if part.value("rightcall_redis_up") == 0:
        seen += "; Redis does not answer the server now"
    elif age <= STALE_SECONDS:
        return ok(seen)
    verdict = Verdict.FAILURE if age > LOST_SECONDS else Verdict.WARNING
    advice = "calls are decided by the rules it has; see RightcallRedisDown and RightcallSourceLost in the runbook"
    return Finding(verdict, seen, advice)


def unread(seconds: float) -> Finding:
    """The finding for the time for which edits of the source may be unread."""
    if seconds > UNREAD_SECONDS:
        seen = f"edits of the last {seconds:.0f} s may be unread"
        return warning(seen, "see RightcallSourceStale in the runbook")
    return ok(f"edits of the last {seconds:.0f} s may be unread" if seconds >= 1 else "all edits are read")


def check_staleness(part: HttpPart) -> Finding:
    """Checks for how long edits of the definitions may be unread, where the server reads them itself."""
    seconds = part.value("rightcall_source_staleness_seconds")
    if seconds is None:
        raise NotExamined("a loader reads the definitions")
    return unread(seconds)


def check_unknown(part: HttpPart) -> Finding:
    """Whether many calls have a caller or outcall that is not known: their rules have no part in the decision."""
    decided = sum(part.metrics.get("rightcall_decisions_total", {}).values())
    unknown = {labels[0]: count for labels, count in part.metrics.get("rightcall_unknown_total", {}).items()}
    if not unknown:
        raise NotExamined("there is no such metric: it is no server's port, or one of an earlier release")
    seen = f"callers in {unknown['caller']:.0f} and outcalls in {unknown['outcall']:.0f} of {decided:.0f} calls"
    if max(unknown.values()) <= UNKNOWN_SHARE * decided:
        return ok(seen)
    advice = "see what call control sends (the decision log has caller_known): permissions of those do not apply"
    return warning(seen, f"{advice}; RightcallUnknownCallers in the runbook")


UNKNOWN_SHARE: Final = 0.05
"""Share of calls, as in the alert RightcallUnknownCallers."""


def check_offset(page: Page, whose: str) -> Finding:
    """Checks another clock, given in whole seconds, against the local one."""
    if page.date is None:
        raise NotExamined("its answers bear no date")
    # The date is cut to a second, and the program may have read the clock a second before responding.
    return offset(page.date - page.after, page.date + 2 - page.before, whose)


def offset(least: float, most: float, whose: str) -> Finding:
    """The finding about a clock's lead over the local clock, given bounds in seconds."""
    lead = 0.0 if least <= 0 <= most else min(least, most, key=abs)
    if abs(lead) <= CLOCK_SECONDS:
        return ok("as ours, as nearly as can be told" if not lead else f"{lead:+.1f} s from ours")
    advice = "synchronise both clocks (NTP): tokens, certificates and the numbers of revisions depend on them"
    return warning(f"{whose} is {abs(lead):.1f} s {'ahead of' if lead > 0 else 'behind'} ours", advice)


CLOCK_SECONDS: Final = 2.0
"""By which clocks may differ."""


def _base(address: str) -> str:
    if "://" in address:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{parse_address(host)}"
    found = parse_address(address)
    return f"http://{found._replace(host=found.host or 'localhost')}"


def _date(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError):
        return None


def _kind(error: HTTPError) -> str:
    """The failure, without the address that the message of urllib3 repeats."""
    reason = str(error).rpartition(": ")[2]
    return reason.strip("()'\" ") or type(error).__name__
