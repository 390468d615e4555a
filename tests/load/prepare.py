"""Rule sets for load tests, compiled once: what a server starts from, what it is asked, later editions of its rules.

``PYTHONPATH=.:tests:tests/support python -m load.prepare PERMISSIONS DIRECTORY`` makes one, in a process of its own,
since a million permissions take gigabytes while they are compiled. ``prepared`` starts that where there is none that
is up to date.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.workload import TENANT, make_workload

from load import scenarios
from load.scenarios import CALLS, SCENARIOS, write_questions
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import Digester
from pdp.rules.model import Revision
from pdp.rules.publication.pointer import Pointer
from pdp.snapshots.disk import SnapshotStore

if TYPE_CHECKING:
    from pdp.rules.model import Tenant

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "the load tests' own secret key"
EDITIONS: Final = 8
"""Later ones of a rule set, for the scenario in which rules change."""
MOST_EDITED: Final = 100_000
"""Permissions up to which there are later editions: each is as large as the rule set."""
_MEMORY_A_PERMISSION: Final = 14_000
"""Bytes that generating and compiling a permission may take, generously."""
_SAMPLE: Final = 300
"""Permissions and calls of the rule set that tells whether the code still makes the same of them."""
_LAYOUT: Final = "2"
"""Of the directory; another one is no longer up to date."""


class NotEnoughMemory(RuntimeError):
    """The machine cannot compile a rule set of that size now."""


class Edition(NamedTuple):
    """A later edition of a tenant's rules: what points to it, and the file with its snapshot."""

    pointer: Pointer
    blob: Path


class Prepared(NamedTuple):
    """A rule set that is compiled.

    Attributes:
        permissions: how many it has.
        directory: where it lies.
    """

    permissions: int
    directory: Path

    def questions(self, scenario: str) -> Path:
        """The file of the requests of a scenario, as ghz wants them."""
        return _questions(self.directory, scenario)

    def copy_state(self, to: Path) -> Path:
        """A state directory for one server, which may write to it; what is large is linked, not copied."""
        shutil.copytree(self.directory / "state", to, copy_function=lambda old, new: Path(new).hardlink_to(old))
        return to

    def editions(self) -> list[Edition]:
        """Later editions, in the order in which they are to be published."""
        secrets = [SECRET.encode()]
        return [
            Edition(Pointer.load(TENANT, path.read_bytes(), secrets), path.with_suffix(".snapshot"))
            for path in sorted((self.directory / "editions").glob("*.pointer"))
        ]


def prepared(permissions: int, cache: Path) -> Prepared:
    """A rule set of that size, compiled by the code as it is now; it is made where the cache has none.

    Raises:
        NotEnoughMemory: there is none yet, and not enough memory to make it.
        RuntimeError: it could not be made; the message is the compiler's last words.
    """
    directory = cache / f"{permissions}-{_code()}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{permissions}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else wants it waits until it is there
        if not directory.exists():
            _make(permissions, directory)
    return Prepared(permissions, directory)


def module_environment() -> dict[str, str]:
    """The environment in which ``python -m load.…`` finds what it needs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "support")))}


def _make(permissions: int, directory: Path) -> None:
    """Has it made by a process of its own, in place of those that other code made."""
    for old in directory.parent.glob(f"{permissions}-*"):
        shutil.rmtree(old)
    if (free := _available()) < permissions * _MEMORY_A_PERMISSION:
        raise NotEnoughMemory(f"{free / 1e9:.1f} GB of memory are free; {permissions:,} permissions need more")
    command = [sys.executable, "-m", "load.prepare", str(permissions), str(directory)]
    done = subprocess.run(command, env=module_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{permissions:,} permissions could not be compiled: {done.stderr.strip()[-500:]}")


def _prepare(permissions: int, directory: Path) -> None:
    """Makes a rule set; the directory appears when it is whole."""
    unfinished = directory.with_name(f".{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "editions").mkdir(parents=True)
    workload = make_workload(permissions, calls=CALLS)
    for scenario, calls in SCENARIOS.items():
        write_questions(calls(workload), _questions(unfinished, scenario))
    secret = SECRET.encode()
    compiler, digester, store = Compiler(secret=secret), Digester(secret=secret), SnapshotStore(unfinished / "state")
    base = time.time_ns() // 1_000_000
    for number in range(1 + (EDITIONS if permissions <= MOST_EDITED else 0)):
        tenant = _edited(workload.tenant, number)
        revision = Revision(base + number, digester.digest(tenant))
        blob = compiler.compile(tenant, revision, compiled_at=time.time())
        pointer = Pointer.to(tenant.uuid, revision, permissions)
        if number:
            stem = unfinished / "editions" / f"{number:02}"
            stem.with_suffix(".snapshot").write_bytes(blob)
            stem.with_suffix(".pointer").write_bytes(pointer.dump(secret))
        else:
            store.save(pointer, pointer.dump(secret), blob)
    unfinished.rename(directory)


def _edited(tenant: Tenant, number: int) -> Tenant:
    """The tenant with another pattern in one of its permissions; 0: as it is."""
    if not number:
        return tenant
    rules = list(tenant.call_permissions)
    at = (len(rules) // 2 + number) % len(rules)
    rules[at] = replace(rules[at], extensions=(f"_0049{number}X.",))
    return replace(tenant, call_permissions=tuple(rules))


def _questions(directory: Path, scenario: str) -> Path:
    return directory / f"{scenario.replace(' ', '-')}.questions"


def _code() -> str:
    """What tells rule sets apart that were made by other code: what it makes of a small one, and of the questions."""
    secret = SECRET.encode()
    workload = make_workload(_SAMPLE, calls=_SAMPLE)
    revision = Revision(1, Digester(secret=secret).digest(workload.tenant))
    digest = hashlib.sha256(_LAYOUT.encode())
    digest.update(Compiler(secret=secret).compile(workload.tenant, revision, compiled_at=0.0))
    digest.update(Pointer.to(workload.tenant.uuid, revision, _SAMPLE).dump(secret))
    digest.update(Path(scenarios.__file__).read_bytes())
    return digest.hexdigest()[:12]


def _available() -> int:
    """Bytes of memory that a new process may take."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise LookupError("MemAvailable")


if __name__ == "__main__":
    _prepare(int(sys.argv[1]), Path(sys.argv[2]))
