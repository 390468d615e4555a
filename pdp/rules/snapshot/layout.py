"""What the words in a snapshot's sections mean, for the one file that writes them and the one that reads them.

    USERS        UUID → root, record
    OUTCALLS     id → root, record
    PERMISSIONS  a row a slot: id, name, flags, list of pattern numbers, secret, long name (offset, length)
    PATTERNS     a row a pattern: text (offset, length), kind and length, program (see ``automaton``)
    SECRETS      salt and hash of a password each, numbered from 1
    RECORDS      runs of words; a list is its length, then its members:
        user         secret, list of slots, list of groups' records
        group        id and name (offset and length each), flags, list of slots
        outcall      id and name, list of slots

A root is a value that a walk starts from. 0 is one from which nothing is reached: an empty slot of a hash table may be
taken for a key of zeros.
"""

from __future__ import annotations

import struct

UUID_LENGTH = 36
PERMISSION_ROW = struct.Struct("<Q36pIIIII")
"""A cache line, with the name in it, since it is what most decisions end with."""
PERMISSION_NAMED = struct.Struct("<Q36p")
"""The start of such a row: id and name."""
LONG_NAME = 35
"""Bytes of a name that the row has no room for, and more; it has the first of them, and the strings have it all."""
PATTERN_WORDS = 4

ALLOWS = 1
HAS_PASSWORD = 2
ENABLED = 4
"""Flags of a permission; of a group, ENABLED alone."""

NO_SECRET = 0
"""Where there is no password, or the deployment has no key to hash it with."""
