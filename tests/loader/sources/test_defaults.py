"""What holds for tenants that do not say it themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loader.numbering import numbering_table
from loader.sources import open_source
from loader.sources.adjusted import AdjustedSource, without_names
from loader.sources.defaults import DefaultError, TenantDefaults
from pdp.rules.model import Dialling, Tenant

if TYPE_CHECKING:
    from pathlib import Path

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
OTHER = "11111111-2222-4333-8444-555555555555"
FRENCH = Dialling("FR", "0", numbering_table("FR", "0"))


def source(path: Path, defaults: TenantDefaults, **more: Any) -> AdjustedSource:
    """A source with two tenants, the first with these keys besides, and with defaults."""
    document = {"tenants": [{"uuid": ACME, "name": "acme", **more}, {"uuid": OTHER, "name": "other"}]}
    path.write_text(yaml.safe_dump(document))
    return AdjustedSource(open_source(str(path)), defaults.completed)


def tenants(path: Path, *texts: str, emergency: tuple[str, ...] = (), **more: Any) -> dict[str, Tenant]:
    """What comes of two tenants, by name."""
    read = source(path / "rules.yaml", TenantDefaults.parsed(texts, emergency), **more).read()
    return {tenant.name: tenant for tenant in read.tenants}


def test_every_tenant_gets_the_default(tmp_path: Path) -> None:
    """How it dials, and its emergency numbers, those of the country among them."""
    found = tenants(tmp_path, "country=FR,outside_line=0", emergency=("FR, 114",))
    assert {name: tenant.dialling for name, tenant in found.items()} == {"acme": FRENCH, "other": FRENCH}
    assert {tenant.emergency for tenant in found.values()} == {("112", "114", "15", "17", "18")}


@pytest.mark.parametrize("name", ["acme", ACME, ACME.upper()])
def test_a_default_may_be_one_tenants(tmp_path: Path, name: str) -> None:
    """By its UUID or its name; then it goes before the default of all."""
    found = tenants(tmp_path, "country=DE", f"{name}:country=FR,outside_line=0", emergency=(f"{name}:999",))
    assert found["acme"].dialling == FRENCH
    assert found["other"].dialling == Dialling("DE", "", numbering_table("DE", ""))
    assert (found["acme"].emergency, found["other"].emergency) == (("999",), ())


def test_what_a_tenant_says_itself_stands(tmp_path: Path) -> None:
    """It knows better."""
    found = tenants(tmp_path, "country=FR,outside_line=0", dialling={"country": "DE"})
    assert found["acme"].dialling == Dialling("DE", "", numbering_table("DE", ""))


def test_a_tenant_with_a_fault_gets_the_default(tmp_path: Path) -> None:
    """It may be closed, and people must be able to call for help from it."""
    faulty = {"call_permissions": [{"id": 1, "extensions": ["_1["]}]}
    read = source(
        tmp_path / "rules.yaml", TenantDefaults.parsed(["country=FR,outside_line=0"], ["FR"]), **faulty
    ).read()
    (shut,) = read.shut
    assert (shut.closed.emergency, shut.closed.dialling) == (("112", "15", "17", "18"), FRENCH)
    assert shut.isolated is not None
    assert (shut.isolated.emergency, shut.isolated.dialling) == (("112", "15", "17", "18"), FRENCH)


def test_a_tenant_that_did_not_change_stays_the_same_object(tmp_path: Path) -> None:
    """So nothing compares it again."""
    completed = source(tmp_path / "rules.yaml", TenantDefaults.parsed(["country=FR"], []))
    first, second = completed.read(), completed.read()
    assert all(one is other for one, other in zip(first.tenants, second.tenants, strict=True))


@pytest.mark.parametrize(
    ("dialling", "emergency", "said"),
    [
        ("country=XX", "", "'country=XX': 'XX' is no country"),
        ("outside_line=x", "", "'outside_line=x': 'x' is no outside line"),
        ("FR", "", "'FR' in 'FR' is neither country=… nor outside_line=…"),
        ("acme:land=FR", "", "'land=FR' in 'acme:land=FR' is neither"),
        ("", "FR,DE", "'FR,DE' names more than one country"),
        ("", "112*", "'112*': '112*' is no emergency number"),
    ],
)
def test_a_default_that_cannot_be_read_is_said(dialling: str, emergency: str, said: str) -> None:
    """With what to write."""
    with pytest.raises(DefaultError) as raised:
        TenantDefaults.parsed([dialling] if dialling else [], [emergency] if emergency else [])
    assert said in str(raised.value)


def test_no_defaults_are_none() -> None:
    """Then sources stay as they are."""
    assert not TenantDefaults()
    assert TenantDefaults().completed(Tenant(ACME)) == replace(Tenant(ACME), dialling=None)


def test_names_of_users_can_be_left_out(tmp_path: Path) -> None:
    """An unchanged tenant stays the same object; permissions keep their names."""
    users = [{"uuid": ACME, "name": "Ada", "extension": "201"}]
    source(tmp_path / "rules.yaml", TenantDefaults(), users=users, call_permissions=[{"id": 1, "name": "none"}])
    nameless = AdjustedSource(open_source(str(tmp_path / "rules.yaml")), without_names)
    tenant = nameless.read().tenants[1]
    assert [(user.uuid, user.name, user.extension) for user in tenant.users] == [(ACME, "", "")]
    assert all(permission.name for permission in tenant.call_permissions)
    assert nameless.read().tenants[1] is tenant
