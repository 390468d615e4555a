"""Rightcall: may this caller dial this extension? The client library; ``rightcall.aio`` has the asynchronous one.

Names of ``__all__`` are imported on first use: the programs and the API's messages are in this package as well, and a
server needs no client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rightcall.client.blocking import Client
    from rightcall.client.directory import CallerDecision, CallerPage, Reach, Reaches, ReachPattern
    from rightcall.client.errors import (
        ChallengeOver,
        DeadlineExceeded,
        InvalidCall,
        NoAnswer,
        NotAllowed,
        NotReady,
        PinsDelayed,
        QuestionError,
        RightcallError,
        RulesBehind,
        ServerError,
        TenantClosed,
        UnknownTenant,
        Unreachable,
    )
    from rightcall.client.lockouts import Lockout, Lockouts, PinDelay, Unlocked
    from rightcall.client.values import (
        Answer,
        Call,
        Candidate,
        CandidateResult,
        ChallengeAnswer,
        ClosestPattern,
        Decision,
        Explanation,
        Mode,
        Permission,
        Reason,
        Stage,
        StageExplanation,
        StageResult,
        Status,
        TenantStatus,
    )

__all__ = [
    "Answer",
    "Call",
    "CallerDecision",
    "CallerPage",
    "Candidate",
    "CandidateResult",
    "ChallengeAnswer",
    "ChallengeOver",
    "Client",
    "ClosestPattern",
    "DeadlineExceeded",
    "Decision",
    "Explanation",
    "InvalidCall",
    "Lockout",
    "Lockouts",
    "Mode",
    "NoAnswer",
    "NotAllowed",
    "NotReady",
    "Permission",
    "PinDelay",
    "PinsDelayed",
    "QuestionError",
    "Reach",
    "ReachPattern",
    "Reaches",
    "Reason",
    "RightcallError",
    "RulesBehind",
    "ServerError",
    "Stage",
    "StageExplanation",
    "StageResult",
    "Status",
    "TenantClosed",
    "TenantStatus",
    "UnknownTenant",
    "Unlocked",
    "Unreachable",
]

_HOMES = ("errors", "values", "directory", "lockouts", "blocking")
"""The modules of all these names, each before the modules that import from there."""

if not TYPE_CHECKING:  # or a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Imports a name on first use, from the defining module."""
        if name in __all__:
            for home in _HOMES:
                module = import_module(f"{__name__}.client.{home}")
                if hasattr(module, name):
                    globals()[name] = found = getattr(module, name)
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Lists the names as if all were imported."""
        return sorted({*globals(), *__all__})
