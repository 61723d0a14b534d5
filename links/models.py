from links.payment_links.models import (
    Claim,
    ClaimStatus,
    ClaimStep,
    CodeVisitor,
    EmailVerification,
    LinkSettings,
    PaymentLink,
)

__all__ = [
    "Claim",
    "ClaimStatus",
    "ClaimStep",
    "CodeVisitor",
    "EmailVerification",
    "LinkSettings",
    "PaymentLink",
]
