"""What happened: one append-only table, read as audit log, webhooks, feed and activity lists.

`facts.record` writes; the relay numbers. Nothing else does either.
"""

from django.db import models
from django.db.models import F, Q

from wallgent.actors import Actor, ActorType
from wallgent.environments import EnvironmentField
from wallgent.ids import PrefixedIdField


class EventQuerySet(models.QuerySet):
    def after(self, organization, position: int, environment: str | None = None):
        """What the organization's feed shows after `position`: in order, without gap or repeat.

        Each event carries its `position`. Events the relay has not reached yet are not in the feed.
        """
        feed = self.filter(place__organization=organization, place__position__gt=position)
        if environment is not None:
            feed = feed.filter(environment=environment)
        return feed.annotate(position=F("place__position")).order_by("place__position")

    def visible_to(self, actor: Actor):
        """What happened in the actor's organization and environment, newest first.

        A key with a wallet scope sees what happened to its wallets themselves.
        """
        events = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            events = events.filter(subject__in=actor.wallet_scope)
        return events.order_by("-id")


class Event(models.Model):
    """One thing that happened, as one organization may see it. Never changed, never deleted."""

    id = PrefixedIdField("evt")
    type = models.TextField()
    subject = models.TextField()  # the prefixed id of the thing it happened to
    organization = models.ForeignKey(
        "accounts.Organization", models.PROTECT, related_name="+", db_index=False
    )
    environment = EnvironmentField()
    actor_type = models.CharField(max_length=7, choices=ActorType)
    actor_id = models.TextField()
    request_id = models.TextField()
    data = models.JSONField()
    is_public = models.BooleanField()  # or only for the organization's own audit log
    created_at = models.DateTimeField()  # the organization's time
    origin_digest = models.BinaryField(max_length=32, null=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        # Every payment writes here, so each index has one list it serves.
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
    """Where the request came from: personal, so it can be erased without touching the chain.

    The event keeps a digest of it with `salt`; without the salt nobody can guess their way back.
    """

    # Written in the same statement as the event, which is never deleted: a check proves nothing.
    event = models.OneToOneField(
        Event, models.PROTECT, primary_key=True, related_name="origin", db_constraint=False
    )
    ip = models.TextField()
    user_agent = models.TextField()
    salt = models.BinaryField(max_length=16)


class OutboxEntry(models.Model):
    """An event the relay has yet to number."""

    event = models.ForeignKey(
        Event, models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )


class EventPosition(models.Model):
    """The event's place in its organization's feed, and the hash that chains it to the one before.

    Ids are made before commit, so they cannot order a feed; positions are given after it.
    """

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, related_name="place")
    # Copied from the event. A check would lock the organization's row against every payment.
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
