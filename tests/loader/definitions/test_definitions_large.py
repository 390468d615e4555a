"""Large definitions files."""

from __future__ import annotations

from loader.definitions.document import check_document
from loader.faults import Severity

SIZE = 50_000_000
YAML_SIZE = 10_000_000
BIG = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
SMALL = "54eb71f8-1f4b-4ae4-8730-638062fbe522"


def user_uuid(number: int) -> str:
    """A UUID of its own for each number."""
    return f"{number:08x}-433e-4bb8-8d56-fec14ff7e1e9"


def json_user(number: int) -> str:
    """A user, about 100 bytes."""
    return f'{{"uuid": "{user_uuid(number)}", "call_permission_password": "{number % 10_000:04}"}}'


def json_permission(number: int) -> str:
    """A permission, about 280 bytes."""
    return (
        f'{{"id": {number + 1}, "name": "permission {number}", "mode": "deny", "password": "1234", "enabled": true,\n'
        f' "extensions": ["_00{number}.", "11{number}"], "groups": [], "outcalls": [],\n'
        f' "users": ["{user_uuid(number)}", "{user_uuid(number // 2)}"]}}'
    )


def test_a_file_of_50_mb_is_read_and_a_fault_at_its_end_has_its_line() -> None:
    """The large tenant is there in spite of the small one behind it."""
    count = SIZE // 340
    users = ",\n".join(map(json_user, range(count)))
    permissions = ",\n".join(map(json_permission, range(count)))
    head = f'{{"tenants": [{{"uuid": "{BIG}", "users": [\n{users}],\n"call_permissions": [\n{permissions}]}},\n'
    data = f'{head}{{"uuid": "{SMALL}", "groups": [\n{{"id": 7}}]}}]}}\n'.encode()
    assert len(data) >= SIZE
    checked = check_document("big.json", data)
    big, small = checked.entries
    assert big.tenant is not None
    assert (len(big.tenant.users), len(big.tenant.call_permissions)) == (count, count)
    assert small.tenant is None
    assert [fault.line for fault in checked.faults if fault.severity is Severity.ERROR] == [data.count(b"\n")]


def test_a_large_yaml_file_is_read() -> None:
    """YAML takes five times as long, so this one is smaller: 10 MB."""
    count = YAML_SIZE // 415
    users = "".join(f"    - {{uuid: {user_uuid(number)}}}\n" for number in range(count))
    allowed = "".join(
        f"""\
    - id: {number + 1}
      name: permission {number}
      mode: allow
      enabled: true
      extensions: ["_00{number}.", "11{number}"]
      users:
        - {user_uuid(number)}
        - {user_uuid(number // 2)}
        - {user_uuid(number // 3)}
        - {user_uuid(number // 5)}
        - {user_uuid(number // 7)}
"""
        for number in range(8, count)
    )
    data = f"tenants:\n  - uuid: {BIG}\n    users:\n{users}    call_permissions:\n{allowed}".encode()
    assert len(data) >= YAML_SIZE
    (entry,) = check_document("big.yaml", data).entries
    assert entry.tenant is not None
    assert len(entry.tenant.call_permissions) == count - 8
