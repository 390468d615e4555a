"""The keys in Redis: the contract between the loader, which writes, and the server, which reads.

    {prefix}{pointers}                  hash: tenant → pointer, the one place that says which revision is current
    {prefix}{pointers}:candidates       hash: tenant → candidate, which decides no call (see ``candidate``); signed
    {prefix}{pointers}:manifest         string: the tenants that there are, signed (see ``manifest``)
    {prefix}{pointers}:followed         string: the highest number that a server has followed, signed (see ``numbers``)
    {prefix}{pointers}:leader           string with an expiry: the loader that leads
    {prefix}{pointers}:epoch            integer: how often the lead was taken
    {prefix}snapshot:{tenant}:number    string: the blob of a revision
    {prefix}delta:{tenant}:number       string: the delta from an earlier revision's blob to that one; may be missing
    {prefix}revisions:{tenant}          sorted set: JSON about each revision whose blob is kept, by number
    {prefix}changes                     channel: the tenant whose pointer moved

The second braces are Redis Cluster's and stand in the key: keys that change together lie in one slot. A blob is there,
whole, before its pointer moves, and so is its delta, which names the base revision (see ``delta``); a server that
cannot use the delta takes the blob. A tenant that is gone has a pointer that says so. A missing pointer therefore means
nothing: Redis lost the pointer, and the loader will write the pointer again.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PREFIX = "rightcall:"


class Scope(NamedTuple):
    """The scope of a signature, besides its tenant: the same rules mean nothing elsewhere.

    Attributes:
        prefix: the prefix of every key.
        deployment: the operator's name of the deployment, equal in all loaders and servers of one deployment.
    """

    prefix: str = DEFAULT_PREFIX
    deployment: str = ""

    def __str__(self) -> str:
        """The scope for people: ``prefix rightcall:`` or ``deployment paris, prefix rightcall:``."""
        return f"deployment {self.deployment}, prefix {self.prefix}" if self.deployment else f"prefix {self.prefix}"


DEFAULT_SCOPE = Scope()


class Keys(NamedTuple):
    """The names of the keys under one prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def pointers(self) -> str:
        """The hash of pointers."""
        return f"{self.prefix}{{pointers}}"

    @property
    def candidates(self) -> str:
        """The hash of candidates."""
        return f"{self.prefix}{{pointers}}:candidates"

    @property
    def manifest(self) -> str:
        """The manifest of tenants."""
        return f"{self.prefix}{{pointers}}:manifest"

    @property
    def followed(self) -> str:
        """The highest number that a server has followed."""
        return f"{self.prefix}{{pointers}}:followed"

    @property
    def leader(self) -> str:
        """The loader that leads; the expiry is the lease."""
        return f"{self.prefix}{{pointers}}:leader"

    @property
    def epoch(self) -> str:
        """The number of times that the lead was taken."""
        return f"{self.prefix}{{pointers}}:epoch"

    @property
    def changes(self) -> str:
        """The channel of changes."""
        return f"{self.prefix}changes"

    def revisions(self, tenant: str) -> str:
        """The revisions of a tenant whose blobs are kept."""
        return f"{self.prefix}revisions:{{{tenant}}}"

    def snapshot(self, tenant: str, number: int) -> str:
        """The blob of a revision."""
        return f"{self.prefix}snapshot:{{{tenant}}}:{number}"

    def delta(self, tenant: str, number: int) -> str:
        """The delta from an earlier revision's blob to the blob of a revision."""
        return f"{self.prefix}delta:{{{tenant}}}:{number}"


def without_credentials(url: str) -> str:
    """A Redis URL as people, logs and metrics may see it: no user, no password, no query."""
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment:  # a password with an unescaped / ? or # in it, perhaps
        return f"{parts.scheme}://…"
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
