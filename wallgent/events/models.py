"""Events: one append-only table, read as audit log, webhooks, feed and activity lists.

Only `events.record` writes events, and only the relay gives them positions.
"""

from django.db import models
from django.db.models import F, Q

from wallgent.actors import Actor, ActorType
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField


class EventQuerySet(models.QuerySet):
    def after(self, organization, position: int, environment: str | None = None):
        """Return the organization's feed after `position`: in order, without gaps or repeats.

        Each event has its `position`. Events without one yet are not in the feed.
        """
        feed = self.filter(place__organization=organization, place__position__gt=position)
        if environment is not None:
            feed = feed.filter(environment=environment)
        return feed.annotate(position=F("place__position")).order_by("place__position")

    def visible_to(self, actor: Actor):
        """Return the events of the actor's organization and environment, newest first.

        A key with a wallet scope sees only the events whose subject is one of its wallets.
        """
        events = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            events = events.filter(subject__in=actor.wallet_scope)
        return events.order_by("-id")


class Event(models.Model):
    """An event as one organization may see it. It is never changed and never deleted."""

    id = PrefixedIdField("evt")
    type = models.TextField()
    subject = models.TextField()  # the prefixed id of the object that it is about
    organization = models.ForeignKey(
        "accounts.Organization", models.PROTECT, related_name="+", db_index=False
    )
    environment = EnvironmentField()
    actor_type = models.CharField(max_length=7, choices=ActorType)
    actor_id = models.TextField()
    request_id = models.TextField()
    data = models.JSONField()
    is_public = models.BooleanField()  # false: only for the organization's own audit log
    created_at = models.DateTimeField()  # on the organization's clock
    origin_digest = models.BinaryField(max_length=32, null=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        # Every payment writes here, so there is exactly one index for each list.
        indexes = [
            models.Index(fields=["organization", "environment", "id"], name="event_by_owner"),
            models.Index(
                fields=["organization", "environment", "type", "id"], name="event_by_type"
            ),
            models.Index(fields=["subject", "id"], name="event_by_subject"),
        ]

    def __str__(self):
        return f"{self.type} {self.id}"


class EventOrigin(models.Model):
    """The origin of the request: personal data, which can be erased without breaking the chain.

    The event keeps a salted digest of it. Once the salt is erased, the origin cannot be guessed
    from the digest.
    """

    # No constraint: it is written in the same statement as the event, which is never deleted.
    event = models.OneToOneField(
        Event, models.PROTECT, primary_key=True, related_name="origin", db_constraint=False
    )
    ip = models.TextField()
    user_agent = models.TextField()
    salt = models.BinaryField(max_length=16)


class OutboxEntry(models.Model):
    """An event that waits for its position from the relay."""

    event = models.ForeignKey(
        Event, models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )


class EventPosition(models.Model):
    """The event's position in its organization's feed, and its hash in the chain.

    Ids are created before commit, so they cannot order a feed; positions are assigned after it.
    """

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, related_name="place")
    # Copied from the event. No constraint: its check would lock the organization's row.
    organization = models.ForeignKey(
        "accounts.Organization",
        models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    position = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "position"], name="event_position_given_once"
            ),
            models.CheckConstraint(
                condition=Q(position__gte=1), name="event_position_starts_at_one"
            ),
        ]
