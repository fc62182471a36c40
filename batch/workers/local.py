"""The workers of a run on this host: processes that share a gate."""

from __future__ import annotations

from batch.config import Config
from batch.limits.gate import Gate
from batch.limits.gate_server import GateServer
from batch.stop import SignalStop
from batch.workers.pool import LocalPool
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


def new_gate(config: Config) -> Gate:
    return Gate(config.rate_concurrency, config.rate_per_second, config.rate_burst)
