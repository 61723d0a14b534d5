from links.models.claims import Claim
from links.models.payment_links import PaymentLink

__all__ = ["Claim", "PaymentLink"]
