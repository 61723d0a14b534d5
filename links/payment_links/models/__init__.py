from links.payment_links.models.claims import Claim, ClaimStatus, ClaimStep, Mandate
from links.payment_links.models.email_log import Sending
from links.payment_links.models.email_verifications import CodeVisitor, EmailProof
from links.payment_links.models.import_exports import BatchExport, BatchExportPart
from links.payment_links.models.imports import BatchRow, LinkBatch
from links.payment_links.models.payment_links import PaymentLink
from links.payment_links.models.settings import LinkSettings

__all__ = [
    "BatchExport",
    "BatchExportPart",
    "BatchRow",
    "Claim",
    "ClaimStatus",
    "ClaimStep",
    "CodeVisitor",
    "EmailProof",
    "LinkBatch",
    "LinkSettings",
    "Mandate",
    "PaymentLink",
    "Sending",
]
