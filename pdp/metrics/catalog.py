"""Every metric of the server, with meaning and label values. docs/metrics.md is generated from this list."""

from __future__ import annotations

from pdp.errors import Code
from pdp.rules.model import Decision, Stage
from pdp.runtime.metric import Description

METHODS = (
    "CheckCall",
    "CheckCalls",
    "StreamCheckCalls",
    "AnswerChallenge",
    "ExplainCall",
    "ListCallers",
    "ListReach",
    "GetStatus",
    "ListLockouts",
    "Unlock",
)

CHALLENGE_RESULTS = {
    "passed": "The password was right.",
    "wrong": "It was wrong.",
    "locked": "The caller is locked out; it was not looked at.",
    "delayed": "There were too many wrong ones for the permission or tenant; it was not looked at.",
    "allowed": "By now the call is allowed without a password.",
    "denied": "By now it is denied.",
    "expired": "The challenge is too old.",
    "used": "It has opened a call before.",
    "invalid": "It is none of ours, or no telephone dials such a password.",
    "behind": "This server's rules are older than the challenge.",
    "unavailable": "Nobody can count the attempt, since Redis is away.",
}

AUTH_FAILURES = {
    "missing": "There were no credentials.",
    "malformed": "The `authorization` header is no `Bearer` token, or the token is not even one by its form.",
    "unknown": "The token, or the certificate's name, is nobody's.",
    "expired": "A JWT or a certificate is expired, or not yet valid.",
    "signature": "A JWT's algorithm is not one of ours, or its signature is wrong.",
    "claims": "A JWT is meant for somebody else, of another issuer, or lacks a claim.",
    "keys": "A JWT names a key that is not known (yet).",
    "certificate": "The client's certificate is absent, revoked, or has none of the names that are allowed.",
    "service": "The client is known and has no right to ask that.",
    "tenant": "The client is known and asked about a tenant that is not its own.",
}

REJECTIONS = {
    "rate": "One client asks too often.",
    "concurrency": "One client asks too much at once.",
    "unfinished": "Messages from one address did not come, and held every thread.",
    "watches": "Too many watches of health are open.",
    "overload": "All of them together do.",
}

STRANGERS = {
    "caller": "A UUID that no user of the tenant has.",
    "outcall": "An id that the tenant has no outcall with.",
}

HTTP_CLOSED = {
    "full": "It was the one that had been idle the longest, and there were more than `--http-max-connections`.",
    "address": "The same, and half of those that there may be came from its address.",
    "reserve": "There were too many, none was idle, and it was the oldest of those kept for probes.",
    "slow_request": "Its request did not come within five seconds.",
    "slow_reader": "Its client did not read what was sent for ten seconds.",
}

LOG_RESULTS = {
    "written": "They are where they should be.",
    "dropped": "The queue was full.",
    "failed": "They could not be written.",
}

RELOAD_CAUSES = {
    "": "It succeeded.",
    "faults": "The definitions have errors; the tenants that they concern keep their last good rules.",
    "unreadable": "There is nothing at the definitions' path that could be read; or Redis does not give a tenant's "
    "rules out, because a key is of the wrong type.",
    "unreachable": "Redis does not answer, or refuses the password.",
    "replica": "Redis is a replica: perhaps a master that was replaced; the connection is made anew.",
    "truncated": "A snapshot was damaged on its way.",
    "corrupt": "Likewise; or a pointer is not one of this release.",
    "foreign": "A snapshot of another format: loader and server are of different releases.",
    "untrusted": "A snapshot or pointer without a valid signature: loader and server have different secret keys, or "
    "somebody else wrote it.",
    "missing": "What a pointer names is not there.",
    "mismatch": "It is something else.",
    "rolled_back": "It is older than what was followed before, or than the manifest says.",
    "misplaced": "It was published for another deployment or prefix, and copied from there.",
    "unlisted": "The loader's manifest does not name the tenant, or there is no manifest that could be used.",
    "stale": "The manifest was signed longer ago than `--max-manifest-age`.",
    "unusable": "It cannot be used, for another reason; of a security setting: the file or URL changed and cannot be "
    "used, and the previous content stays in force.",
    "internal": "A mistake of ours; please report what the log says.",
}
"""The log has the details of each."""

RELOAD_SOURCES = {
    "definitions": "Files, a Wazo or a database that this server reads itself.",
    "redis": "What a loader published.",
    "disk": "What was kept from the last time, at the start.",
    "clients": "The clients file, one of the [security settings](security.md), as are the next ones.",
    "certificate": "The server's certificate.",
    "peers": "What clients' certificates are checked with.",
    "jwks": "The keys of JWTs.",
}

