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
    from collections.abc import Iterable, Mapping

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
