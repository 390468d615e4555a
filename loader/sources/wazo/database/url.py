"""The URL of a database: the client's part, the name for people, and the wanted tenants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from loader.errors import SourceError

SCHEMES: Final = ("postgresql", "postgres")

_EXAMPLE: Final = "postgresql://USER@HOST/asterisk"
_TENANT: Final = "tenant"


@dataclass(frozen=True, slots=True)
class Location:
    """The address of a database.

    Attributes:
        dsn: for the client; may hold a password.
        name: for people; without credentials.
        tenants: UUIDs in lower case, or names, of the tenants to read; empty: all.
    """

    dsn: str = field(repr=False)
    name: str
    tenants: frozenset[str]


def parse_url(url: str) -> Location:
    """Parses a URL, and takes out all parameters ``tenant``. The client knows the others.

    Raises:
        SourceError: the URL is not a database's. The message repeats no part of the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise SourceError(f"the source's URL cannot be read; write it as {_EXAMPLE}") from None
    if parts.scheme.lower() not in SCHEMES or not url.partition(":")[2].startswith("//"):
        raise SourceError(f"the source's URL names no database; write it as {_EXAMPLE}")
    if parts.fragment or "@" in parts.path or ("@" in parts.query and "@" not in parts.netloc):
        # A password with one of these characters unescaped would end the host's part, and be shown as a path.
        raise SourceError("the source's URL cannot be read; in a password write / as %2F, ? as %3F, # as %23, @ as %40")
    parameters = {key: value for key, value in given if key != _TENANT}
    parameters.setdefault("application_name", "rightcall")
    query = urlencode(parameters, quote_via=quote)
    return Location(
        dsn=urlunsplit(("postgresql", parts.netloc, parts.path, query, "")),
        name=f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}",
        tenants=frozenset(wanted_tenant(value) for key, value in given if key == _TENANT and value),
    )


def wanted_tenant(text: str) -> str:
    """A tenant's UUID or name in the form for comparisons: without regard to case."""
    return text.strip().lower()
