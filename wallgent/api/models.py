from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class IdempotencyRecord(models.Model):
    """A used idempotency key and, once the request has finished, its answer.

    The ID is a hash of the key and its scope, so claiming the key is one insert.
    """

    id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(
        "accounts.Organization", models.CASCADE, db_index=False, db_constraint=False
    )
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=6)
    path = models.CharField(max_length=255)
    body_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(null=True)  # noqa: DJ001 - null until the request has finished
    reserved_id = models.CharField(max_length=40)  # of the object a provider was called for, or ""
    created_at = models.DateTimeField()

    class Meta:
        indexes = [BrinIndex(fields=["created_at"], name="idempotency_by_age")]
