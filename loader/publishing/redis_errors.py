"""The Redis client's exceptions as errors with remedies."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from loader.errors import PublishError


class translated:  # noqa: N801 - reads as a statement
    """Turns the Redis client's exceptions inside the block into a ``PublishError``.

    Args:
        name: the server's name; without credentials.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Raises the translation."""
        if isinstance(error, AuthenticationError):
            message = f"{self._name} refused the credentials; check user and password in the Redis URL ({error})"
        elif isinstance(error, NoPermissionError) or "can't run this command" in str(error):
            message = f"{self._name} refused a command ({error}); give the loader's Redis user its rights"
        elif isinstance(error, RedisError | OSError):
            message = f"{self._name} cannot be written to ({error}); check that it is up and reachable"
        else:
            return
        raise PublishError(message) from error
