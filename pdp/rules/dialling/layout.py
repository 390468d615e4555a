"""The bytes of a numbering table and of a dialling plan: the one specification of both formats.

All integers are little-endian. Both are read in place; nothing needs to be built before use.

**Table** (``loader.numbering`` writes one from libphonenumber's metadata, for one country and one outside line):

    HEADER    magic ``RCnum``, version (byte), flags (16 bits), then five numbers of 16 bits: words in WORDS, and the
              states in which walks enter the automata of OWN, PREFIXES, TRUNK and FOREIGN (0: there is none)
    WORDS     of 16 bits: the states of all automata
    STRINGS   each a byte with its length, then ASCII: country, outside line, CC, NP, literal; then a byte with a count
              and as many codes that hide the caller
    DIALLED   a count in 16 bits, then as many international prefixes, the longest first. A plan leaves this part out.

A *state* is an index into WORDS. The word there is the state's header: bits 0 to 9 say at which digits the transition
differs from that of the digit before (bit 0 is always set), bits 10 to 15 are the label of a text that ends here.
Behind the header follow the transitions, one for each bit that is set. So the transition for the digit ``d`` is the
word at

    state + popcount(words[state] & ((2 << d) - 1))

State 0 is the dead state: all its transitions lead to state 0, and the label is 0.

    OWN       reads NSNs of CC. VALID: libphonenumber says that the number is valid. BARE: the number is valid, and
              dialled without NP.
    FOREIGN   reads CC and NSN of any country. VALID as above. The automaton may hold only those numbers that walks
              need (see ``loader.numbering.foreign``).
    PREFIXES  reads the dialled text. VALID: an international prefix ends here.
    TRUNK     reads the dialled text, and finds the match of ``national_prefix_for_parsing``, with the preferences of a
              regular expression. MATCH: a match ends here, and a longer one prevails. MATCH_AT_END: a match ends here
              if the text does, which prevails over MATCH. A state with one of these labels has two words before the
              header: at -1 the *action* of MATCH, at -2 that of MATCH_AT_END.

An action is the replacement of a match: the NSN is (if TRANSFORMS is set) the table's literal and the digits of the
text from ``action >> 5 & 31`` to ``action & 31``, and in any case the text behind the match. No action is 0.

**Plan** (``plan_dialling`` writes one for a tenant's patterns; a plan is a section of a snapshot):

    PLAN      magic ``RCdial``, version (16 bits), size of the following parts up to GROUPS (32 bits)
    TABLE     the table without DIALLED
    GROUPS    a count in 16 bits, then of each group a count in 16 bits and the prefixes. Of each group the first
              prefix that leads to a number gives a form of that number, if the number is foreign.
    SPELLED   a count in 16 bits, then as many prefixes: those of forms marked †, that some pattern spells out

A prefix is a byte, 1 for a prefix behind the outside line and 0 for others, then a string: ``+`` or an international
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
"""Flag: NP behind CC is always dropped, since no number of the country begins with NP."""
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
"""The least number of digits of a number that is not valid."""
