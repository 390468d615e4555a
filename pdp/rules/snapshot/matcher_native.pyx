# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""``matcher`` for a C compiler: the same steps over the same tables, without a Python object between them.

It is built where there is a compiler (``hatch_build.py``). What it has to do is written in ``matcher``, ``keytable`` and
``automaton``, and a test holds the two together. Blobs are verified before they come here, and yet no value in one may
lead outside of it: there is a check before each read.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem, PyDict_Size
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from pdp.rules.patterns.alphabet import END
from pdp.rules.snapshot.automaton import LEAF, LITERAL, NO_VERDICT, VERDICT
from pdp.rules.snapshot.blob import FORMAT_VERSION
from pdp.rules.errors import SnapshotCorrupt
from pdp.rules.snapshot.keytable import HASHED_BY_CHECKSUM, find_text, find_user
from pdp.rules.snapshot.layout import LONG_NAME, PERMISSION_NAMED, PERMISSION_ROW
from pdp.rules.snapshot.verdict import OUTCOMES, UNRESTRICTED, Verdict, long_name

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    const uint8_t* PyUnicode_1BYTE_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    object PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*)
    object PyType_GenericAlloc(PyTypeObject*, Py_ssize_t)

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define rightcall_prefetch(at) __builtin_prefetch(at)
    #else
    #define rightcall_prefetch(at) ((void)(at))
    #endif
    """
    void prefetch "rightcall_prefetch"(const void*) noexcept

cdef enum:
    BUILT_FOR = 3  # FORMAT_VERSION
    FIRST_VERDICT = 1 << 29
    FIRST_LITERAL = 3 << 28
    FIRST_LEAF = 7 << 27
    AFTER_WORD = 15
    SHORT = 160  # words up to this length need no memory of their own
    WIDEST_KEY = 64
    SYMBOLS = 256
    NUMBER = 4  # bytes of a verdict, and of a value
    REMEMBERED_OUTCALLS = 4096
    UNKNOWN = -2  # in place of a root

if (FORMAT_VERSION, VERDICT, LITERAL, LEAF, END, NO_VERDICT) != (
    BUILT_FOR, FIRST_VERDICT, FIRST_LITERAL, FIRST_LEAF, AFTER_WORD, 0
):
    raise ImportError("matcher_native was built for another format of snapshots; install this release again")

cdef object _outcomes = OUTCOMES, _unrestricted = UNRESTRICTED, _Verdict = Verdict


cdef class NativeMatcher:
    """Decides; see ``matcher.Matcher`` for what it is given."""

    cdef Py_buffer _buffer
    cdef const uint8_t* _blob
    cdef size_t _size
    # The table of users.
    cdef bint _hashed_by_part
    cdef uint64_t _slots
    cdef size_t _first, _slot_size, _width, _part
    # The automaton.
    cdef uint8_t[SYMBOLS] _symbols
    cdef size_t _blocks, _literals
    cdef uint32_t _row_width
    # The rows of permissions: their size, where in one its name starts, the length from which that is elsewhere, and
    # where in a row it says where.
    cdef size_t _permissions, _strings, _row_size, _name, _long_name, _text
    cdef object _whole, _users, _outcalls, _automaton
    cdef dict _outcall_roots

    def __cinit__(self, users, outcalls, automaton, size_t permissions, size_t strings):
        self._whole = users.blob
        PyObject_GetBuffer(self._whole, &self._buffer, PyBUF_SIMPLE)
        self._blob = <const uint8_t*> self._buffer.buf
        self._size = self._buffer.len
        self._users, self._outcalls, self._automaton = users, outcalls, automaton
        self._first, self._slot_size, self._width, self._slots = users.first, users.slot_size, users.width, users.slots
        self._hashed_by_part = users.part != HASHED_BY_CHECKSUM and self._width <= WIDEST_KEY
        self._part = users.part if self._hashed_by_part else 0
        if len(automaton.symbols) != SYMBOLS:
            raise SnapshotCorrupt("its symbols are not those of the format")
        memcpy(self._symbols, PyBytes_AS_STRING(automaton.symbols), SYMBOLS)
        self._blocks, self._literals, self._row_width = automaton.blocks, automaton.literals, automaton.width
        self._permissions, self._strings = permissions, strings
        self._row_size, self._name, self._long_name = PERMISSION_ROW.size, PERMISSION_NAMED.size - LONG_NAME - 1, LONG_NAME
        self._text = PERMISSION_ROW.size - 2 * NUMBER
        self._outcall_roots = {}

    def __dealloc__(self):
        PyBuffer_Release(&self._buffer)

    def knows_caller(self, str caller not None):
        """Whether the caller is a user of the tenant."""
        return PyUnicode_GET_LENGTH(caller) > 0 and self._find_user(caller) > 0

    def match(self, str caller not None, str extension not None, str outcall not None):
        """The number of the verdict of the first stage that has one, or NO_VERDICT."""
        return self._match(caller, extension, outcall)

    def verdict(self, uint32_t number):
        """The verdict that ``match`` returned the number of."""
        return self._read(number) if number else _unrestricted

    def decide(self, str caller not None, str extension not None, str outcall not None):
        """The verdict itself."""
        cdef int64_t number = self._match(caller, extension, outcall)
        return self._read(number) if number else _unrestricted

    cdef int64_t _match(self, str caller, str extension, str outcall) except -1:
        cdef int64_t verdict
        cdef uint8_t[SHORT] short
        cdef const uint8_t* word = short
        cdef size_t length
        # First, for it goes to memory that is far away; what the word needs lies near, and is done meanwhile.
        cdef int64_t root = self._user_root(self._find_user(caller) if PyUnicode_GET_LENGTH(caller) else 0)
        if PyUnicode_IS_COMPACT_ASCII(extension) and PyUnicode_GET_LENGTH(extension) < SHORT:
            length = self._translate(PyUnicode_1BYTE_DATA(extension), PyUnicode_GET_LENGTH(extension), short)
        else:
            long = self._automaton.word(extension)
            word, length = <const uint8_t*> PyBytes_AS_STRING(long), PyBytes_GET_SIZE(long)
        verdict = self._run(root, word, length)
        if not verdict and PyUnicode_GET_LENGTH(outcall):
            root = self._outcall_root(outcall)
            verdict = self._run(root, word, length) if root != UNKNOWN else 0
        return verdict

    cdef object _read(self, int64_t number):
        """The verdict with this number."""
        cdef size_t row = self._permissions + (number >> 4) * self._row_size
        self._check(row, self._row_size)
        cdef size_t length = self._blob[row + self._name]
        if length < self._long_name:
            name = PyUnicode_DecodeUTF8(<const char*> self._blob + row + self._name + 1, length, NULL)
        else:
            name = long_name(self._whole, row, self._strings)
        decision, stage = <tuple> (<tuple> _outcomes)[number & 15]
        return _verdict(decision, stage, _long_at(self._blob + row), name)

    cdef inline int _check(self, size_t start, size_t length) except -1:
        """Whether so many bytes are there."""
        if start > self._size or length > self._size - start:
            raise SnapshotCorrupt("a value in it leads outside")
        return 0

    cdef inline size_t _translate(self, const uint8_t* text, size_t length, uint8_t* word) noexcept:
        """Writes the word of an extension, and returns its length."""
        cdef size_t index
        for index in range(length):
            word[index] = self._symbols[text[index]]
        word[length] = AFTER_WORD
        return length + 1

    cdef int64_t _find_user(self, str caller) except -1:
        """Where in the blob a user's numbers are; 0 where nobody knows the user."""
        if not self._hashed_by_part:
            found = find_user(self._users, caller)
            return self._users.origin + found * NUMBER if found >= 0 else 0
        if not PyUnicode_IS_COMPACT_ASCII(caller) or <size_t> PyUnicode_GET_LENGTH(caller) != self._width:
            return 0
        return self._find_key(PyUnicode_1BYTE_DATA(caller))

    cdef int64_t _find_key(self, const uint8_t* key) except -1:
        """Likewise, for a key of the width that users have here."""
        cdef uint8_t[WIDEST_KEY] lower
        cdef size_t at, index
        cdef bint lowered = False
        while True:
            at = self._first + _long_at(key + self._part) % self._slots * self._slot_size
            self._check(at, self._slot_size)
            while self._blob[at]:  # no key starts with a zero, and an empty slot holds nothing else
                if memcmp(self._blob + at, key, self._width) == 0:
                    return at + self._width
                at += self._slot_size
                self._check(at, self._slot_size)
            if lowered:
                return 0
            for index in range(self._width):
                lower[index] = key[index] + 32 if 65 <= key[index] <= 90 else key[index]
            key, lowered = lower, True

    cdef inline int64_t _user_root(self, int64_t user) noexcept:
        """Where walks for a user start, and what lies there is sent for; for nobody, a verdict that is none."""
        cdef int64_t root = FIRST_VERDICT
        if user:
            root = _word_at(self._blob + user)
            prefetch(self._blob + self._blocks + min(root, self._size))
        return root

    cdef int64_t _outcall_root(self, str outcall) except -1:
        """Where walks for an outcall start; UNKNOWN for what is none."""
        known = PyDict_GetItem(self._outcall_roots, outcall)
        if known is not NULL:
            return <object> known
        found = find_text(self._outcalls, outcall)
        if found < 0:
            return UNKNOWN
        root = self._outcalls.words[found]
        if PyDict_Size(self._outcall_roots) < REMEMBERED_OUTCALLS:
            PyDict_SetItem(self._outcall_roots, outcall, root)
        return root

    cdef int64_t _run(self, int64_t value, const uint8_t* word, size_t length) except -1:
        """The verdict that a walk from a root comes to."""
        cdef size_t at, index
        cdef uint32_t cell
        if value < FIRST_VERDICT:
            at = self._blocks + value
            for index in range(length):
                self._check(at + word[index], 1)
                cell = self._blob[at + word[index]]
                if cell > self._row_width:
                    at += cell
                elif cell:
                    at = self._blocks + (value >> 2) * NUMBER - cell * NUMBER
                    self._check(at, NUMBER)
                    value = _word_at(self._blob + at)
                    if value >= FIRST_VERDICT:
                        break
                    at = self._blocks + value
                else:
                    return 0
            if value < FIRST_VERDICT:  # at the end of a word nothing goes on
                raise SnapshotCorrupt("a walk in it has no end")
        if value < FIRST_LITERAL:
            return value - FIRST_VERDICT
        if value >= FIRST_LEAF:
            return self._automaton.leaf(value, PyBytes_FromStringAndSize(<const char*> word, length))
        at = self._literals + (value - FIRST_LITERAL)
        if at + length + NUMBER > self._size or memcmp(self._blob + at, word, length) != 0:
            return 0
        return _word_at(self._blob + at + length)


cdef object _verdict(object decision, object stage, object permission, object name):
    """A Verdict, without its constructor, which takes as long as all the rest."""
    verdict = PyType_GenericAlloc(<PyTypeObject*> _Verdict, 4)
    _put(verdict, 0, decision)
    _put(verdict, 1, stage)
    _put(verdict, 2, permission)
    _put(verdict, 3, name)
    return verdict


cdef inline void _put(object verdict, Py_ssize_t place, object value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(verdict, place, value)


cdef inline uint32_t _word_at(const uint8_t* at) noexcept:
    cdef uint32_t value
    memcpy(&value, at, sizeof(value))
    return value


cdef inline uint64_t _long_at(const uint8_t* at) noexcept:
    cdef uint64_t value
    memcpy(&value, at, sizeof(value))
    return value
