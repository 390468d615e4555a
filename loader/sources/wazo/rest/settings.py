"""The settings of a Wazo source: URLs, user and timeouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from loader.errors import SourceError

SCHEMES: Final = ("confd+https", "confd+http")
_CONFD_PORT: Final = 9486
_AUTH_PORT: Final = 9497
_CONFD_PATH: Final = "/api/confd/1.1"
_AUTH_PATH: Final = "/api/auth/0.1"
_EXAMPLE: Final = "confd+https://wazo.example.com/api/confd/1.1"
_PARAMETERS: Final = ("auth_url", "bus_url", "ca_file", "tenant")


class Patience(NamedTuple):
    """The timeouts of a response.

    Attributes:
        attempts: number of attempts before giving up.
        silence: seconds between two parts of the response.
        whole: seconds for the whole response.
    """

    attempts: int
    silence: float
    whole: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WazoSettings:
    """The settings for reading a Wazo stack. Only ``name`` is shown to people.

    Attributes:
        confd_url: base of wazo-confd's API with its version; no credentials.
        auth_url: base of wazo-auth's API with its version; no credentials.
        username: the name of the Wazo user that reads.
        password: the password of that user.
        tenants: UUIDs or names of the tenants to read; empty: all.
        ca_file: certificates of authorities to trust, PEM; empty: those of the system.
        verify: whether the servers' certificates are checked.
        bus_url: ``amqp://USER:PASSWORD@HOST:5672/`` or ``amqps://…``; empty: no bus, changes are noticed by polling.
        poll_seconds: between two readings while no bus is connected.
        resync_seconds: between two full readings while a bus is connected: an event may have been lost.
        debounce_seconds: silence after an event before the named part is read.
        debounce_most_seconds: after an event until the named part is read at the latest, even if others follow.
        token_seconds: requested lifetime; the token is renewed earlier.
        connect_seconds: to reach a server.
        silence_seconds: between two parts of a response. The first part of a list of many users is slow.
        reply_seconds: for a whole response.
        attempts: number of attempts of a request before a reading fails.
        part_seconds: for the response about one item that an event named.
    """

    confd_url: str
    auth_url: str
    username: str = ""
    password: str = field(default="", repr=False)
    tenants: tuple[str, ...] = ()
    ca_file: str = ""
    verify: bool = True
    bus_url: str = field(default="", repr=False)
    poll_seconds: float = 30.0
    resync_seconds: float = 300.0
    debounce_seconds: float = 0.1
    debounce_most_seconds: float = 0.4
    token_seconds: int = 3600
    connect_seconds: float = 5.0
    silence_seconds: float = 60.0
    reply_seconds: float = 300.0
    attempts: int = 4
    part_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Rejects settings that cannot work.

        Raises:
            SourceError: credentials are missing.
        """
        if not (self.username and self.password):
            raise SourceError(
                "the Wazo source has no username or no password; give those of a Wazo user that may read, "
                "as docs/wazo.md describes"
            )

    @property
    def patience(self) -> Patience:
        """With each request of a reading."""
        return Patience(self.attempts, self.silence_seconds, self.reply_seconds)

    @property
    def quick(self) -> Patience:
        """The timeouts of a request about one item: retried later, while nothing waits."""
        return Patience(1, self.part_seconds, self.part_seconds)

    @property
    def name(self) -> str:
        """The source's name in messages."""
        return f"confd+{self.confd_url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WazoOptions:
    """Settings beside the URL, from options or variables; empty if not given. See ``WazoSettings``."""

    username: str = ""
    password: str = field(default="", repr=False)
    auth_url: str = ""
    bus_url: str = field(default="", repr=False)
    tenants: tuple[str, ...] = ()
    ca_file: str = ""
    verify: bool = True


def settings_from(url: str, options: WazoOptions | None = None, *, poll_seconds: float = 30.0) -> WazoSettings:
    """Merges a source's URL and the options. Options take precedence over the URL.

    Args:
        url: ``confd+https://[USER:PASSWORD@]HOST[:PORT]/api/confd/1.1``, with the parameters ``auth_url``, ``bus_url``,
            ``ca_file`` and, any number of times, ``tenant``.
        options: the settings beside the URL.
        poll_seconds: see ``WazoSettings``.

    Raises:
        SourceError: the URL is invalid, or a setting is missing. The message repeats nothing that may be secret.
    """
    options = options or WazoOptions()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        given = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:  # not named as the cause: the error repeats a part of the URL
        raise SourceError(f"the source's URL cannot be read; write it as {_EXAMPLE}") from None
    scheme = parts.scheme.lower().removeprefix("confd+")
    if not host or scheme not in ("http", "https"):
        raise SourceError(f"the source's URL names no host; write it as {_EXAMPLE}")
    unknown = sorted(given.keys() - set(_PARAMETERS))
    if unknown:
        raise SourceError(f"the source's URL has an unknown parameter; the known ones are {', '.join(_PARAMETERS)}")
    place = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/") or ("/1.1" if port == _CONFD_PORT else _CONFD_PATH)
    confd_url = f"{scheme}://{place}{f':{port}' if port else ''}{path}"
    settings = WazoSettings(
        confd_url=confd_url,
        auth_url=(options.auth_url or _one(given, "auth_url") or _auth_beside(confd_url)).rstrip("/"),
        username=options.username or unquote(parts.username or ""),
        password=options.password or unquote(parts.password or ""),
        tenants=options.tenants or tuple(given.get("tenant", ())),
        ca_file=options.ca_file or _one(given, "ca_file"),
        verify=options.verify,
        bus_url=options.bus_url or _one(given, "bus_url"),
        poll_seconds=poll_seconds,
    )
    _refuse_credentials(settings.auth_url)
    return settings


def _one(given: dict[str, list[str]], key: str) -> str:
    return given[key][-1] if key in given else ""


def _auth_beside(confd_url: str) -> str:
    """The default URL of wazo-auth: behind the same proxy, or at wazo-auth's port beside wazo-confd's."""
    base, found, _ = confd_url.rpartition(_CONFD_PATH)
    if found:
        return base + _AUTH_PATH
    parts = urlsplit(confd_url)
    if parts.port == _CONFD_PORT:
        return f"{parts.scheme}://{parts.netloc.removesuffix(str(_CONFD_PORT))}{_AUTH_PORT}/0.1"
    raise SourceError("nothing says where wazo-auth is; add the parameter auth_url to the source's URL")


def _refuse_credentials(auth_url: str) -> None:
    try:
        parts = urlsplit(auth_url)
        fine = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
    except ValueError:
        fine = None
    if not fine:
        raise SourceError("auth_url cannot be used; write it as https://wazo.example.com/api/auth/0.1, without a user")
