"""Checks that a Redis is fit for publishing: reachable, credentials accepted, encrypted, a master, durable."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from rightcall.doctor.findings import NotExamined, counted, failure, listed, ok, warning
from rightcall.doctor.http import offset
from rightcall.doctor.network import dates

if TYPE_CHECKING:
    from rightcall.doctor.findings import Finding
    from rightcall.doctor.redis_part import RedisPart

_FULL: Final = 0.9
"""Share of ``maxmemory``."""
_SOME: Final = "00000000-0000-4000-8000-000000000000"
"""Stands for a tenant in commands that are not run."""
_MIB: Final = 2**20


def check_reached(redis: RedisPart) -> Finding:
    """Checks that Redis responds."""
    if redis.tls and not redis.is_several and _stays_silent(redis):
        return failure(f"{redis.name}: no answer to TLS", "use redis:// if it does not speak TLS; or it hangs")
    trouble = redis.trouble
    if trouble is None or redis.refused:
        return ok(redis.name)
    text = " ".join(str(trouble).split())
    if isinstance(trouble.__cause__, ssl.SSLError) or "SSL" in text:
        advice = "name its authority with ?ssl_ca_certs=FILE; use redis:// if it does not speak TLS"
        return failure(f"{redis.name}: no TLS: {text}", advice)
    advice = "check that it is up, its address, and what is between; rediss:// if it speaks TLS"
    return failure(f"{redis.name}: {text}", advice)


def _stays_silent(redis: RedisPart) -> bool:
    """Whether TLS gets no response: a server without TLS takes the handshake for half a command, and waits."""
    try:
        redis.place.handshake(redis.files)
    except OSError as error:  # any other the client will meet as well, and say so
        return isinstance(error, TimeoutError)
    return False


def check_credentials(redis: RedisPart) -> Finding:
    """Checks that Redis accepts user and password."""
    if redis.refused:
        return failure("refused", "check user and password in the Redis URL; escape special characters as %XX")
    try:
        return ok(f"accepted; the user is {redis.user}")
    except NotExamined:
        return ok("accepted")


def check_encryption(redis: RedisPart) -> Finding:
    """Whether TLS is used, and until when the certificate is good."""
    if not redis.tls:
        if redis.place.is_here:
            return ok("none, within this machine")
        advice = "use rediss://; who is between can read rules, hashes of passwords and this account's password"
        return warning("none", advice)
    shown = redis.place.handshake(redis.files)
    if shown.certificate is None:
        raise NotExamined("it shows no certificate")
    return dates(shown.certificate, "Redis reads it at its start, or with CONFIG SET tls-cert-file")


def check_role(redis: RedisPart) -> Finding:
    """Checks that the server accepts writes."""
    roles = {node: str(info.get("role")) for node, info in redis.information("replication").items()}
    replicas = [node for node, role in roles.items() if role != "master"]
    if replicas:
        advice = "give loaders and servers the master's address, or redis+sentinel://…, which finds it"
        return failure(f"{listed(replicas)} is a replica: nothing can be published to it", advice)
    return ok("master" if len(roles) == 1 else f"{len(roles)} masters of a cluster")


def check_memory(redis: RedisPart) -> Finding:
    """Checks that Redis evicts nothing, and has room."""
    for node, info in redis.information("memory").items():
        policy, most, used = str(info.get("maxmemory_policy")), int(info["maxmemory"]), int(info["used_memory"])
        if policy != "noeviction":
            advice = "set maxmemory-policy noeviction: what it drops, servers that start meanwhile lack"
            return warning(f"{node} evicts keys when it is full (maxmemory-policy {policy})", advice)
        if most and used > _FULL * most:
            advice = "raise maxmemory, or publish with a smaller --keep: when it is full, publishing fails"
            return warning(f"{node} uses {used / _MIB:,.0f} of {most / _MIB:,.0f} MiB", advice)
    return ok("noeviction, and not full")


def check_persistence(redis: RedisPart) -> Finding:
    """Checks that Redis can save, if configured to."""
    log = False
    for node, info in redis.information("persistence").items():
        if info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err":
            return failure(f"{node} could not save to its disk, and may refuse writes", "see its log; free its disk")
        log = log or bool(info.get("aof_enabled"))
    if log:
        return ok("append-only file")
    return ok("no append-only file; what a restart loses, the loader publishes again")


def check_server_rights(redis: RedisPart) -> Finding:
    """Whether this account would do for a server."""
    keys, counters = redis.keys, f"{redis.keys.prefix}attempts:{{{_SOME}}}"
    commands = (
        ("HGETALL", keys.pointers),
        ("HMGET", keys.pointers, _SOME),
        ("GET", keys.snapshot(_SOME, 1)),
        ("STRLEN", keys.snapshot(_SOME, 1)),
        ("GETRANGE", keys.snapshot(_SOME, 1), "0", "1"),
        ("SUBSCRIBE", keys.changes),
        ("EVAL", "return 1", "1", counters),
        ("TIME",),
        ("EXISTS", counters),
        ("HGET", counters, "total"),
        ("HSET", counters, "total", "1"),
        ("HINCRBY", counters, "total", "1"),
        ("HDEL", counters, "total"),
        ("PEXPIRE", counters, "1"),
        ("SET", f"{counters}:used:x", "1"),
        ("DEL", counters),
    )
    return _rights(redis, commands, "of a server; those on attempts are for passwords")


def check_loader_rights(redis: RedisPart) -> Finding:
    """Whether this account would do for a loader."""
    keys = redis.keys
    commands = (
        ("HGETALL", keys.pointers),
        ("HGET", keys.pointers, _SOME),
        ("HSET", keys.pointers, _SOME, "1"),
        ("PUBLISH", keys.changes, _SOME),
        ("EVAL", "return 1", "1", keys.leader),
        ("GET", keys.leader),
        ("SET", keys.leader, "1"),
        ("PEXPIRE", keys.leader, "1"),
        ("DEL", keys.leader),
        ("INCR", keys.epoch),
        ("MULTI",),
        ("EXEC",),
        ("SET", keys.snapshot(_SOME, 1), "1"),
        ("EXISTS", keys.snapshot(_SOME, 1)),
        ("STRLEN", keys.snapshot(_SOME, 1)),
        ("GETRANGE", keys.snapshot(_SOME, 1), "0", "1"),
        ("SETRANGE", keys.snapshot(_SOME, 1), "0", "1"),
        ("COPY", keys.snapshot(_SOME, 1), keys.snapshot(_SOME, 2)),
        ("UNLINK", keys.snapshot(_SOME, 1)),
        ("ZADD", keys.revisions(_SOME), "1", "1"),
        ("ZRANGE", keys.revisions(_SOME), "0", "-1"),
        ("ZREM", keys.revisions(_SOME), "1"),
    )
    return _rights(redis, commands, "of a loader; where servers have an account of their own, that is as it should be")


def _rights(redis: RedisPart, commands: tuple[tuple[str, ...], ...], whose: str) -> Finding:
    refused = [" ".join(command[:2]) for command in commands if redis.may(*command)]
    if refused:
        advice = f"ACL SETUSER {redis.user}: these are rights {whose}"
        return warning(f"{redis.user} may not: {listed(refused, len(commands))}", advice)
    return ok(f"{redis.user} has all of {counted(len(commands), 'right')}")


def check_clock(redis: RedisPart) -> Finding:
    """Checks the clock of Redis against the local one."""
    try:
        before, theirs, after = redis.clock()
    except RedisError as error:
        raise NotExamined("this account may not ask (TIME)") from error
    return offset(theirs - after, theirs - before, "the clock of Redis")
