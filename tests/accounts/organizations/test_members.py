"""Members: who may decide about whom, and the owner that every organization keeps."""

import pytest
from django.db import transaction

from accounts.organizations.models import Invitation, Membership
from accounts.organizations.services import members
from tests import world
from tests.accounts import people
from wallgent.errors import InvalidState, NotFound, PermissionDenied, ValidationError

ROLES = ["OWNER", "ADMIN", "MEMBER", "VIEWER"]
# Who may decide about whom: rows act, columns are acted on.
MAY = {
    "OWNER": {"OWNER", "ADMIN", "MEMBER", "VIEWER"},
    "ADMIN": {"ADMIN", "MEMBER", "VIEWER"},
    "MEMBER": set(),
    "VIEWER": set(),
}
PAIRS = [(acting, other) for acting in ROLES for other in ROLES]


@pytest.fixture
def member(acme):
    """Makes a member in a role. There is another owner, so that none is the last."""
    people.join(people.person("first@acme.example"), acme)

    def member(role, name="somebody"):
        return people.join(people.person(f"{name}-{role.lower()}@acme.example"), acme, role)

    return member


@pytest.fixture
def actor(acme):
    return world.actor_for(acme)


def done(work) -> bool:
    try:
        with transaction.atomic():
            work()
    except PermissionDenied:
        return False
    return True


class TestRoles:
    @pytest.mark.parametrize(("acting", "other"), PAIRS)
    def test_remove(self, member, actor, acting, other):
        me, them = member(acting, "me"), member(other, "them")

        assert done(lambda: members.remove(them, actor=actor, membership=me)) is (
            other in MAY[acting]
        )
        assert Membership.objects.filter(pk=them.pk).exists() is (other not in MAY[acting])
        assert len(people.facts("member.removed")) == (other in MAY[acting])

    @pytest.mark.parametrize(("acting", "other"), PAIRS)
    @pytest.mark.parametrize("role", ROLES)
    def test_change(self, member, actor, acting, other, role):
        me, them = member(acting, "me"), member(other, "them")
        allowed = {other, role} <= MAY[acting]

        def change():
            members.change_role(them, actor=actor, membership=me, role=role)

        assert done(change) is allowed
        them.refresh_from_db()
        assert them.role == (role if allowed else other)
        facts = people.facts("member.role_changed")
        assert len(facts) == (allowed and role != other)
        for fact in facts:
            assert (fact.data["before"], fact.data["role"]) == (other, role)

    @pytest.mark.parametrize(("acting", "role"), PAIRS)
    def test_invite_and_revoke(self, member, actor, acting, role):
        me, owner = member(acting, "me"), member("OWNER", "them")
        new = {"email": "new@acme.example", "role": role}

        assert done(lambda: members.invite(actor=actor, membership=me, **new)) is (
            role in MAY[acting]
        )
        invitation, _ = members.invite(actor=actor, membership=owner, **new)
        assert done(lambda: members.revoke(invitation, actor=actor, membership=me)) is (
            role in MAY[acting]
        )

    @pytest.mark.parametrize("role", ROLES)
    def test_manageable_by_is_what_the_page_offers(self, role):
        assert set(members.manageable_by(role)) == MAY[role]

    @pytest.mark.parametrize("role", ROLES)
    def test_everybody_may_leave(self, member, actor, role):
        me = member(role)
        members.leave(actor=actor, membership=me)

        assert not Membership.objects.filter(pk=me.pk).exists()

    def test_nobody_raises_themselves(self, member, actor):
        me = member("ADMIN")
        with people.refuses(PermissionDenied):
            members.change_role(me, actor=actor, membership=me, role="OWNER")

    def test_what_counts_is_the_role_of_now(self, member, actor):
        me, them = member("ADMIN", "me"), member("VIEWER", "them")
        Membership.objects.filter(pk=me.pk).update(role="VIEWER")

        with people.refuses(PermissionDenied):
            members.remove(them, actor=actor, membership=me)
        Membership.objects.filter(pk=me.pk).delete()
        with people.refuses(PermissionDenied):
            members.remove(them, actor=actor, membership=me)

    def test_an_unknown_role_is_refused(self, member, actor):
        me = member("OWNER")
        with people.refuses(ValidationError):
            members.change_role(me, actor=actor, membership=me, role="KING")


