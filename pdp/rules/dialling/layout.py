"""What the bytes of a numbering table and of a dialling plan mean: the one place that says so.

All integers are little-endian. Both are read where they lie; nothing in them needs to be built before it is used.

**Table** (``loader.numbering`` writes it, from libphonenumber's metadata, for one country and one outside line):

    HEADER    magic ``RCnum``, version (byte), flags (16 bits), then five numbers of 16 bits: words in WORDS, and the
              states in which walks enter the automata of OWN, PREFIXES, TRUNK and FOREIGN (0: there is none)
    WORDS     of 16 bits: the states of all automata
    STRINGS   each a byte with its length, then ASCII: country, outside line, CC, NP, literal; then a byte with a count
              and as many codes that hide the caller
    DIALLED   a count in 16 bits, then as many international prefixes, the longest first. A plan leaves this part out.

A *state* is a place in WORDS. The word there is its header: bits 0 to 9 say at which digits the way on differs from
that of the digit before (bit 0 is always set), bits 10 to 15 are its label, which says what it means that the text ends
here. Behind it lie the ways on, one for each bit that is set. So the way on for the digit ``d`` is the word at

    state + popcount(words[state] & ((2 << d) - 1))

State 0 is where nothing is left to match: all its ways lead to itself, and its label is 0.

    OWN       reads NSNs of CC. VALID: libphonenumber calls it valid. BARE: it is valid, and dialled without NP.
    FOREIGN   reads CC and NSN of any country. VALID as above. It may hold only those numbers about which a walk can
              be asked (see ``loader.numbering.foreign``).
    PREFIXES  reads what was dialled. VALID: an international prefix ends here.
    TRUNK     reads what was dialled, and finds what ``national_prefix_for_parsing`` matches, as a regular expression
              prefers it. MATCH: a match ends here, and what is read on prevails if it matches too. MATCH_AT_END: a
              match ends here if the text does, which prevails over MATCH. A state with one of these labels has two
              words before its header: at -1 the *action* of MATCH, at -2 that of MATCH_AT_END.

An action says what a match becomes: the NSN is (if TRANSFORMS is set) the table's literal and the digits of the text
from ``action >> 5 & 31`` to ``action & 31``, and in any case what follows the match. It is never 0.

**Plan** (``plan_dialling`` writes it, for one tenant's patterns; it is a section of a snapshot):

    PLAN      magic ``RCdial``, version (16 bits), size of what follows up to GROUPS (32 bits)
    TABLE     the table without DIALLED
    GROUPS    a count in 16 bits, then of each group a count in 16 bits and its prefixes. Of each group the first
              prefix that leads to a number is a form of it, if it is foreign.
    SPELLED   a count in 16 bits, then as many prefixes: those of forms marked †, that some pattern spells out

A prefix is a byte, 1 if it stands behind the outside line and 0 if not, then a string: ``+`` or an international
prefix.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("<5sBHHHHHH")
COUNT = struct.Struct("<H")
TABLE_MAGIC = b"RCnum"
TABLE_VERSION = 1

PLAN = struct.Struct("<6sHI")
PLAN_MAGIC = b"RCdial"
PLAN_VERSION = 1

HAS_COUNTRY = 1
"""Flag: there is a country, so there are numbers."""
DROPS_TRUNK = 2
"""Flag: NP behind CC is dropped whatever follows, since no number of the country begins with it."""
HAS_BARE = 4
"""Flag: some numbers are dialled without NP."""

LABEL_SHIFT = 10
VALID = 1 << LABEL_SHIFT
BARE = 2 << LABEL_SHIFT
MATCH = 1 << LABEL_SHIFT
MATCH_AT_END = 2 << LABEL_SHIFT

ACTION = 1 << 15
"""Set in every action, so that none is 0."""
TRANSFORMS = 1 << 10

LEAST_DIGITS = 7
"""A number that is not valid has so many digits or more."""
