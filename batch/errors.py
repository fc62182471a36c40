"""The errors of the batch, one leaf for each reaction of a caller, and the exit codes."""

from __future__ import annotations

from datetime import timedelta

from mangahub.env import SettingError
from sql import DatabaseDown

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_LATER = 75  # EX_TEMPFAIL of sysexits.h


class BatchError(Exception):
    """Root of this package's errors; its text is one line."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by attributes: workers send errors to the parent, and constructors differ."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ApiError(BatchError):
    """The source did not give what was asked for."""


class RequestRefused(ApiError):
    """The source answers that the request is wrong (400, 404, 405, 414): do not repeat it.

    Attributes:
        status: the HTTP status.
        by_api: whether the API itself answered, and not a proxy or an edge in front of it.
    """

    def __init__(self, message: str, status: int, by_api: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.by_api = by_api


class TransientError(ApiError):
    """A passing fault (5xx, a broken answer, no connection): retry.

    Attributes:
        retry_after: how long the source asks to wait; None if it does not say.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(TransientError):
    """The source answers 429, or what it sends instead: every worker waits."""


class SourceDown(ApiError):
    """All tries failed, or the circuit is open: stop this run."""


class PauseRequested(SourceDown):
    """The source asks for a pause that is longer than a run waits."""


class Banned(SourceDown):
    """The source blocks this address (403 without JSON): send nothing for a long time."""


class LoginRejected(ApiError):
    """The source does not take an account's login: its owner has to look."""


class ExtractionError(BatchError):
    """An entity of the source cannot be used: reject it.

    Attributes:
        mangadex_id: the id of the entity as text, or a description where it has none.
    """

    def __init__(self, mangadex_id: str, reason: str) -> None:
        super().__init__(f"{mangadex_id}: {reason}")
        self.mangadex_id = mangadex_id
        self.reason = reason


class LockHeld(BatchError):
    """Another run of the same workflow uses this database."""


class ClusterDown(BatchError):
    """The cluster cannot be reached, or has no workers."""


class Stopped(BatchError):
    """A signal asked this run to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


def exit_code(exc: BaseException | None) -> int:
    """Return the exit code of a program that ends with this error; None is success."""
    match exc:
        case None:
            return EXIT_OK
        case SettingError():
            return EXIT_USAGE
        case Stopped():
            return 128 + exc.signal_number
        case ClusterDown() | LockHeld() | SourceDown() | DatabaseDown():
            return EXIT_TRY_LATER
        case _:
            return EXIT_FAILED


def innermost(exc: BaseException) -> str:
    """Return the innermost reason in one line: libraries wrap it several times."""
    inner: BaseException = exc
    while (below := _below(inner)) is not None:
        inner = below
    text = str(inner).split(": ", 1)[-1] if ">: " in str(inner) else str(inner)
    # Bytes of a server that does not speak HTTP are printed as escapes.
    return f"{type(inner).__name__}: {ascii(' '.join(text.split())[:200])[1:-1]}"


def _below(exc: BaseException) -> BaseException | None:
    candidates = (getattr(exc, "reason", None), *exc.args, exc.__cause__)
    return next((c for c in candidates if isinstance(c, BaseException) and c is not exc), None)
