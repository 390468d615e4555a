"""The hot path, written out: from caller, extension and outcall to the verdict, in one function over local names.

It is ``KeyTable.find`` and ``Automaton.run`` once more, without the calls and attribute look-ups that would make up a
third of a decision. They stay the readable form, and serve everything that is asked less often; a test holds the two
together.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pdp.rules.automaton import END_BYTE, LEAF, LITERAL, NO_VERDICT, NUMBER, VERDICT

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.automaton import Automaton
    from pdp.rules.blob import Blob
    from pdp.rules.keytable import KeyTable

_REMEMBERED_OUTCALLS = 4096


def make_matcher(  # noqa: C901, PLR0915 - it holds the one function that is long for speed, see above
    users: KeyTable, outcalls: KeyTable, automaton: Automaton
) -> Callable[[str, str, str], int]:
    """A function from caller, extension and outcall to the verdict of the first stage that has one, or NO_VERDICT."""
    blob, slots, slot_size, first, hashed = users.blob, users.slots, users.slot_size, users.first, users.hashed
    slot: Callable[[Blob, int], tuple[bytes, int]] = struct.Struct(f"<{users.width}sI").unpack_from
    symbols, width, blocks, ways_out = automaton.symbols, automaton.width, automaton.blocks, automaton.ways_out
    literals, leaf = automaton.literals - LITERAL, automaton.leaf
    unpack: Callable[[Blob, int], tuple[int]] = NUMBER.unpack_from
    no_key, nothing = bytes(users.width), VERDICT + NO_VERDICT
    outcall_roots: dict[str, int] = {}

    def outcall_root(outcall: str) -> int:
        root = outcalls.get(outcall.encode("utf-8", "surrogatepass"), nothing)
        if root != nothing and len(outcall_roots) < _REMEMBERED_OUTCALLS:
            outcall_roots[outcall] = root
        return root

    def match(caller: str, extension: str, outcall: str) -> int:  # noqa: C901, PLR0912 - see above
        ascii_ = extension.encode() if extension.isascii() else extension.encode("ascii", "replace")
        word = ascii_.translate(symbols) + END_BYTE
        value = nothing
        if caller:
            try:
                key = caller.encode()
                (hash_,) = hashed(key)
            except (UnicodeEncodeError, struct.error):
                pass  # a surrogate, or another length than keys have
            else:
                at = first + hash_ % slots * slot_size
                found, value = slot(blob, at)
                while found != key:
                    if found != no_key:
                        at += slot_size
                    elif (lower := key.lower()) != key:
                        # Not by calling oneself: a function that refers to itself is freed late, and its blob with it.
                        key = lower
                        (hash_,) = hashed(key)
                        at = first + hash_ % slots * slot_size
                    else:
                        break  # from the root in an empty slot, 0, nothing is reached
                    found, value = slot(blob, at)
        while True:  # twice at the most: for the caller's profile, then for the outcall's
            if value < VERDICT:
                row = blocks + value
                for symbol in word:
                    cell = blob[row + symbol]
                    if cell > width:
                        row += cell
                    elif cell:
                        value = ways_out[(value >> 2) - cell]
                        if value >= VERDICT:  # always, at END: there nothing goes on
                            break
                        row = blocks + value
                    else:
                        value = nothing
                        break
            if value < LITERAL:
                if value != nothing:
                    return value - VERDICT
            elif value < LEAF:
                at = literals + value
                after = at + len(word)
                if blob[at:after] == word:
                    return unpack(blob, after)[0]
            elif verdict := leaf(value, word):
                return verdict
            if not outcall:
                return NO_VERDICT
            value = outcall_roots.get(outcall) or outcall_root(outcall)
            outcall = ""

    return match
