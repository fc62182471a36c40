"""The batch's errors: one root, and a leaf for each way in which a caller reacts."""

from __future__ import annotations

from datetime import timedelta


class BatchError(Exception):
    """Root of all errors of this package; its text is one clear line.

    Errors travel from worker to parent: they are pickled by what they hold, as the default way
    calls the constructor with the message alone.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    kind: type[BatchError], args: tuple[object, ...], attributes: dict[str, object]
) -> BatchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ApiError(BatchError):
    """The source did not give what was asked for."""


class RequestRefused(ApiError):
    """The source says that this request is wrong (400, 404, 405, 414): repeating it is no use.

    Attributes:
        status: the HTTP status of the answer.
        by_api: whether the API said so, and not something on the way to it.
    """

    def __init__(self, message: str, status: int, by_api: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.by_api = by_api


class SourceTrouble(ApiError):
    """A passing fault (5xx, a broken or nonsensical answer, no connection): worth a retry.

    Attributes:
        retry_after: how long the source asked us to wait, None where it did not say.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(SourceTrouble):
    """The source answered 429, or what it sends instead: everybody has to wait."""


class SourceDown(ApiError):
    """The source stayed in trouble through all tries, or the circuit is open: stop this run."""


class PauseAsked(SourceDown):
    """The source asked for a pause that is longer than a run should wait."""


class Banned(SourceDown):
    """The source refuses this address (403 without JSON): stop everything, for long."""


class ExtractionError(BatchError):
    """An entity of the source cannot be used.

    Attributes:
        mangadex_id: the id of the entity as text, or a description where it has none.
    """

    def __init__(self, mangadex_id: str, reason: str) -> None:
        super().__init__(f"{mangadex_id}: {reason}")
        self.mangadex_id = mangadex_id
        self.reason = reason


class LockHeld(BatchError):
    """Another run of the same workflow is under way on this database."""


class ClusterDown(BatchError):
    """The cluster that should do the work cannot be reached, or has no workers."""


class Stopped(BatchError):
    """A signal asked this run to stop.

    Attributes:
        signal_number: which one, for the exit code 128 + N.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
