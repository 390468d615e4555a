"""What one edit of a large tenant costs that comes as values, as from Wazo, beside the same edit of a file.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/value_edit.py [PERMISSIONS]

One permission changes; the tenant is checked, digested and compiled. Medians of seconds, and ratios, in one line of
JSON. ``equal`` is the same with every other member a new object that equals the last one, as a database gives them.
"""

from __future__ import annotations

import copy
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from bench.facts import timed
from bench.measure import SECRET
from bench.workload import as_definitions, make_workload
from loader.sources.file import FileSource
from loader.sources.values import PlainDefinitions
from loader.sources.wazo.references import OwnReferences
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import Digester
from pdp.rules.model import PasswordOverride, Revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.model import Tenant

PERMISSIONS = 100_000
ROUNDS = 5


def measure(permissions: int) -> dict[str, float]:
    """The figures."""
    tenant = as_definitions(make_workload(permissions, calls=0).tenant)
    middle, compiled = permissions // 2, _Compiled()

    def edited(number: int) -> dict[str, Any]:
        changed = {**tenant["call_permissions"][middle], "name": f"changed {number}"}
        listed = [*tenant["call_permissions"][:middle], changed, *tenant["call_permissions"][middle + 1 :]]
        return {**tenant, "call_permissions": listed}

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "definitions.json")
        source = FileSource(str(file))

        def from_file(number: int) -> Callable[[], Tenant]:
            file.write_text(json.dumps({"tenants": [edited(number)]}, indent=1))
            return lambda: source.read().tenants[0]

        result = {"file_s": _median(compiled, from_file)}
    own, definitions = OwnReferences("bench"), PlainDefinitions("bench")
    result["values_s"] = _median(
        compiled, lambda number: _later(edited(number), lambda raw: definitions.reading([own.of(raw)[0]]).tenants[0])
    )
    fresh = PlainDefinitions("bench")
    result["equal_s"] = _median(
        compiled, lambda number: _later(copy.deepcopy(edited(number)), lambda raw: fresh.reading([raw]).tenants[0])
    )
    return result | {key.replace("_s", "_of_file"): result[key] / result["file_s"] for key in ("values_s", "equal_s")}


class _Compiled:
    """Digests and compiles the states of a tenant; only the first one is compiled as a whole."""

    def __init__(self) -> None:
        self._digester = Digester(secret=SECRET, password_override=PasswordOverride.ALL)
        self._compiler = Compiler(secret=SECRET, password_override=PasswordOverride.ALL)

    def __call__(self, tenant: Tenant, number: int) -> None:
        revision = Revision(number, self._digester.digest(tenant))
        self._compiler.compile(tenant, revision, compiled_at=time.time())


def _later(raw: dict[str, Any], read: Callable[[dict[str, Any]], Tenant]) -> Callable[[], Tenant]:
    return lambda: read(raw)


def _median(compiled: _Compiled, edit: Callable[[int], Callable[[], Tenant]]) -> float:
    """The median time from an edit that is at hand to the compiled tenant, after a first reading."""
    times = []
    for number in range(ROUNDS + 1):
        read = edit(number)

        def work(read: Callable[[], Tenant] = read, number: int = number) -> None:
            compiled(read(), number + 1)

        times.append(timed(work)[1])
    return statistics.median(times[1:])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else PERMISSIONS)))
