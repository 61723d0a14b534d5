"""The actions of staff in the admin: an append-only table that only superusers can read."""

from django.conf import settings
from django.db import models

from wallgent.ids import PrefixedIdField


class StaffAction(models.Model):
    """An action or attempt of a staff member in the admin. It is never changed and never deleted.

    It names the object and never contains a typed value: see `log.record`.
    """

    class Kind(models.TextChoices):
        VIEWED = "VIEWED", "Viewed"
        SEARCHED = "SEARCHED", "Searched"
        CHANGED = "CHANGED", "Changed"
        LOOKUP_REFUSED = "LOOKUP_REFUSED", "Lookup refused"
        ACCESS_REFUSED = "ACCESS_REFUSED", "Access refused"

    id = PrefixedIdField("sta")
    created_at = models.DateTimeField()  # real time
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=14, choices=Kind)
    model = models.TextField()  # such as links.paymentlink; "" for none
    object_id = models.TextField()  # "" for a whole list
    detail = models.TextField()  # the page, the service action, or the names of refused lookups
    value_length = models.PositiveIntegerField(null=True)  # characters, of a search or lookup
    request_id = models.TextField()

    class Meta:
        default_permissions = ()  # there is nothing to grant: superusers read it
        indexes = [
            models.Index(fields=["user", "id"], name="staff_action_by_user"),
            models.Index(fields=["object_id", "id"], name="staff_action_by_object"),
        ]

    def __str__(self):
        return f"{self.get_kind_display()} {self.id}"
