"""The expectations of a tenant: their shape, and the existence of every reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from loader.definitions import wording
from loader.definitions.findings import Finding
from loader.definitions.shapes import AllExceptShape, ExpectationShape, PeopleShape, canonical_uuid
from loader.definitions.text.tokens import Path, printable
from pdp.rules.model import Chosen, Decision, Expectation, Who

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_S = TypeVar("_S", bound=BaseModel)
_WORDS = {"everyone": Who(Chosen.EVERYONE), "nobody_known": Who(Chosen.NOBODY_KNOWN)}
_DECISIONS = {decision.name.lower(): decision for decision in Decision}
_WHO_REMEDY = "write everyone, nobody_known, {users: […], groups: […]} or {all_except: {…}}"
_THROUGH_REMEDY = 'write any, none, or a list of ids of outcalls as in ["2"]'
_MUST_REMEDY = "write allow, deny or challenge, or a list of them"


class References(Protocol):
    """Proposes what to do about a reference to nothing."""

    def __call__(self, key: str, text: str) -> str:
        """The remedy for a reference into one of the tenant's lists, given the list and the reference."""
        ...


class ExpectationCheck:
    """Checks the expectations of one tenant.

    Args:
        known: the ids of the tenant's users, groups and outcalls, by list.
        remedy: gives the remedy for an unknown id.
        inner: number of steps of a path that a message need not repeat.
        findings: receives the faults.
    """

    def __init__(
        self, known: Mapping[str, Mapping[str, str]], remedy: References, inner: int, findings: list[Finding]
    ) -> None:
        self._known = known
        self._remedy = remedy
        self._inner = inner
        self._findings = findings

    def expectations(self, raws: list[object], path: Path) -> tuple[Expectation, ...]:
        """The expectations without a fault.

        Args:
            raws: the values in the document.
            path: the path to the list.
        """
        found = [self._expectation(raw, (*path, index)) for index, raw in enumerate(raws)]
        first: dict[str, int] = {}
        for index, each in enumerate(found):
            if each is not None and first.setdefault(each.name, index) != index:
                problem = (
                    f"an expectation '{printable(each.name)}' is there already, as expectations[{first[each.name]}]"
                )
                self._find((*path, index, "name"), problem, "give each a name of its own")
        return tuple(each for each in found if each is not None)

    def _expectation(self, raw: object, path: Path) -> Expectation | None:
        shape = self._shaped(ExpectationShape, raw, path)
        if shape is None:
            return None
        before = len(self._findings)
        who = self._who(shape.who, (*path, "who"))
        through = self._through(shape.through, (*path, "through"))
        must = self._must(shape.must, (*path, "must"))
        if len(self._findings) > before:
            return None
        return Expectation(shape.name, who, tuple(dict.fromkeys(shape.dial)), must, through, shape.enforce)

    def _shaped(self, shape: type[_S], raw: object, path: Path) -> _S | None:
        try:
            return shape.model_validate(raw)
        except ValidationError as error:
            self._findings += wording.findings(error, path, self._inner, shape)
            return None

    def _who(self, raw: object, path: Path) -> Who:
        if isinstance(raw, str) and raw in _WORDS:
            return _WORDS[raw]
        if not isinstance(raw, dict):
            self._find(path, "it is not said whom the expectation speaks of", _WHO_REMEDY)
            return Who()
        if "all_except" not in raw:
            return self._people(Chosen.LISTED, raw, path)
        shape = self._shaped(AllExceptShape, raw, path)
        return self._people(Chosen.ALL_EXCEPT, raw["all_except"], (*path, "all_except")) if shape else Who()

    def _people(self, chosen: Chosen, raw: object, path: Path) -> Who:
        shape = self._shaped(PeopleShape, raw, path)
        if shape is None:
            return Who()
        users, groups = (tuple(self._ids(getattr(shape, key), (*path, key), key)) for key in ("users", "groups"))
        return Who(chosen, users, groups)

    def _through(self, raw: object, path: Path) -> tuple[str, ...] | None:
        if raw == "any":
            return None
        if raw == "none":
            return ()
        if not isinstance(raw, list) or not raw:
            self._find(path, "it is not said through which outcalls", _THROUGH_REMEDY)
            return None
        return tuple(self._ids(raw, path, "outcalls"))

    def _must(self, raw: object, path: Path) -> frozenset[Decision]:
        words = raw if isinstance(raw, list) else [raw]
        decisions = {_DECISIONS[word] for word in words if isinstance(word, str) and word in _DECISIONS}
        if not words or len(decisions) != len(words):
            self._find(path, "it is not said what must be decided", _MUST_REMEDY)
        elif len(decisions) == len(Decision):
            self._find(path, "every decision is as it must be, so it always holds", "leave at least one decision out")
        return frozenset(decisions)

    def _ids(self, written: list[object], path: Path, key: str) -> Iterator[str]:
        """The ids in a list that are known; each other one is a fault."""
        for index, text in enumerate(written):
            if not isinstance(text, str):
                self._find((*path, index), f"the id of a {key[:-1]} is text", "put quotes round it")
                continue
            known = self._known[key].get((canonical_uuid(text) or text) if key == "users" else text)
            if known is not None:
                yield known
            else:
                problem = f"there is no {key[:-1]} '{printable(text)}' in this tenant"
                self._find((*path, index), problem, self._remedy(key, text))

    def _find(self, path: Path, problem: str, remedy: str) -> None:
        self._findings.append(Finding(path, problem, remedy))
