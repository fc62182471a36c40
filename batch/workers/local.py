"""The workers of a run: processes of this host that share a gate, or a cluster's."""

from __future__ import annotations

from batch.config import LOCAL, Config
from batch.limits.gate import Gate, GateServer
from batch.stop import SignalStop
from batch.workers.pool import LocalPool, Pool
from batch.workers.worker import WorkerSettings


class GatedPool(LocalPool):
    """Processes of this host; a Manager process serves their gate.

    Args:
        database_url: where each of them connects.
        tasks: how many there will be: more workers are of no use.
        stop: ends every wait.
    """

    def __init__(self, config: Config, database_url: str, tasks: int, stop: SignalStop) -> None:
        self._server = GateServer(new_gate(config))
        super().__init__(min(config.workers, tasks), stop, self._server.forget)
        self.settings = WorkerSettings(config, database_url, self._server.address)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown()
        self.requests, self.rate_limited = self._server.close()


def open_pool(
    config: Config, database_url: str, session_pid: int, tasks: int, stop: SignalStop
) -> Pool:
    """Return the pool that `MANGA_SYNC_EXECUTOR` names.

    Args:
        session_pid: of the database session that lives as long as the run.

    Raises:
        ClusterDown: the scheduler is away, or has no workers.
        SettingError: the cluster cannot reach the database.
    """
    if config.executor == LOCAL:
        return GatedPool(config, database_url, tasks, stop)
    from batch.workers.dask.executor import ClusterPool  # an extra

    return ClusterPool(config, database_url, session_pid, tasks, stop)


def new_gate(config: Config) -> Gate:
    return Gate(config.rate_concurrency, config.rate_per_second, config.rate_burst)
