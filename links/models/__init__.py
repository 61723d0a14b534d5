from links.models.batch_exports import BatchExport, BatchExportPart
from links.models.batches import BatchRow, LinkBatch
from links.models.claims import Claim, ClaimStep, Mandate
from links.models.email_proofs import CodeVisitor, EmailProof
from links.models.link_settings import LinkSettings
from links.models.payment_links import PaymentLink
from links.models.sendings import Sending

__all__ = [
    "BatchExport",
    "BatchExportPart",
    "BatchRow",
    "Claim",
    "ClaimStep",
    "CodeVisitor",
    "EmailProof",
    "LinkBatch",
    "LinkSettings",
    "Mandate",
    "PaymentLink",
    "Sending",
]
