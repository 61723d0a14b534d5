from links.models.batches import BatchRow, LinkBatch
from links.models.claims import Claim
from links.models.payment_links import PaymentLink
from links.models.sendings import Sending

__all__ = ["BatchRow", "Claim", "LinkBatch", "PaymentLink", "Sending"]