SNAPSHOT_ORIGINS = {
    "redis": "A loader published it.",
    "definitions": "This server read it itself.",
    "disk": "It was kept from the last time, and Redis has not confirmed it yet.",
    "": "Of several tenants, see below.",
}

_TENANT = "a tenant's UUID"
_DECISIONS = {decision.name.lower(): "" for decision in Decision}
_STAGES = {stage.name.lower(): "" for stage in Stage}
_CODES = dict.fromkeys(["OK", "CANCELLED", *(code.name for code in Code)], "")
_METHODS = dict.fromkeys(METHODS, "")
HANDED = dict.fromkeys(METHODS[:3], "")
"""The methods that the core answers."""

FETCHED_FORMS = {
    "delta": "What changed, for a server that has the rest.",
    "snapshot": "All of a tenant's compiled rules.",
}

METRICS: dict[str, Description] = {
    "rightcall_decisions_total": Description(
        "counter",
        "Calls decided, by decision and deciding stage.",
        {"decision": _DECISIONS, "stage": _STAGES},
        "Each call of a `CheckCalls` and of a stream counts; an `ExplainCall` does not, nor does a question that has "
        "no answer.",
    ),
    "rightcall_refusals_total": Description(
        "counter",
        "Calls denied or challenged, by the permission that did it.",
        {
            "decision": {"deny": "", "challenge": ""},
            "tenant": _TENANT,
            "permission": "its id",
            "name": "its name, at most 40 characters",
        },
        "The first 100 permissions that refuse a call have a series each; what others refuse is counted together, with "
        "the other labels empty.",
    ),
    "rightcall_core_handed_total": Description(
        "counter",
        "Requests that the core handed to Python, for the methods that it answers itself.",
        {"method": HANDED},
        "Of a stream each request that was, and the whole stream where its client is over a limit. Each takes twenty "
        "times as long; [what is handed over](scaling.md#the-core). Always 0 over other transports.",
    ),
    "rightcall_unknown_total": Description(
        "counter",
        "Calls decided whose caller or outcall is not known.",
        {"part": STRANGERS},
        "Most are allowed, unless `--unknown-caller deny` or `--unknown-outcall deny` is set: rules that should apply "
        "may not. A call without a caller or outcall does not count.",
    ),
    "rightcall_check_duration_seconds": Description(
        "histogram",
        "Time to decide one call and make its answer.",
        more="Without the network's and gRPC's share. Buckets from 25 µs to 5 s.",
    ),
    "rightcall_grpc_requests_total": Description(
        "counter",
        "gRPC requests answered, by status code.",
        {"method": _METHODS, "code": _CODES},
        "A stream counts once, when it ends. Health checks and reflection do not count, nor does what gRPC refuses by "
        "itself: unknown methods and messages that are too large.",
    ),
    "rightcall_grpc_request_duration_seconds": Description(
        "histogram",
        "Time that a method works on a request, until its response is made.",
        {"method": _METHODS},
        "Without the network's and gRPC's share. What is refused before a method sees it (for too many calls, or for "
        "who asks) has none. Of `ListCallers` until its last response is taken; of `StreamCheckCalls` each answer, "
        "since the stream lasts as long as its client likes. Buckets from 25 µs to 5 s.",
    ),
    "rightcall_challenges_total": Description(
        "counter",
        "Passwords sent to AnswerChallenge, and what came of them.",
        {"result": CHALLENGE_RESULTS},
        "More in [challenges](challenges.md#what-to-watch).",
    ),
    "rightcall_lockouts_total": Description(
        "counter",
        "Callers locked out after too many wrong passwords.",
        more="A burst of them is somebody who guesses.",
    ),
    "rightcall_auth_failures_total": Description(
        "counter", "Calls refused because of who asked, or what of.", {"reason": AUTH_FAILURES}
    ),
    "rightcall_rejected_total": Description(
        "counter", "Calls refused because there were too many.", {"reason": REJECTIONS}
    ),
    "rightcall_threads_stuck": Description(
        "gauge",
        "1 while no thread of Python's, or one of the core's, has got round to a new call for four seconds, else 0.",
        more="`/healthz` fails meanwhile, so that an orchestrator starts the server again; the log says what they do.",
    ),
    "rightcall_follower_stuck": Description(
        "gauge",
        "1 while what follows Redis or the definitions has stood still for four seconds, else 0.",
        more="Calls are decided by the rules that are there; the log has `threads_stuck`. Waiting for Redis does not "
        "count before its timeout of 10 s.",
    ),
    "rightcall_http_connections": Description("gauge", "Connections of the HTTP port that are open."),
    "rightcall_http_closed_total": Description(
        "counter", "Connections of the HTTP port that the server closed, by why.", {"reason": HTTP_CLOSED}
    ),
    "rightcall_decision_log_entries_total": Description(
        "counter",
        "Entries of the decision log: written, or lost and why.",
        {"result": LOG_RESULTS},
        "See [the decision log](decision-log.md). Always 0 without one.",
    ),
    "rightcall_shadow_decisions_total": Description(
        "counter",
        "Decisions that were compared with what the tenant's candidate would have decided.",
        {"tenant": _TENANT, "decision": "the decision", "candidate": "that of the candidate; `none`: it has none"},
        "See [shadow](shadow.md). No series where no tenant has had a candidate.",
    ),
    "rightcall_shadow_revision": Description(
        "gauge", "Number of the candidate that a tenant's decisions are compared with.", {"tenant": _TENANT}
    ),
    "rightcall_tenants": Description("gauge", "Tenants that the server answers for."),
    "rightcall_closed_tenants": Description(
        "gauge",
        "Tenants that are closed: defined, and never free of faults here.",
        more="They are among `rightcall_tenants`; their calls are FAILED_PRECONDITION, but for emergency numbers.",
    ),
    "rightcall_tenant_info": Description(
        "gauge",
        "1, with the name that goes with a tenant's UUID; absent beyond 50 tenants.",
        {"tenant": _TENANT, "name": "its name, at most 40 characters"},
        "`… * on (instance, tenant) group_left (name) rightcall_tenant_info` names the tenants of another metric.",
    ),
    "rightcall_snapshot_revision": Description(
        "gauge", "Number of the revision that decides a tenant's calls.", {"tenant": _TENANT}
    ),
    "rightcall_snapshot_age_seconds": Description(
        "gauge",
        "Time since the loader compiled the revision.",
        {"tenant": _TENANT, "source": SNAPSHOT_ORIGINS},
        "Rules that nobody edits grow old without anything being wrong.",
    ),
    "rightcall_snapshot_bytes": Description("gauge", "Size of the compiled rules in memory.", {"tenant": _TENANT}),
    "rightcall_snapshot_permissions": Description("gauge", "Permissions in the compiled rules.", {"tenant": _TENANT}),
    "rightcall_sync_lag_seconds": Description(
        "histogram",
        "Time from when the loader began to compile a change until this server decides by it.",
        more="[What is in it](#how-long-an-edit-takes). Buckets from 10 ms to 15 min.",
    ),
    "rightcall_source_contact_age_seconds": Description(
        "gauge",
        "Time since the source of rules was last reached.",
        more="Of Redis, or of the definitions. It grows while Redis is away; `--max-staleness` bounds it for "
        "readiness.",
    ),
    "rightcall_source_staleness_seconds": Description(
        "gauge",
        "Time for which a change of the definitions may be unknown to this server, at most.",
        more="Where the server reads definitions itself; as `rightcall_loader_source_staleness_seconds` else. "
        "`--max-staleness` bounds it for readiness.",
    ),
    "rightcall_reloads_total": Description(
        "counter",
        "Attempts to take over changed rules, and what came of them.",
        {"source": RELOAD_SOURCES, "result": {"success": "", "failure": ""}, "cause": RELOAD_CAUSES},
    ),
    "rightcall_fetched_bytes_total": Description(
        "counter",
        "Bytes of rules that were fetched from Redis.",
        {"form": FETCHED_FORMS},
        "Mostly deltas; snapshots at the start, and when the loader was started anew.",
    ),
    "rightcall_missing_tenants": Description(
        "gauge",
        "Tenants that the loader's manifest names and this server has no rules of; absent where it follows no Redis.",
    ),
    "rightcall_redis_up": Description(
        "gauge", "1 while Redis answers, 0 while it does not; absent where the server does not follow one."
    ),
    "rightcall_redis_replica": Description(
        "gauge",
        "1 while the Redis that is followed is a replica, 0 while it is a master; absent where none is followed.",
    ),
    "rightcall_build_info": Description(
        "gauge", "Always 1; the label tells the version.", {"version": "the program's version"}
    ),
}
"""Every metric of our own, in the order of the manual; those of the processes are in ``pdp.metrics.processes``."""
