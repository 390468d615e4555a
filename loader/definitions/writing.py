"""Definitions as text: a tenant written as YAML that reads back as the same tenant."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from loader.definitions.check import NUMBERED
from loader.definitions.shapes import MAX_PERMISSION_ID, is_password
from pdp.rules.model import Chosen, Decision, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pdp.rules.model import CallPermission, Expectation, Group, Ignored, Outcall, Tenant, User, Who

_ESCAPED = re.compile("[^ -~]")
_NUMBER = re.compile(rf"{NUMBERED}([1-9][0-9]{{0,18}})", re.ASCII)
_PLAIN = re.compile(r"[a-z][a-z0-9_-]*[a-z0-9]", re.ASCII)
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null"))
_UNKNOWN_PIN = "a PIN of which only the hash is known; write it as"


def definitions_text(
    tenants: Iterable[Tenant], heading: Sequence[str] = (), remarks: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Definitions of tenants, as YAML.

    Args:
        tenants: the tenants; passwords that are none, such as stand-ins for unknown ones, become comments.
        heading: comments at the top.
        remarks: comments in front of lists, by key, and of permissions, by number.
    """
    lines = [*map(_comment, heading)]
    written = [line for tenant in tenants for line in _tenant(tenant, remarks or {})]
    lines += ["tenants:", *(f"  {line}" if line else "" for line in written)] if written else ["tenants: []"]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text in double quotes, as YAML and JSON read it."""
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"  # noqa: PLR2004 - what \u holds


def _text(text: str) -> str:
    """A text, without quotes if it is one anyway."""
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else quoted(text)


def _listed(written: Iterable[str]) -> str:
    return f"[{', '.join(written)}]"


def _texts(texts: Iterable[str]) -> str:
    return _listed(map(quoted, texts))


def _flow(fields: Iterable[str]) -> str:
    return f"{{{', '.join(field for field in fields if field)}}}"


def _comment(line: str) -> str:
    return f"# {line}" if line else "#"


def _tenant(tenant: Tenant, remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"- uuid: {tenant.uuid}"
    if tenant.name:
        yield f"  name: {_text(tenant.name)}"
    if tenant.emergency:
        yield from _remarked("emergency", [f"emergency: {{numbers: {_texts(tenant.emergency)}}}"], remarks)
    if tenant.dialling is not None:
        plan = tenant.dialling
        country = f"country: {quoted(plan.country)}" if plan.country else ""
        line = f"outside_line: {quoted(plan.outside_line)}" if plan.outside_line else ""
        yield from _remarked("dialling", [f"dialling: {_flow((country, line))}"], remarks)
    for key, items in (
        ("users", map(_user, tenant.users)),
        ("groups", map(_group, tenant.groups)),
        ("outcalls", map(_outcall, tenant.outcalls)),
        ("call_permissions", (_remarked_permission(each, remarks) for each in tenant.call_permissions)),
        ("expectations", map(_expectation, tenant.expectations)),
        ("lint", map(_ignored, tenant.lint)),
    ):
        written = [f"  {line}" for item in items for line in item]
        if written:
            yield from _remarked(key, [f"{key}:", *written], remarks)


def _remarked(key: str, lines: Iterable[str], remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The lines of a key of a tenant, after an empty line and the comments on it."""
    yield ""
    yield from (f"  {_comment(remark)}" for remark in remarks.get(key, ()))
    yield from (f"  {line}" for line in lines)


def _user(user: User) -> Iterator[str]:
    numbers = [
        found[1] for alias in user.aliases if (found := _NUMBER.fullmatch(alias)) and int(found[1]) <= MAX_PERMISSION_ID
    ]
    number = numbers[0] if numbers else ""
    aliases = [alias for alias in user.aliases if alias != f"{NUMBERED}{number}"]
    password = user.call_permission_password
    fields = [
        f"uuid: {user.uuid}",
        f"name: {quoted(user.name)}" if user.name else "",
        f"extension: {quoted(user.extension)}" if user.extension else "",
        f"id: {number}" if number else "",
        f"aliases: {_texts(aliases)}" if aliases else "",
        f"call_permission_password: {quoted(password)}" if password and is_password(password) else "",
    ]
    unknown = password is not None and not is_password(password)
    yield f"- {_flow(fields)}" + (f"  # {_UNKNOWN_PIN} call_permission_password" if unknown else "")


def _group(group: Group) -> Iterator[str]:
    enabled = "" if group.enabled else "enabled: false"
    name = f"name: {_text(group.name)}" if group.name else ""
    yield f"- {_flow((f'id: {quoted(group.id)}', name, enabled, f'users: {_listed(group.users)}'))}"


def _outcall(outcall: Outcall) -> Iterator[str]:
    yield f"- {_flow((f'id: {quoted(outcall.id)}', f'name: {_text(outcall.name)}' if outcall.name else ''))}"


def _remarked_permission(permission: CallPermission, remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from (_comment(remark) for remark in remarks.get(str(permission.id), ()))
    yield from _permission(permission)


def _permission(permission: CallPermission) -> Iterator[str]:
    password = permission.password
    yield f"- id: {permission.id}"
    if permission.name:
        yield f"  name: {_text(permission.name)}"
    if permission.description:
        yield f"  description: {quoted(permission.description)}"
    if permission.mode is Mode.ALLOW:
        yield "  mode: allow"
    if password is not None:
        yield f"  password: {quoted(password)}" if is_password(password) else f"  # {_UNKNOWN_PIN} password"
    if not permission.enabled:
        yield "  enabled: false"
    if permission.extensions:
        yield f"  extensions: {_texts(permission.extensions)}"
    if permission.users:
        yield f"  users: {_listed(permission.users)}"
    for key in ("groups", "outcalls"):
        ids = getattr(permission, key)
        if ids:
            yield f"  {key}: {_texts(ids)}"


def _expectation(expectation: Expectation) -> Iterator[str]:
    yield f"- name: {_text(expectation.name)}"
    yield f"  who: {_who(expectation.who)}"
    yield f"  dial: {_texts(expectation.dial)}"
    if expectation.through is not None:
        yield f"  through: {_texts(expectation.through) if expectation.through else 'none'}"
    must = [decision.name.lower() for decision in Decision if decision in expectation.must]
    yield f"  must: {must[0] if len(must) == 1 else _listed(must)}"
    if not expectation.enforce:
        yield "  enforce: false"


def _who(who: Who) -> str:
    if who.chosen in (Chosen.EVERYONE, Chosen.NOBODY_KNOWN):
        return who.chosen.value
    users = f"users: {_listed(who.users)}" if who.users else ""
    people = _flow((users, f"groups: {_texts(who.groups)}" if who.groups else ""))
    return people if who.chosen is Chosen.LISTED else f"{{all_except: {people}}}"


def _ignored(ignored: Ignored) -> Iterator[str]:
    permissions = f"permissions: {_listed(map(str, ignored.permissions))}" if ignored.permissions else ""
    yield f"- {_flow((f'ignore: {ignored.code}', permissions, f'reason: {quoted(ignored.reason)}'))}"
