"""Keyed hashes of passwords, the only form in which a snapshot holds passwords.

A password is 1 to 40 of ``0-9 * #``, most often four digits, so a plain hash, salted or not, is as good as the password
to anyone who gets hold of the hash. These are HMAC-SHA256 under the deployment's secret key, which is in no snapshot
and not in Redis. The salt keeps equal passwords of two permissions apart. The salt is made from the key and the owner
of the password, not drawn at random, so that compiling the same rules twice gives the same hashes.
"""

from __future__ import annotations

import hmac

SALT_SIZE = 16
HASH_SIZE = 32
RECORD_SIZE = SALT_SIZE + HASH_SIZE

HASHED = "hash:"
"""Before a hash that stands for a password that is not known; no password reads like that."""


def hash_password(secret: bytes, owner: str, password: str) -> bytes:
    """Salt and hash of a password, 48 bytes.

    Args:
        secret: the deployment's key.
        owner: the name of the password's owner, unique within the deployment: tenant, kind and id.
        password: the digits, in the clear, or ``HASHED`` and the result for the same owner and key.
    """
    if password.startswith(HASHED):
        return bytes.fromhex(password.removeprefix(HASHED))
    salt = hmac.digest(secret, f"salt\0{owner}".encode(), "sha256")[:SALT_SIZE]
    return salt + _keyed(secret, salt, password)


def verify_password(secret: bytes, record: bytes, password: str) -> bool:
    """Whether ``record`` was made from ``password``, in a time that does not tell how nearly that is so."""
    return hmac.compare_digest(record[SALT_SIZE:], _keyed(secret, record[:SALT_SIZE], password))


def _keyed(secret: bytes, salt: bytes, password: str) -> bytes:
    return hmac.digest(secret, b"password\0" + salt + password.encode(), "sha256")
