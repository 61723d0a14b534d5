from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.db.models.functions import Lower

from accounts.organizations import permissions
from wallgent.actors import Actor
from wallgent.ids import PrefixedIdField


class UserManager(BaseUserManager):
    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        """Create a user who signs in by email. Without a password they cannot sign in yet."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        """Create a member of our support staff with all rights and a verified email address."""
        with transaction.atomic():
            user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
            addresses = apps.get_model("account", "EmailAddress").objects
            addresses.create(user=user, email=user.email, primary=True, verified=True)
        return user

    def get_by_natural_key(self, email: str) -> "User":
        return self.get(email=email.lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Their memberships decide what they may do."""

    id = PrefixedIdField("usr")
    email = models.EmailField(unique=True)  # in lower case
    name = models.CharField(max_length=256, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)  # may use the Django admin
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower_case")
        ]

    def __str__(self):
        return self.email


class MembershipQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Return the members of the actor's organization, in the order they joined."""
        members = self.filter(organization=actor.organization).select_related("user")
        return members.order_by("created_at", "pk")


class Membership(models.Model):
    """A person's role in an organization."""

    class Role(models.TextChoices):
        OWNER = "OWNER"
        ADMIN = "ADMIN"
        MEMBER = "MEMBER"
        VIEWER = "VIEWER"

    id = PrefixedIdField("mem")
    organization = models.ForeignKey("Organization", models.PROTECT, related_name="memberships")
    user = models.ForeignKey("User", models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=6, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["organization", "user"], name="membership_unique"),
        ]

    @property
    def permissions(self) -> frozenset[str]:
        """Return the permissions of the role."""
        return permissions.OF_ROLE[self.role]
