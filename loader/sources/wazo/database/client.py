"""The connection to a database, and error messages for an operator."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import asyncpg
from asyncpg import exceptions

if TYPE_CHECKING:
    from loader.sources.wazo.database.changes import Database
    from loader.sources.wazo.database.url import Location

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
    EOFError,
    UnicodeDecodeError,  # a database without an encoding of texts
)
"""The exceptions for failures outside this process."""

_WAZO_DATABASE: Final = "check that it is the database of a Wazo Platform, and the user's search_path"
_PARAMETERS: Final = "check the parameters of the source's URL"
_REMEDIES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (exceptions.InvalidAuthorizationSpecificationError, "check the user and password, and the server's pg_hba.conf"),
    (exceptions.InvalidCatalogNameError, "check the database's name; Wazo's is called asterisk"),
    (exceptions.InsufficientPrivilegeError, "grant the user what docs/postgresql.md lists"),
    (exceptions.UndefinedTableError, _WAZO_DATABASE),
    (exceptions.UndefinedColumnError, _WAZO_DATABASE),
    (TimeoutError, "check that the server is up and not overloaded, and that nothing between drops connections"),
    (ssl.SSLError, "check the certificate, that it is for this host, and the parameter sslrootcert"),
    (OSError, "check the host and the port, and that the server is up and takes connections from here"),
    (exceptions.UndefinedObjectError, _PARAMETERS),  # the client passes unknown ones to the server
    (exceptions.InvalidParameterValueError, _PARAMETERS),
    (asyncpg.ClientConfigurationError, _PARAMETERS),
)
_OTHERWISE: Final = "it is tried again; look into the server's log if it goes on"


async def connect(location: Location, seconds: float) -> Database:
    """Connects.

    Args:
        location: the database's address.
        seconds: timeout of connecting, and of each step of a statement.

    Raises:
        BaseException: one of FAILURES.
    """
    # No prepared statements are kept, for poolers that give each transaction another session.
    try:
        database: Database = await asyncpg.connect(
            location.dsn, timeout=seconds, command_timeout=seconds, statement_cache_size=0
        )
    except OSError:  # some are a ValueError too, such as a certificate that is not trusted
        raise
    except (ValueError, KeyError, RuntimeError) as error:  # the latter two: the system knows no user or no home
        raise asyncpg.ClientConfigurationError("the URL cannot be used") from error
    return database


def explain(error: BaseException) -> str:
    """The failure and the remedy, in one line without credentials."""
    remedy = next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), _OTHERWISE)
    return f"{_problem(error)}; {remedy}"


def _problem(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long to answer"
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "the client cannot use the URL"  # the error would repeat a part of the URL
    if isinstance(error, asyncpg.PostgresError):
        text = str(error).partition("\n")[0]
        return text.partition("; ")[0].rstrip(".")
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the connection was lost"
