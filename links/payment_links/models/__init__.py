from links.payment_links.models.claims import Claim, ClaimStatus, ClaimStep
from links.payment_links.models.email_verifications import CodeVisitor, EmailVerification
from links.payment_links.models.payment_links import PAYMENT_KIND, PURPOSE, PaymentLink
from links.payment_links.models.settings import LinkSettings

__all__ = [
    "PAYMENT_KIND",
    "PURPOSE",
    "Claim",
    "ClaimStatus",
    "ClaimStep",
    "CodeVisitor",
    "EmailVerification",
    "LinkSettings",
    "PaymentLink",
]
