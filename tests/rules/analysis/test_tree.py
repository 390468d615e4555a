"""The tree of digits says of every extension what the partition says, and says nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import OUTCALLS, USERS, extensions, tenants

from pdp.rules.analysis.reach import reach
from pdp.rules.analysis.tree import NoTreeError, Twig, tree_of
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision, Tenant
from pdp.rules.patterns.alphabet import ANY_MASK, OTHER, STAR
from pdp.rules.patterns.notation import LOOP, elements_of, text_of
from pdp.rules.snapshot.snapshot import decode


def matches(text: str, extension: str) -> bool:
    """Whether a pattern without a wildcard inside matches an extension."""
    row = elements_of(text)
    wild = bool(row) and row[-1] == STAR
    masks = row[:-1] if wild else row
    long_enough = len(extension) >= len(masks) if wild else len(extension) == len(masks)
    return long_enough and all(mask & symbol(each) for mask, each in zip(masks, extension, strict=False))


def symbol(character: str) -> int:
    """The mask of one character of an extension."""
    try:
        return elements_of(f"_[{character}]")[0] or 1 << OTHER
    except ValueError:
        return 1 << OTHER


def outcome_of(twig: Twig[int], extension: str) -> int:
    """The outcome of the innermost twig that an extension belongs to."""
    inside = [each for each in twig.twigs if any(matches(text, extension) for text in each.patterns)]
    assert len(inside) <= 1
    return outcome_of(inside[0], extension) if inside else twig.outcome


def no_vain_twigs(twig: Twig[int]) -> bool:
    """Whether each exception differs from what it is in."""
    return all(each.outcome != twig.outcome and no_vain_twigs(each) for each in twig.twigs)


@settings(max_examples=60, deadline=None)
@given(tenants(), st.sampled_from(USERS), st.sampled_from(OUTCALLS), st.lists(extensions, max_size=12))
def test_a_tree_tells_what_the_partition_tells(tenant: Tenant, caller: str, outcall: str, dialled: list[str]) -> None:
    """For any rules that have a tree: by the samples of the partition, and by other extensions."""
    snapshot = decode(Compiler().compile(tenant, Revision(1, "0" * 64), compiled_at=0))
    reaches = reach(snapshot, caller, outcall, by_permission=True, max_patterns=10_000)
    parts = [(number, [pattern.pattern for pattern in each.patterns]) for number, each in enumerate(reaches)]
    try:
        tree = tree_of(parts)
    except NoTreeError:
        assert any(set(text[1:-1]) & set(".!{") for _, texts in parts for text in texts)
        return
    assert no_vain_twigs(tree)
    samples = [pattern.sample for each in reaches for pattern in each.patterns]
    for extension in (*samples, *dialled):
        expected = [number for number, texts in parts if any(matches(text, extension) for text in texts)]
        assert expected == [outcome_of(tree, extension)], extension


@pytest.mark.parametrize(
    ("parts", "tree"),
    [
        ([("a", ["_!"])], Twig(("!",), "a")),
        (
            [("a", ["0", "_[^0]!"]), ("d", ["_0."])],
            Twig(("!",), "a", (Twig(("0.",), "d"),)),
        ),
        (
            [("a", ["_[^0]!"]), ("d", ["_0."]), ("c", ["0"])],
            Twig(("!",), "a", (Twig(("0!",), "d", (Twig(("0",), "c"),)),)),
        ),
    ],
)
def test_a_tree_is_as_short_as_people_say_it(parts: list[tuple[str, list[str]]], tree: Twig[str]) -> None:
    """What begins so, and the exceptions from it."""
    assert tree_of(parts) == tree


@given(st.lists(st.integers(1, ANY_MASK).map(lambda mask: mask & ANY_MASK or 1), min_size=1, max_size=4), st.booleans())
def test_elements_are_read_as_they_are_written(masks: list[int], wild: bool) -> None:  # noqa: FBT001 - drawn
    """With wildcards at the end, and any number of something inside."""
    for elements in ([*masks, *([STAR] if wild else [])], [masks[0] | LOOP, *masks]):
        assert elements_of(text_of(elements)) == elements
