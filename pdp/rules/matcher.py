"""The hot path, written out: from caller, extension and outcall to the verdict, in one function over local names.

It is ``KeyTable.find`` and ``Automaton.run`` once more, without the calls and attribute look-ups that would make up a third
of a decision. They stay the readable form, and serve everything that is asked less often; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from pdp.rules.automaton import END_BYTE, LEAF, LITERAL, NO_VERDICT, NUMBER, VERDICT

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.automaton import Automaton
    from pdp.rules.keytable import KeyTable

_REMEMBERED_OUTCALLS = 4096


def make_matcher(users: KeyTable, outcalls: KeyTable, automaton: Automaton) -> Callable[[str, str, str], int]:  # noqa: C901 - see above
    """A function from caller, extension and outcall to the verdict of the first stage that has one, or NO_VERDICT."""
    blob, words, slots, slot_size = users.blob, users.words, users.slots, users.slot_size
    first, end, width, origin = users.first, users.end, users.width, users.origin
    symbols, rows, literals, leaf = automaton.symbols, automaton.rows, automaton.literals - LITERAL, automaton.leaf
    no_key = bytes(width)
    outcall_roots: dict[str, int] = {}

    def match(caller: str, extension: str, outcall: str) -> int:
        ascii_ = extension.encode() if extension.isascii() else extension.encode("ascii", "replace")
        word = ascii_.translate(symbols) + END_BYTE
        if len(caller) == width:
            key = caller.encode()
            at = first + crc32(key) % slots * slot_size
            while (found := blob[at : at + width]) != key:
                if found == no_key:
                    if caller.islower():
                        break
                    return match(caller.lower(), extension, outcall)
                at += slot_size
                if at == end:
                    at = first
            else:
                value = words[(at + width - origin) >> 2]
                if value < VERDICT:
                    for symbol in word:
                        value = rows[value + symbol]
                        if value >= VERDICT:  # always, at END: no row is entered through it
                            break
                if value < LITERAL:
                    if value != VERDICT:
                        return value - VERDICT
                elif value < LEAF:
                    at = literals + value
                    after = at + len(word)
                    if blob[at:after] == word:
                        return NUMBER.unpack_from(blob, after)[0]  # type: ignore[no-any-return] # struct is not typed
                elif verdict := leaf(value, word):
                    return verdict
        if outcall:
            root = outcall_roots.get(outcall)
            if root is None:
                root = outcalls.get(outcall.encode("utf-8", "surrogatepass"), VERDICT + NO_VERDICT)
                if len(outcall_roots) < _REMEMBERED_OUTCALLS:
                    outcall_roots[outcall] = root
            return automaton.run(root, word)
        return NO_VERDICT

    return match
