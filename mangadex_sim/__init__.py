"""A stand-in for the MangaDex API: an invented catalogue, the real one's rules, orders to fail."""

from mangadex_sim.client import SimControl
from mangadex_sim.settings import Settings
from mangadex_sim.simulator import Simulator

__all__ = ["Settings", "SimControl", "Simulator"]