class TestAccess:
    def test_reaches_only_ones_own_organization(self, member, actor, globex):
        them = member("VIEWER")
        stranger = people.join(people.person("eve@globex.example"), globex)

        assert members.access(them.id, actor=actor) == them
        for id in (stranger.id, "mem_01J00000000000000000000000", "nonsense", ""):
            with people.refuses(NotFound):
                members.access(id, actor=actor)
        assert stranger not in Membership.objects.visible_to(actor)

    def test_a_member_of_another_organization_is_not_touched(self, member, actor, globex):
        me = member("OWNER")
        stranger = people.join(people.person("eve@globex.example"), globex, "VIEWER")

        with people.refuses(NotFound):
            members.remove(stranger, actor=actor, membership=me)
        with people.refuses(NotFound):
            members.change_role(stranger, actor=actor, membership=me, role="ADMIN")


class TestLastOwner:
    def test_stays(self, acme, actor):
        me = people.join(people.person(), acme)
        admin = people.join(people.person("admin@acme.example"), acme, "ADMIN")

        with people.refuses(InvalidState):
            members.leave(actor=actor, membership=me)
        with people.refuses(InvalidState):
            members.change_role(me, actor=actor, membership=me, role="ADMIN")
        with people.refuses(PermissionDenied):
            members.remove(me, actor=actor, membership=admin)
        assert Membership.objects.get(pk=me.pk).role == "OWNER"

    def test_may_keep_the_role(self, acme, actor):
        me = people.join(people.person(), acme)
        assert members.change_role(me, actor=actor, membership=me, role="OWNER").role == "OWNER"

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("way", ["leave", "demote", "each other"])
    def test_two_cannot_go_at_once(self, acme, actor, way):
        owners = [people.join(people.person(f"{number}@acme.example"), acme) for number in range(2)]

        def go(number):
            me, other = owners[number], owners[1 - number]
            try:
                if way == "leave":
                    members.leave(actor=actor, membership=me)
                elif way == "demote":
                    members.change_role(me, actor=actor, membership=me, role="VIEWER")
                else:
                    members.remove(other, actor=actor, membership=me)
            except (InvalidState, PermissionDenied):
                return False
            return True

        assert sorted(world.in_parallel(2, go)) == [False, True]
        assert Membership.objects.filter(organization=acme, role="OWNER").count() == 1


class TestRemoval:
    def test_ends_open_sessions_access_at_once(self, acme, member, actor):
        me = member("OWNER")
        them = people.join(people.person("bob@acme.example"), acme, "MEMBER")
        browser = people.signed_in(them.user)
        page = f"/{acme.id}/sandbox/"
        assert browser.get(page).status_code == 200

        members.remove(them, actor=actor, membership=me)
        assert browser.get(page).status_code == 404

    def test_takes_back_what_they_invited_to(self, member, actor):
        me, them = member("OWNER", "me"), member("ADMIN", "them")
        new = {"email": "friend@evil.example", "role": "ADMIN"}
        members.invite(actor=actor, membership=them, **new)
        members.remove(them, actor=actor, membership=me)

        assert not Invitation.objects.open().exists()

    def test_so_does_a_lower_role_as_far_as_it_goes(self, member, actor):
        me, them = member("OWNER", "me"), member("OWNER", "them")
        for role in ("OWNER", "VIEWER"):
            new = {"email": f"{role.lower()}@acme.example", "role": role}
            members.invite(actor=actor, membership=them, **new)
        members.change_role(them, actor=actor, membership=me, role="ADMIN")

        assert [invitation.role for invitation in Invitation.objects.open()] == ["VIEWER"]
