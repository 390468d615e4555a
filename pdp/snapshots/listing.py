"""The tenants listed in the loader's manifest, and those of the list that are missing here.

Redis may lose a pointer, and a writer of Redis may delete one or put an older one back. The manifest, which the
loader signs, lists the tenants, each with the oldest revision allowed. A server is not ready before all tenants are
here, and never decides for an unknown caller while one is missing.

A loader of release 0.1 signs no manifest. Then the tenants are those of the pointers that are there, and one whose
pointer is not there is not missed.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import structlog

from pdp.rules.errors import SnapshotError
from pdp.rules.publication.manifest import Manifest
from pdp.snapshots.refusal import Refused, cause_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.metrics.registry import Metrics
    from pdp.rules.publication.keys import Scope
    from pdp.rules.publication.pointer import Pointer
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.snapshots.disk import SnapshotStore

_log = structlog.get_logger()

_TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAYS_SCOPE = b'"scope":'
"""A member in every pointer of a loader that signs a manifest."""
_SHOWN = 3
"""Missing tenants that are named; of more there is a count."""


class Listing:
    """The list of tenants, from manifest and pointers. For one thread.

    Args:
        current: the snapshots here, which are told the missing tenants.
        metrics: counts manifests that cannot be used.
        scope: for which the manifest must be signed.
        secrets: the deployment's keys, of which one must have signed the manifest; none: no signature is required.
        required: whether rules without a manifest are refused, though a loader of release 0.1 makes none.
        most_age: seconds after which a manifest is too old for a server that starts; 0: none is.
        store: keeps the manifest on disk; None: nothing is kept.
    """

    def __init__(
        self,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        scope: Scope,
        secrets: Sequence[bytes] = (),
        required: bool = False,
        most_age: float = 0.0,
        store: SnapshotStore | None = None,
    ) -> None:
        self._current = current
        self._metrics = metrics
        self._scope = scope
        self._secrets = tuple(secrets)
        self._most_age = most_age
        self._store = store
        self._known: Manifest | None = None
        self._raw: bytes | None = None
        """The pointers in Redis at the last look."""
        self._pointed: set[str] = set()
        """The tenants that have pointers, where there is no manifest."""
        self._seen = required
        """Whether there ever was a manifest, or a pointer of a loader that signs one."""
        self.rolled_back = False
        """Whether Redis holds an older manifest than the one that is followed."""
        self.problem = ""
        """Why the manifest in Redis cannot be used; empty for a usable manifest, and where none is required."""
        self.lack = ""
        """The tenants that are or may be missing here, as people read it; empty where none is."""
        self._told = 0
        """The number of missing tenants last logged."""

    @property
    def sequence(self) -> int:
        """The serial of the manifest followed; 0: none."""
        return self._known.sequence if self._known else 0

    def lists(self, tenant: str) -> bool:
        """Whether the manifest that is followed names a tenant; without one, whether a pointer did before."""
        return tenant in (self._known.tenants if self._known else self._pointed)

    def load_stored(self, store: SnapshotStore) -> None:
        """Takes the manifest that a store has kept; a damaged one is as good as none."""
        raw = store.load_manifest()
        if raw is not None:
            self._read(raw, origin="disk")

    def take(self, raw: bytes | None, pointers: Mapping[str, bytes], *, whole: bool) -> bool:
        """Takes over the manifest and pointers that Redis holds.

        Args:
            raw: the manifest; None: there is none.
            pointers: by tenant, the pointers read after the manifest.
            whole: whether these are all.

        Returns:
            Whether the check of pointers has changed.
        """
        self.point(pointers, whole=whole)
        before = self.sequence, self.problem
        self._seen = self._seen or raw is not None or any(_SAYS_SCOPE in one for one in pointers.values())
        if raw is None and self._seen:
            self._refuse("missing", "the manifest is not in Redis; the loader will publish it again", "redis")
        elif raw is not None and (raw != self._raw or self.problem):
            self._read(raw, origin="redis")
        self._raw = raw
        return before != (self.sequence, self.problem)

    def point(self, tenants: Iterable[str], *, whole: bool) -> None:
        """Notes which tenants have pointers: where there is no manifest, these are the tenants that there are."""
        if self._known is None:
            named = {tenant for tenant in tenants if _TENANT.fullmatch(tenant)}
            self._pointed = named if whole else self._pointed | named

    def check(self, pointer: Pointer) -> None:
        """Checks a pointer against the manifest.

        Raises:
            Refused: the manifest does not allow the pointer.
        """
        if self._known is None:
            if self._seen:
                raise Refused("unlisted", "there is no manifest that could be used to tell whether it is current")
            return
        if not pointer.bound:
            raise Refused("untrusted", "its pointer does not say for which deployment and prefix it was published")
        listed = self._known.tenants.get(pointer.tenant)
        if listed is None:
            if not pointer.removed:
                raise Refused("unlisted", "the manifest of the loader does not name it")
            return
        if pointer.serial < listed.serial:
            raise Refused("rolled_back", f"its pointer has serial {pointer.serial}, and {listed.serial} was published")
        if pointer.serial == listed.serial and listed.revision not in ("", str(pointer.revision)):
            raise Refused(
                "mismatch", f"its pointer leads to {pointer.revision}, and the manifest says {listed.revision}"
            )

    def settle(self, gone: Mapping[str, int], *, whole: bool) -> None:
        """Says which tenants are missing here, and, once none is, that all are here.

        Args:
            gone: tenants that pointers say are gone, with the serials of these.
            whole: whether all pointers were looked at.
        """
        expected = self._expected(gone)
        missing = sorted(tenant for tenant in expected if self._current.get(tenant) is None)
        if whole:
            self._tell(missing)
        unknown = self._unknown()
        self.lack = "; ".join(filter(None, (_named(missing), unknown)))
        self._current.set_incomplete(self.lack, missing)
        self._metrics.missing_tenants(len(missing))
        if not missing and (self._known is not None or (whole and expected and not unknown)):
            self._current.have_all()

    def _expected(self, gone: Mapping[str, int]) -> list[str]:
        if self._known is not None:
            tenants = self._known.tenants.items()
            return [one for one, listed in tenants if listed.has_rules and gone.get(one, 0) <= listed.serial]
        return [tenant for tenant in self._pointed if tenant not in gone]

    def _unknown(self) -> str:
        """Why there may be tenants that no list names; empty where there are none."""
        if self._known is None:
            return self.problem if self._seen else ""
        return "" if self._known.complete else "the source was not read completely yet, and may have more tenants"

    def _read(self, raw: bytes, *, origin: str) -> None:
        try:
            found = Manifest.load(raw, self._secrets, self._scope)
            self._check_age(found)
        except SnapshotError as error:
            self._refuse(cause_of(error), str(error), origin)
            return
        except Refused as refused:
            self._refuse(refused.cause, str(refused), origin)
            return
        self.rolled_back = found.sequence < self.sequence
        if self.rolled_back:
            said = f"manifest {found.sequence} is older than {self.sequence}, which was followed"
            self._refuse("rolled_back", said, origin)
            return
        if self.problem:
            _log.info("manifest_usable", sequence=found.sequence)
        self.problem = ""
        self._known = found
        if self._store and origin == "redis":
            self._store.save_manifest(raw)

    def _check_age(self, found: Manifest) -> None:
        """Checks the age of a first manifest.

        Raises:
            Refused: the manifest is too old.
        """
        age = time.time() - found.signed_at / 1000
        if self._known is None and 0 < self._most_age < age:
            raise Refused("stale", f"the manifest was signed {age:.0f} s ago; start a loader, which signs it again")

    def _refuse(self, cause: str, problem: str, origin: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        self._metrics.reload(origin, "failure", cause)
        kept = self.sequence or "none"
        _log.error("manifest_refused", origin=origin, cause=cause, problem=problem, sequence_kept=kept)

    def _tell(self, missing: list[str]) -> None:
        """Logs when tenants begin to be missing, and when none is any more."""
        if missing and not self._told:
            _log.warning("tenants_missing", count=len(missing), tenants=missing[:_SHOWN])
        elif self._told and not missing:
            _log.info("tenants_complete")
        self._told = len(missing)


def _named(missing: list[str]) -> str:
    """Missing tenants for people: the first ones by name, and the number of all."""
    if not missing:
        return ""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"rules of {len(missing)} tenants are missing: {', '.join(missing[:_SHOWN])}{more}"
