"""Invitations: sending, revoking and accepting them."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.organizations.models import Invitation, Membership, Organization, User
from accounts.organizations.services import members
from tests import emailing, world
from tests.accounts import people
from wallgent import clock
from wallgent.errors import (
    Conflict,
    InvalidState,
    NotFound,
    PermissionDenied,
    RateLimitExceeded,
    ValidationError,
)


@pytest.fixture
def ada(acme):
    """Acme's owner."""
    return people.person(organization=acme)


@pytest.fixture
def invite(ada, acme):
    """Invite as Ada; return the invitation and the path of its page."""

    def invite(email="bob@acme.example", role="MEMBER"):
        invitation, url = members.invite(
            actor=world.actor_for(acme), membership=ada.memberships.get(), email=email, role=role
        )
        return invitation, url.removeprefix("http://127.0.0.1:8000")

    return invite


def token_of(path):
    return path.rpartition("/")[2]


def expire():
    Invitation.objects.update(expires_at=clock.real_now() - timedelta(seconds=1))


class TestInvite:
    def test_sends_an_email_with_the_only_copy_of_the_link(
        self, invite, acme, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            invitation, path = invite(" Bob@ACME.example ", "ADMIN")

        (email,) = people.emails_to("bob@acme.example")
        assert email.subject == "Acme invites you to Wallgent"
        assert people.link_in(email) == path
        assert "Your role: admin" in email.body
        assert len(token_of(path)) >= 43  # 256 bits
        assert token_of(path) not in str(vars(invitation))
        assert invitation.expires_at - clock.real_now() > timedelta(days=6, hours=23)
        (event,) = people.events("member.invited")
        assert event.data == {
            "invitationId": invitation.id,
            "role": "ADMIN",
            "environment": "SANDBOX",
        }

    def test_sends_nothing_when_rolled_back(self, invite):
        with transaction.atomic():
            invite()
            transaction.set_rollback(True)

        assert not emailing.outbox()
        assert not Invitation.objects.exists()

    def test_works_without_a_mail_server(
        self, invite, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        assert Invitation.objects.open().count() == 1

    def test_name_cannot_add_email_headers(self, invite, acme, django_capture_on_commit_callbacks):
        Organization.objects.update(name="Acme\r\nBcc: all@acme.example <script>&")
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        (email,) = emailing.outbox()
        assert email.subject == "Acme Bcc: all@acme.example <script>& invites you to Wallgent"
        assert email.recipients() == ["bob@acme.example"]

    def test_name_cannot_add_paragraphs(self, invite, ada, django_capture_on_commit_callbacks):
        Organization.objects.update(name="Acme\n\nYour account is closed.")
        User.objects.filter(pk=ada.pk).update(name="Ada\u2028\nDear customer,")
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        lines = emailing.outbox()[0].body.splitlines()
        assert any("join Acme Your account is closed. on Wallgent" in line for line in lines)
        assert any(line.startswith("Ada Dear customer, (") for line in lines)

    def test_repeated_invitation_replaces_the_first(self, invite):
        first, first_path = invite()
        second, _ = invite(role="VIEWER")

        assert list(Invitation.objects.open()) == [second]
        assert people.browser().get(first_path).status_code == 410
        assert len(people.events("invitation.revoked", subject=first.id)) == 1

    def test_repeated_invitation_replaces_an_expired_one(self, invite):
        invite()
        expire()
        invite()

        assert Invitation.objects.open().count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_invitations_leave_one_open(self, invite):
        world.in_parallel(4, lambda number: invite())

        assert Invitation.objects.open().count() == 1

    @pytest.mark.parametrize("email", ["", "bob", "bob@", "a\r\n@x.example", "a" * 250 + "@x.yz"])
    def test_malformed_email_is_refused(self, invite, email):
        with people.raises(ValidationError) as error:
            invite(email)
        assert error.value.details["fields"] == {"email": "is not one"}

    def test_unknown_role_is_refused(self, invite):
        with people.raises(ValidationError):
            invite(role="KING")

    def test_member_cannot_be_invited(self, invite, acme):
        people.person("bob@acme.example", acme, "VIEWER")
        with people.raises(Conflict):
            invite("BOB@acme.example")

    def test_is_limited_per_hour(self, invite, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        invite()
        invite()
        with people.raises(RateLimitExceeded):
            invite()

        Invitation.objects.update(created_at=clock.real_now() - timedelta(hours=1))
        invite()

    def test_limit_counts_all_organizations_of_the_user(self, invite, ada, globex, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        invite()
        invite()
        with people.raises(RateLimitExceeded):
            members.invite(
                actor=world.actor_for(globex),
                membership=people.join(ada, globex),
                email="eve@example.com",
                role="VIEWER",
            )

    @pytest.mark.django_db(transaction=True)
    def test_limit_holds_for_concurrent_invitations(self, ada, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        organizations = [world.make_organization(f"Shell{number}") for number in range(8)]
        joined = [people.join(ada, organization) for organization in organizations]

        def send(number):
            with suppress(RateLimitExceeded), transaction.atomic():
                members.invite(
                    actor=world.actor_for(organizations[number]),
                    membership=joined[number],
                    email=f"eve{number}@example.com",
                    role="VIEWER",
                )

        world.in_parallel(len(organizations), send)

        assert Invitation.objects.count() == 2

    def test_database_allows_one_open_per_email(self, invite):
        invitation, _ = invite()
        invitation.pk, invitation.token_hash = None, b"other"
        with people.raises(IntegrityError):
            invitation.save(force_insert=True)


class TestRevoke:
    def test_closes_the_invitation_once(self, invite, ada, acme):
        invitation, path = invite()
        for _ in range(2):
            members.revoke(
                invitation, actor=world.actor_for(acme), membership=ada.memberships.get()
            )

        assert people.browser().get(path).status_code == 410
        assert len(people.events("invitation.revoked")) == 1

    def test_accepted_invitation_cannot_be_revoked(self, invite, ada, acme):
        invitation, path = invite()
        members.accept(token_of(path), user=people.person("bob@acme.example"))
        with people.raises(InvalidState):
            members.revoke(
                invitation, actor=world.actor_for(acme), membership=ada.memberships.get()
            )

    def test_only_its_organization_finds_it(self, invite, acme, globex):
        invitation, _ = invite()

        assert members.access_invitation(invitation.id, actor=world.actor_for(acme)) == invitation
        for id in (invitation.id, "ivt_01J00000000000000000000000", "nonsense", ""):
            with people.raises(NotFound):
                members.access_invitation(id, actor=world.actor_for(globex))


class TestAccept:
    def test_signed_in_user_joins(self, invite, acme):
        bob = people.person("bob@acme.example")
        _, path = invite(role="VIEWER")
        browser = people.signed_in(bob)

        page = browser.get(path).text
        assert "Acme" in page
        assert "Ada Lovelace" in page
        assert "viewer" in page
        people.assert_csp_safe(page)
        assert not bob.memberships.exists()  # opening the page changes nothing
        assert browser.post(path).url == f"/{acme.id}/sandbox/"
        membership = bob.memberships.get()
        assert (membership.organization_id, membership.role) == (acme.id, "VIEWER")
        (event,) = people.events("member.joined")
        assert (event.subject, event.actor_id) == (membership.id, bob.id)
        assert event.origin.ip == "127.0.0.1"
        assert browser.get(path).url == "/"  # the back button, or a second click
        assert browser.post(path).url == "/"

    def test_user_signs_in_and_joins(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browser = people.browser()

        page = browser.get(path)
        assert page.context["sign_in_url"].startswith("/account/login/?next=")
        assert browser.post(path).url == f"/account/login/?next={path}"
        assert people.sign_in(browser, bob.email, next=path).url == path
        browser.post(path)
        assert bob.memberships.count() == 1

    def test_other_user_is_refused(self, invite, ada):
        eve = people.person("eve@acme.example")
        _, path = invite()
        browser = people.signed_in(eve)

        assert "eve@acme.example" in browser.get(path).text
        refused = browser.post(path)
        assert refused.status_code == 403
        assert "Sign in with that address" in refused.text
        assert not eve.memberships.exists()

    def test_works_once(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        members.accept(token_of(path), user=bob)
        bob.memberships.all().delete()

        with people.raises(InvalidState):
            members.accept(token_of(path), user=bob)
        assert people.browser().get(path).status_code == 410

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_clicks_join_once(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browsers = [people.signed_in(bob) for _ in range(4)]
        answers = world.in_parallel(4, lambda number: browsers[number].post(path))

        assert {answer.status_code for answer in answers} == {302}
        assert Membership.objects.filter(user=bob).count() == 1
        assert len(people.events("member.joined")) == 1

    def test_member_keeps_their_role(self, invite, acme):
        bob = people.person("bob@acme.example")
        _, path = invite(role="VIEWER")
        people.join(bob, acme, "ADMIN")
        members.accept(token_of(path), user=bob)

        assert bob.memberships.get().role == "ADMIN"
        assert not people.events("member.joined")

    def test_expired_invitation_is_refused(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        expire()
        browser = people.signed_in(bob)

        assert browser.get(path).status_code == 410
        assert browser.post(path).status_code == 410
        assert not bob.memberships.exists()

    @pytest.mark.parametrize("token", ["x", "%00", "<script>", "é", "a" * 3000])
    def test_unknown_token_is_not_found(self, db, token):
        answer = people.browser().get(f"/invitations/{token}")

        assert answer.status_code == 404
        assert "This invitation is closed" in answer.text
        people.assert_csp_safe(answer.text)

    def test_form_without_csrf_token_is_refused(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browser = people.browser(enforce_csrf_checks=True)
        browser.force_login(bob)

        assert browser.post(path).status_code == 403
        assert not bob.memberships.exists()

    def test_page_is_not_cached_and_allows_no_other_method(self, invite):
        _, path = invite()

        assert "no-store" in people.browser().get(path).headers["Cache-Control"]
        assert people.browser().delete(path).status_code == 405


class TestSignUp:
    def sign_up(self, browser, path, **fields):
        form = {
            "name": "Bob",
            "email": "bob@acme.example",
            "password1": people.PASSWORD,
            "next": path,
        }
        return browser.post("/account/signup/", form | fields)

    @pytest.mark.parametrize("is_open", [True, False])
    def test_joins_without_creating_an_organization(self, invite, acme, settings, is_open):
        settings.SIGNUP_OPEN = is_open
        _, path = invite(role="ADMIN")
        browser = people.browser()
        page = browser.get(browser.get(path).context["sign_up_url"]).text
        assert 'name="organization"' not in page
        assert 'value="bob@acme.example"' in page

        answer = self.sign_up(browser, path)
        assert answer.url == path
        assert browser.get(path).url == "/"
        membership = User.objects.get(email="bob@acme.example").memberships.get()
        assert (membership.organization_id, membership.role) == (acme.id, "ADMIN")
        assert Organization.objects.count() == 1

    def test_other_email_is_refused(self, invite):
        _, path = invite()
        answer = self.sign_up(people.browser(), path, email="eve@acme.example")

        assert "This invitation is for bob@acme.example." in answer.text
        assert User.objects.count() == 1

    def test_expired_invitation_does_not_open_closed_sign_up(self, invite, settings):
        settings.SIGNUP_OPEN = False
        _, path = invite()
        expire()

        answer = self.sign_up(people.browser(), path, organization="Bob's")
        assert "By invitation only" in answer.text
        assert User.objects.count() == 1

    def test_invitation_revoked_meanwhile_creates_no_account(self, invite, monkeypatch):
        _, path = invite()

        def revoked(*_, **__):
            raise InvalidState

        monkeypatch.setattr(members, "accept", revoked)
        assert self.sign_up(people.browser(), path).url == path
        assert User.objects.count() == 1

    def test_email_verification_is_still_required(self, invite, settings, acme):
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        _, path = invite()
        browser = people.browser()

        assert self.sign_up(browser, path).url == "/account/confirm-email/"
        assert not people.is_signed_in(browser)


def test_viewer_cannot_invite(acme):
    viewer = people.person("viewer@acme.example", acme, "VIEWER")
    with people.raises(PermissionDenied):
        members.invite(
            actor=world.actor_for(acme),
            membership=viewer.memberships.get(),
            email="bob@acme.example",
            role="VIEWER",
        )
