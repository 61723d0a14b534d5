from accounts.controls.models import Approval
from accounts.organizations.models import (
    ApiKey,
    Invitation,
    LinkDirection,
    Membership,
    Organization,
    Plan,
    User,
)
from accounts.pay_ins.models import Mandate
from accounts.payments.models import Payment
from accounts.transfers.models import (
    IncomingPayment,
    Provider,
    RailType,
    SimulatorEntry,
    SimulatorOrder,
    SimulatorPayment,
    Suspended,
    Transfer,
)
from accounts.wallets.models import Wallet

__all__ = [
    "ApiKey",
    "Approval",
    "IncomingPayment",
    "Invitation",
    "LinkDirection",
    "Mandate",
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
