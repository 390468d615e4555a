"""Kamailio's routing in Python (KEMI): every INVITE is asked about over gRPC before it goes to the trunk.

RIGHTCALL_TARGET, TRUNK and OUTCALL come from the environment; README.md has the rest.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote

import KSR  # Kamailio's own, there while it runs

from rightcall import Client, Decision, QuestionError, RightcallError

TARGET = os.environ.get("RIGHTCALL_TARGET", "127.0.0.1:50051")
TRUNK = os.environ.get("TRUNK", "127.0.0.1:5080")
PIN_DESK = os.environ.get("PIN_DESK", "")  # an Asterisk with `rightcall agi`, which asks for PINs
OUTCALL = os.environ.get("OUTCALL", "1")
EMERGENCY = frozenset(("112", "911", "110", "999"))
SECONDS = float(os.environ.get("RIGHTCALL_SECONDS", "0.3"))
ASYNC = getattr(KSR, "async")  # the module is named as a keyword of Python
FORKED = (-127, 0)  # ranks of the processes that others are forked from
NUMBER = re.compile(r"\+?[0-9*#]+")


def mod_init() -> Kamailio:
    """Called once, before Kamailio forks: no connection may be opened here, since gRPC does not survive a fork."""
    return Kamailio()


class Kamailio:
    """The routes; each process has a copy."""

    client: Client

    def child_init(self, rank: int) -> int:
        """Called in each process: its own connection. Nothing is retried, since a caller waits."""
        if rank not in FORKED:
            self.client = Client(TARGET, timeout=SECONDS, retry=False)
        return 0

    def ksr_request_route(self, _message: Any) -> int:  # noqa: PLR0911 - a request is done with at any step
        """Each request from outside."""
        if KSR.maxfwd.process_maxfwd(10) < 0:
            return KSR.sl.sl_send_reply(483, "Too Many Hops")
        if KSR.sanity.sanity_check(1511, 7) < 0:
            return 1
        if KSR.is_CANCEL():  # it waits for its call, which may wait for Rightcall: not in a process that reads SIP
            return ASYNC.task_route("ksr_cancel") if KSR.tm.t_check_trans() > 0 else 1
        if KSR.siputils.has_totag() > 0:
            return self._within_dialog()
        if KSR.is_OPTIONS():
            return KSR.sl.sl_send_reply(200, "OK")
        if not KSR.is_INVITE():
            return 1 if KSR.is_ACK() else KSR.sl.sl_send_reply(405, "Method Not Allowed")
        number = unquote(KSR.pv.gete("$rU"))  # as the trunk will read it: %30900 is 0900
        if not NUMBER.fullmatch(number):
            return KSR.sl.sl_send_reply(484, "Address Incomplete")
        KSR.pv.sets("$rU", number)
        if KSR.tm.t_newtran() < 0:  # sent again: the first one is being worked on
            return 1
        if number in EMERGENCY:
            return self._send(TRUNK)
        # Here callers must prove who they are (KSR.auth_db, say): From is what they say.
        return ASYNC.task_route("ksr_decide")

    def ksr_decide(self, _message: Any) -> int:
        """In a process of async_workers."""
        caller, number = KSR.pv.gete("$fU"), KSR.pv.gete("$rU")
        if not caller:
            return KSR.tm.t_reply(403, "No Caller")
        try:
            answer = self.client.check(caller=caller, extension=number, outcall=OUTCALL)
        except QuestionError as error:
            KSR.notice(f"call of {caller!r} to {number}: {error}\n")
            return KSR.tm.t_reply(503, "No Decision")
        except RightcallError as error:
            KSR.err(f"call of {caller!r} to {number}: {error}\n")
            return KSR.tm.t_reply(503, "No Decision")
        KSR.notice(f"call of {caller!r} to {number}: {answer.decision.name}\n")
        if answer.allowed:
            return self._send(TRUNK)
        if answer.decision is Decision.CHALLENGE:  # a proxy has no voice, so another one asks for the PIN
            return self._send(PIN_DESK) if PIN_DESK else KSR.tm.t_reply(403, "PIN Required")
        return KSR.tm.t_reply(403, "Denied")

    def ksr_cancel(self, _message: Any) -> int:
        """In a process of async_workers."""
        return KSR.tm.t_relay()

    def ksr_reply_route(self, _message: Any) -> int:
        """Each reply; without this method each writes an error."""
        return 1

    def ksr_onsend_route(self, _message: Any) -> int:
        """Each message that leaves; without this method each writes an error."""
        return 1

    def _within_dialog(self) -> int:
        """A To tag and a Route are easily written: only calls that were let through have a dialogue here."""
        if KSR.rr.loose_route() > 0 and KSR.dialog.is_known_dlg() > 0:
            return KSR.tm.t_relay()
        if KSR.is_ACK():
            return KSR.tm.t_check_trans()  # of a reply of this proxy's own
        return KSR.sl.sl_send_reply(481, "Call Does Not Exist")

    def _send(self, where: str) -> int:
        KSR.pv.sets("$ru", f"sip:{KSR.pv.gete('$rU')}@{where}")
        KSR.dialog.dlg_manage()
        KSR.rr.record_route()
        return KSR.tm.t_relay()
