"""The layout of the words in a snapshot's sections, shared by the one file that writes and the one that reads.

    USERS        UUID → root, record
    OUTCALLS     id → root, record
    PERMISSIONS  a row per slot: id, name, flags, list of pattern numbers, secret, long name (offset, length)
    PATTERNS     a row per pattern: text (offset, length), kind and length, program (see ``automaton``)
    SECRETS      salt and hash of a password each, numbered from 1
    RECORDS      runs of words; a list is the length, then the members:
        user         secret, list of slots, list of groups' records; where META says ``named``, name and extension
                     (offset and length each)
        group        id and name (offset and length each), flags, list of slots
        outcall      id and name, list of slots

A root is a value that a walk starts from. Root 0 reaches no verdict: an empty slot of a hash table may be taken for a
key of zeros.
"""

from __future__ import annotations

import struct

UUID_LENGTH = 36
PERMISSION_ROW = struct.Struct("<Q36pIIIII")
"""The row of a permission: one cache line, the name included, since most decisions end with reading the row."""
PERMISSION_NAMED = struct.Struct("<Q36p")
"""The start of a PERMISSION_ROW: id and name."""
LONG_NAME = 35
"""Bytes from which on a name does not fit into the row: the row holds its start, the strings the whole name."""
PATTERN_WORDS = 4

ALLOWS = 1
HAS_PASSWORD = 2
ENABLED = 4
"""Flags of a permission; of a group, ENABLED alone."""

NO_SECRET = 0
"""The secret's number where there is no password, or where the deployment has no key for hashing passwords."""
