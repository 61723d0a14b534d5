from accounts.transfers.models.simulator import SimulatorEntry, SimulatorOrder, SimulatorPayment
from accounts.transfers.models.suspense import Suspended
from accounts.transfers.models.transfers import IncomingPayment, Provider, RailType, Transfer

__all__ = [
    "IncomingPayment",
    "Provider",
    "RailType",
    "SimulatorEntry",
    "SimulatorOrder",
    "SimulatorPayment",
    "Suspended",
    "Transfer",
]
