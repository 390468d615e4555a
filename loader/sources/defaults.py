"""Dialling and emergency numbers of tenants whose definitions lack them: for sources that know of neither.

Wazo Platform has no setting for a tenant's dialling. So the operator of the loader gives one, for all tenants or for
one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from loader.definitions.reaching import dialling_of, emergency_of
from loader.definitions.shapes import DiallingShape, EmergencyShape, canonical_uuid

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping

    from loader.sources.base import FaultyTenant, Reading, Source
    from pdp.rules.model import Dialling, Tenant

_Shape = TypeVar("_Shape", bound=BaseModel)
_EVERY_TENANT = ""
_KEYS = ("country", "outside_line")


class DefaultError(ValueError):
    """An invalid default; the text names the valid form."""


@dataclass(frozen=True, slots=True)
class TenantDefaults:
    """Defaults for tenants without own values, by UUID or name of a tenant, or by an empty text for all tenants.

    Attributes:
        dialling: the default dialling.
        emergency: the default emergency numbers.
    """

    dialling: Mapping[str, Dialling] = field(default_factory=dict)
    emergency: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parsed(cls, dialling: Iterable[str], emergency: Iterable[str]) -> TenantDefaults:
        """The defaults in texts such as ``country=FR,outside_line=0`` and ``acme:FR,114``.

        Raises:
            DefaultError: one cannot be read.
        """
        return cls(dict(map(_dialling, dialling)), dict(map(_emergency, emergency)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.dialling or self.emergency)

    def completed(self, tenant: Tenant) -> Tenant:
        """The tenant, with defaults for absent values."""
        names = (tenant.uuid, tenant.name, _EVERY_TENANT)
        dialling = tenant.dialling or next((self.dialling[name] for name in names if name in self.dialling), None)
        emergency = tenant.emergency or next((self.emergency[name] for name in names if name in self.emergency), ())
        return replace(tenant, dialling=dialling, emergency=emergency)


class CompletedSource:
    """A source that adds defaults to tenants.

    Args:
        source: the source of the tenants.
        defaults: the defaults to add.
    """

    def __init__(self, source: Source, defaults: TenantDefaults) -> None:
        self._source = source
        self._defaults = defaults
        # A tenant that is the one of last time stays the same object, so that it is not compared again.
        self._completed: dict[str, tuple[Tenant, Tenant]] = {}

    @property
    def name(self) -> str:
        """The source's."""
        return self._source.name

    def read(self) -> Reading:
        """Reads everything; see ``Source``."""
        reading = self._source.read()
        before, self._completed = self._completed, {}
        for tenant in reading.tenants:
            known = before.get(tenant.uuid)
            same = known is not None and known[0] is tenant
            self._completed[tenant.uuid] = known if known and same else (tenant, self._defaults.completed(tenant))
        return replace(
            reading,
            tenants=tuple(self._completed[tenant.uuid][1] for tenant in reading.tenants),
            shut=tuple(map(self._shut, reading.shut)),
        )

    def _shut(self, faulty: FaultyTenant) -> FaultyTenant:
        """A tenant with an error, which may be called for help from like any other."""
        isolated = self._defaults.completed(faulty.isolated) if faulty.isolated is not None else None
        return replace(faulty, closed=self._defaults.completed(faulty.closed), isolated=isolated)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Watches the source; see ``Source``."""
        return self._source.watch(stop)

    def stale_seconds(self) -> float:
        """For how long the source may have held something unread; see ``Source``."""
        return self._source.stale_seconds()

    def close(self) -> None:
        """Lets go of the source; see ``Source``."""
        self._source.close()


def _dialling(text: str) -> tuple[str, Dialling]:
    tenant, values = _parts(text)
    found: dict[str, str] = {}
    for value in values:
        key, equals, content = value.partition("=")
        if key not in _KEYS or not equals:
            raise DefaultError(f"'{value}' in '{text}' is neither country=… nor outside_line=…")
        found[key] = content
    dialling = dialling_of(_shaped(DiallingShape, found, text))
    assert dialling is not None  # noqa: S101 - there is a shape
    return tenant, dialling


def _emergency(text: str) -> tuple[str, tuple[str, ...]]:
    tenant, values = _parts(text)
    countries = [value for value in values if value.isalpha()]
    if len(countries) > 1:
        raise DefaultError(f"'{text}' names more than one country; write the numbers of the others")
    numbers = [value for value in values if not value.isalpha()]
    found: dict[str, object] = {"numbers": numbers, **({"country": countries[0]} if countries else {})}
    return tenant, emergency_of(_shaped(EmergencyShape, found, text))


def _parts(text: str) -> tuple[str, list[str]]:
    """The tenant of a default, or an empty text, and the values."""
    tenant, _, values = text.rpartition(":")
    listed = [value.strip() for value in values.split(",")]
    return canonical_uuid(tenant) or tenant, [value for value in listed if value]


def _shaped(shape: type[_Shape], found: Mapping[str, object], text: str) -> _Shape:
    try:
        return shape.model_validate(found)
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        raise DefaultError(f"'{text}': {context.get('problem')}; {context.get('remedy')}") from None
