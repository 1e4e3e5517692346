"""Errors that are the same in every service: a request that is refused as a whole, settings that cannot be used, no start."""

from __future__ import annotations


class RequestError(Exception):
    """A request that is refused as a whole.

    Args:
        status: HTTP status of the answer.
        code: ``snake_case`` name of the reason, for programs.
        message: what is wrong, for people.
        field: JSON path of the part that is wrong, where there is one.
        fix: what to do about it.
        retry_after: seconds until it makes sense to send the same again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        fix: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.fix = fix
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer, of one form everywhere."""
        return {"error": {"code": self.code, "message": self.message, "field": self.field, "fix": self.fix}}

    @property
    def headers(self) -> dict[str, str] | None:
        return {"Retry-After": str(self.retry_after)} if self.retry_after is not None else None


class SettingsError(Exception):
    """A service's settings cannot be used; the message says which flag to change."""


class StartError(Exception):
    """A service cannot start for a reason that it knows; the message says what is wrong and what to do about it."""
