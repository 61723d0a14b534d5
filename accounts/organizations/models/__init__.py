from accounts.organizations.models.api_keys import ApiKey
from accounts.organizations.models.invitations import Invitation
from accounts.organizations.models.organizations import LinkDirection, Organization, Plan
from accounts.organizations.models.users import Membership, User

__all__ = [
    "ApiKey",
    "Invitation",
    "LinkDirection",
    "Membership",
    "Organization",
    "Plan",
    "User",
]
