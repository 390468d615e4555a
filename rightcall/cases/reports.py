"""The results of test cases for pipelines: JUnit's XML and the Test Anything Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rightcall.cases.run import Result

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def junit(results: Sequence[Result], seconds: float) -> bytes:
    """The results as JUnit's XML.

    Args:
        results: the result of each case.
        seconds: duration of all cases.
    """
    failed = sum(not result.passes for result in results)
    suite = Element("testsuite", name="rightcall test", tests=str(len(results)), failures=str(failed))
    suite.set("time", f"{seconds:.3f}")
    for result in results:
        case = SubElement(suite, "testcase", name=_xml(result.name), classname=_xml(result.place))
        if not result.passes:
            failure = SubElement(case, "failure", message=_xml(result.problems[0]))
            failure.text = _xml("\n".join(result.problems))
    whole: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
    return whole


def tap(results: Sequence[Result]) -> list[str]:
    """The results in the Test Anything Protocol, a line each."""
    lines = ["TAP version 13", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        name = f"{result.place}: {result.name}".replace("#", "\\#")
        lines.append(f"{'ok' if result.passes else 'not ok'} {number} - {name}")
        lines += [f"# {problem}" for problem in result.problems]
    return lines


def _xml(text: str) -> str:
    """Text without what XML admits nowhere."""
    kept = (character if character.isprintable() or character == "\n" else _REPLACEMENT for character in text)
    return "".join(kept)
