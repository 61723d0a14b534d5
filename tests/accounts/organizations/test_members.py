"""Members: which roles manage which, and the owner that every organization keeps."""

import pytest
from django.db import transaction

from accounts.organizations.models import Invitation, Membership
from accounts.organizations.services import members
from tests import world
from tests.accounts import people
from wallgent.errors import InvalidState, NotFound, PermissionDenied, ValidationError

ROLES = ["OWNER", "ADMIN", "MEMBER", "VIEWER"]
# The acting role, and the roles it may manage.
MANAGEABLE = {
    "OWNER": {"OWNER", "ADMIN", "MEMBER", "VIEWER"},
    "ADMIN": {"ADMIN", "MEMBER", "VIEWER"},
    "MEMBER": set(),
    "VIEWER": set(),
}
PAIRS = [(acting, other) for acting in ROLES for other in ROLES]


@pytest.fixture
def member(acme):
    """Create members with a role. There is another owner, so none is the last."""
    people.join(people.person("first@acme.example"), acme)

    def member(role, name="member"):
        return people.join(people.person(f"{name}-{role.lower()}@acme.example"), acme, role)

    return member


@pytest.fixture
def actor(acme):
    return world.actor_for(acme)


def is_allowed(work) -> bool:
    try:
        with transaction.atomic():
            work()
    except PermissionDenied:
        return False
    return True


class TestRoles:
    @pytest.mark.parametrize(("acting", "other"), PAIRS)
    def test_removing_follows_the_roles(self, member, actor, acting, other):
        me, them = member(acting, "me"), member(other, "them")

        assert is_allowed(lambda: members.remove(them, actor=actor, membership=me)) is (
            other in MANAGEABLE[acting]
        )
        assert Membership.objects.filter(pk=them.pk).exists() is (other not in MANAGEABLE[acting])
        assert len(people.events("member.removed")) == (other in MANAGEABLE[acting])

    @pytest.mark.parametrize(("acting", "other"), PAIRS)
    @pytest.mark.parametrize("role", ROLES)
    def test_changing_a_role_follows_the_roles(self, member, actor, acting, other, role):
        me, them = member(acting, "me"), member(other, "them")
        allowed = {other, role} <= MANAGEABLE[acting]

        def change():
            members.change_role(them, actor=actor, membership=me, role=role)

        assert is_allowed(change) is allowed
        them.refresh_from_db()
        assert them.role == (role if allowed else other)
        events = people.events("member.role_changed")
        assert len(events) == (allowed and role != other)
        for event in events:
            assert (event.data["before"], event.data["role"]) == (other, role)

    @pytest.mark.parametrize(("acting", "role"), PAIRS)
    def test_inviting_and_revoking_follow_the_roles(self, member, actor, acting, role):
        me, owner = member(acting, "me"), member("OWNER", "them")
        new = {"email": "new@acme.example", "role": role}

        assert is_allowed(lambda: members.invite(actor=actor, membership=me, **new)) is (
            role in MANAGEABLE[acting]
        )
        invitation, _ = members.invite(actor=actor, membership=owner, **new)
        assert is_allowed(lambda: members.revoke(invitation, actor=actor, membership=me)) is (
            role in MANAGEABLE[acting]
        )

    @pytest.mark.parametrize("role", ROLES)
    def test_manageable_by_is_what_the_page_offers(self, role):
        assert set(members.manageable_by(role)) == MANAGEABLE[role]

    @pytest.mark.parametrize("role", ROLES)
    def test_every_role_may_leave(self, member, actor, role):
        me = member(role)
        members.leave(actor=actor, membership=me)

        assert not Membership.objects.filter(pk=me.pk).exists()

    def test_member_cannot_raise_their_own_role(self, member, actor):
        me = member("ADMIN")
        with people.raises(PermissionDenied):
            members.change_role(me, actor=actor, membership=me, role="OWNER")

    def test_the_current_role_decides(self, member, actor):
        me, them = member("ADMIN", "me"), member("VIEWER", "them")
        Membership.objects.filter(pk=me.pk).update(role="VIEWER")

        with people.raises(PermissionDenied):
            members.remove(them, actor=actor, membership=me)
        Membership.objects.filter(pk=me.pk).delete()
        with people.raises(PermissionDenied):
            members.remove(them, actor=actor, membership=me)

    def test_unknown_role_is_refused(self, member, actor):
        me = member("OWNER")
        with people.raises(ValidationError):
            members.change_role(me, actor=actor, membership=me, role="KING")


class TestAccess:
    def test_finds_only_members_of_the_organization(self, member, actor, globex):
        them = member("VIEWER")
        stranger = people.join(people.person("eve@globex.example"), globex)

        assert members.access(them.id, actor=actor) == them
        for id in (stranger.id, "mem_01J00000000000000000000000", "nonsense", ""):
            with people.raises(NotFound):
                members.access(id, actor=actor)
        assert stranger not in Membership.objects.visible_to(actor)

    def test_member_of_another_organization_cannot_be_changed(self, member, actor, globex):
        me = member("OWNER")
        stranger = people.join(people.person("eve@globex.example"), globex, "VIEWER")

        with people.raises(NotFound):
            members.remove(stranger, actor=actor, membership=me)
        with people.raises(NotFound):
            members.change_role(stranger, actor=actor, membership=me, role="ADMIN")


class TestLastOwner:
    def test_cannot_leave_or_be_demoted(self, acme, actor):
        me = people.join(people.person(), acme)
        admin = people.join(people.person("admin@acme.example"), acme, "ADMIN")

        with people.raises(InvalidState):
            members.leave(actor=actor, membership=me)
        with people.raises(InvalidState):
            members.change_role(me, actor=actor, membership=me, role="ADMIN")
        with people.raises(PermissionDenied):
            members.remove(me, actor=actor, membership=admin)
        assert Membership.objects.get(pk=me.pk).role == "OWNER"

    def test_may_be_given_the_same_role(self, acme, actor):
        me = people.join(people.person(), acme)
        assert members.change_role(me, actor=actor, membership=me, role="OWNER").role == "OWNER"

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("way", ["leave", "demote", "each other"])
    def test_two_owners_cannot_leave_at_once(self, acme, actor, way):
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
    def test_open_sessions_lose_access_at_once(self, acme, member, actor):
        me = member("OWNER")
        them = people.join(people.person("bob@acme.example"), acme, "MEMBER")
        browser = people.signed_in(them.user)
        page = f"/{acme.id}/sandbox/"
        assert browser.get(page).status_code == 200

        members.remove(them, actor=actor, membership=me)
        assert browser.get(page).status_code == 404

    def test_revokes_their_invitations(self, member, actor):
        me, them = member("OWNER", "me"), member("ADMIN", "them")
        new = {"email": "friend@evil.example", "role": "ADMIN"}
        members.invite(actor=actor, membership=them, **new)
        members.remove(them, actor=actor, membership=me)

        assert not Invitation.objects.open().exists()

    def test_lower_role_revokes_invitations_it_could_not_send(self, member, actor):
        me, them = member("OWNER", "me"), member("OWNER", "them")
        for role in ("OWNER", "VIEWER"):
            new = {"email": f"{role.lower()}@acme.example", "role": role}
            members.invite(actor=actor, membership=them, **new)
        members.change_role(them, actor=actor, membership=me, role="ADMIN")

        assert [invitation.role for invitation in Invitation.objects.open()] == ["VIEWER"]
