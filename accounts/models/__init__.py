from accounts.models.api_keys import ApiKey
from accounts.models.approvals import Approval
from accounts.models.invitations import Invitation
from accounts.models.organizations import LinkDirection, Organization, Plan
from accounts.models.payments import Payment
from accounts.models.simulator import SimulatorEntry, SimulatorOrder, SimulatorPayment
from accounts.models.suspense import Suspended
from accounts.models.transfers import IncomingPayment, Provider, RailType, Transfer
from accounts.models.users import Membership, User
from accounts.models.wallets import Wallet

__all__ = [
    "ApiKey",
    "Approval",
    "IncomingPayment",
    "Invitation",
    "LinkDirection",
    "Membership",
    "Organization",
    "Payment",
    "Plan",
    "Provider",
    "RailType",
    "SimulatorEntry",
    "SimulatorOrder",
    "SimulatorPayment",
    "Suspended",
    "Transfer",
    "User",
    "Wallet",
]
