"""Invitations: sent, taken back, accepted once by whom they are for."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction

from accounts.organizations.models import Invitation, Membership, Organization, User
from accounts.organizations.services import members
from tests import world
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
    """Invites as Ada; the invitation, and the path of its page."""

    def invite(email="bob@acme.example", role="MEMBER"):
        made, url = members.invite(
            actor=world.actor_for(acme), membership=ada.memberships.get(), email=email, role=role
        )
        return made, url.removeprefix("http://127.0.0.1:8000")

    return invite


def token_of(path):
    return path.rpartition("/")[2]


def expire():
    Invitation.objects.update(expires_at=clock.real_now() - timedelta(seconds=1))


class TestInvite:
    def test_sends_a_letter_with_the_only_copy_of_the_link(
        self, invite, acme, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            invitation, path = invite(" Bob@ACME.example ", "ADMIN")

        (letter,) = people.letters_to("bob@acme.example")
        assert letter.subject == "Acme invites you to Wallgent"
        assert people.link_in(letter) == path
        assert "Your role: admin" in letter.body
        assert len(token_of(path)) >= 43  # 256 bits
        assert token_of(path) not in str(vars(invitation))
        assert invitation.expires_at - clock.real_now() > timedelta(days=6, hours=23)
        (fact,) = people.facts("member.invited")
        assert fact.data == {
            "invitationId": invitation.id,
            "role": "ADMIN",
            "environment": "SANDBOX",
        }

    def test_nothing_is_sent_when_it_is_rolled_back(self, invite):
        with transaction.atomic():
            invite()
            transaction.set_rollback(True)

        assert not mail.outbox
        assert not Invitation.objects.exists()

    def test_an_absent_mail_server_stops_nothing(
        self, invite, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        assert Invitation.objects.open().count() == 1

    def test_a_name_cannot_add_to_the_letters_head(
        self, invite, acme, django_capture_on_commit_callbacks
    ):
        Organization.objects.update(name="Acme\r\nBcc: all@acme.example <script>&")
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        (letter,) = mail.outbox
        assert letter.subject == "Acme Bcc: all@acme.example <script>& invites you to Wallgent"
        assert letter.recipients() == ["bob@acme.example"]

    def test_nor_write_paragraphs_of_its_own(self, invite, ada, django_capture_on_commit_callbacks):
        Organization.objects.update(name="Acme\n\nYour account is closed.")
        User.objects.filter(pk=ada.pk).update(name="Ada\u2028\nDear customer,")
        with django_capture_on_commit_callbacks(execute=True):
            invite()

        lines = mail.outbox[0].body.splitlines()
        assert any("join Acme Your account is closed. on Wallgent" in line for line in lines)
        assert any(line.startswith("Ada Dear customer, (") for line in lines)

    def test_again_it_takes_the_place_of_the_first(self, invite):
        first, first_path = invite()
        second, _ = invite(role="VIEWER")

        assert list(Invitation.objects.open()) == [second]
        assert people.browser().get(first_path).status_code == 410
        assert len(people.facts("invitation.revoked", subject=first.id)) == 1

    def test_also_of_one_that_has_expired(self, invite):
        invite()
        expire()
        invite()

        assert Invitation.objects.open().count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_twins_leave_one_open(self, invite):
        world.in_parallel(4, lambda number: invite())

        assert Invitation.objects.open().count() == 1

    @pytest.mark.parametrize("email", ["", "bob", "bob@", "a\r\n@x.example", "a" * 250 + "@x.yz"])
    def test_takes_only_an_address(self, invite, email):
        with people.refuses(ValidationError) as refusal:
            invite(email)
        assert refusal.value.details["fields"] == {"email": "is not one"}

    def test_takes_only_a_known_role(self, invite):
        with people.refuses(ValidationError):
            invite(role="KING")

    def test_a_member_is_not_invited(self, invite, acme):
        people.person("bob@acme.example", acme, "VIEWER")
        with people.refuses(Conflict):
            invite("BOB@acme.example")

    def test_only_so_many_an_hour(self, invite, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        invite()
        invite()
        with people.refuses(RateLimitExceeded):
            invite()

        Invitation.objects.update(created_at=clock.real_now() - timedelta(hours=1))
        invite()

    def test_nor_do_more_organizations_send_more_letters(self, invite, ada, globex, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        invite()
        invite()
        with people.refuses(RateLimitExceeded):
            members.invite(
                actor=world.actor_for(globex),
                membership=people.join(ada, globex),
                email="eve@example.com",
                role="VIEWER",
            )

    @pytest.mark.django_db(transaction=True)
    def test_of_many_at_once_from_many_organizations_so_many_are_sent(self, ada, monkeypatch):
        monkeypatch.setattr(members, "INVITATIONS_PER_HOUR", 2)
        founded = [world.make_organization(f"Shell{number}") for number in range(8)]
        joined = [people.join(ada, organization) for organization in founded]

        def send(number):
            with suppress(RateLimitExceeded), transaction.atomic():
                members.invite(
                    actor=world.actor_for(founded[number]),
                    membership=joined[number],
                    email=f"eve{number}@example.com",
                    role="VIEWER",
                )

        world.in_parallel(len(founded), send)

        assert Invitation.objects.count() == 2

    def test_the_database_keeps_one_open_for_an_address(self, invite):
        invitation, _ = invite()
        invitation.pk, invitation.token_hash = None, b"other"
        with people.refuses(IntegrityError):
            invitation.save(force_insert=True)


class TestRevoke:
    def test_closes_it_once(self, invite, ada, acme):
        invitation, path = invite()
        for _ in range(2):
            members.revoke(
                invitation, actor=world.actor_for(acme), membership=ada.memberships.get()
            )

        assert people.browser().get(path).status_code == 410
        assert len(people.facts("invitation.revoked")) == 1

    def test_not_what_was_accepted(self, invite, ada, acme):
        invitation, path = invite()
        members.accept(token_of(path), user=people.person("bob@acme.example"))
        with people.refuses(InvalidState):
            members.revoke(
                invitation, actor=world.actor_for(acme), membership=ada.memberships.get()
            )

    def test_is_found_only_by_its_own_organization(self, invite, acme, globex):
        invitation, _ = invite()

        assert members.access_invitation(invitation.id, actor=world.actor_for(acme)) == invitation
        for id in (invitation.id, "ivt_01J00000000000000000000000", "nonsense", ""):
            with people.refuses(NotFound):
                members.access_invitation(id, actor=world.actor_for(globex))


class TestAccept:
    def test_by_somebody_who_is_signed_in(self, invite, acme):
        bob = people.person("bob@acme.example")
        _, path = invite(role="VIEWER")
        browser = people.signed_in(bob)

        page = browser.get(path).text
        assert "Acme" in page
        assert "Ada Lovelace" in page
        assert "viewer" in page
        people.assert_strict(page)
        assert not bob.memberships.exists()  # to look changes nothing
        assert browser.post(path).url == f"/{acme.id}/sandbox/"
        membership = bob.memberships.get()
        assert (membership.organization_id, membership.role) == (acme.id, "VIEWER")
        (fact,) = people.facts("member.joined")
        assert (fact.subject, fact.actor_id) == (membership.id, bob.id)
        assert fact.origin.ip == "127.0.0.1"
        assert browser.get(path).url == "/"  # back, or a second click
        assert browser.post(path).url == "/"

    def test_by_somebody_who_signs_in_first(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browser = people.browser()

        page = browser.get(path)
        assert page.context["sign_in_url"].startswith("/account/login/?next=")
        assert browser.post(path).url == f"/account/login/?next={path}"
        assert people.sign_in(browser, bob.email, next=path).url == path
        browser.post(path)
        assert bob.memberships.count() == 1

    def test_not_by_somebody_else(self, invite, ada):
        eve = people.person("eve@acme.example")
        _, path = invite()
        browser = people.signed_in(eve)

        assert "eve@acme.example" in browser.get(path).text
        refused = browser.post(path)
        assert refused.status_code == 403
        assert "Sign in with that address" in refused.text
        assert not eve.memberships.exists()

    def test_once(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        members.accept(token_of(path), user=bob)
        bob.memberships.all().delete()

        with people.refuses(InvalidState):
            members.accept(token_of(path), user=bob)
        assert people.browser().get(path).status_code == 410

    @pytest.mark.django_db(transaction=True)
    def test_twins_join_once(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browsers = [people.signed_in(bob) for _ in range(4)]
        answers = world.in_parallel(4, lambda number: browsers[number].post(path))

        assert {answer.status_code for answer in answers} == {302}
        assert Membership.objects.filter(user=bob).count() == 1
        assert len(people.facts("member.joined")) == 1

    def test_a_member_stays_what_they_are(self, invite, acme):
        bob = people.person("bob@acme.example")
        _, path = invite(role="VIEWER")
        people.join(bob, acme, "ADMIN")
        members.accept(token_of(path), user=bob)

        assert bob.memberships.get().role == "ADMIN"
        assert not people.facts("member.joined")

    def test_not_when_it_has_expired(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        expire()
        browser = people.signed_in(bob)

        assert browser.get(path).status_code == 410
        assert browser.post(path).status_code == 410
        assert not bob.memberships.exists()

    @pytest.mark.parametrize("token", ["x", "%00", "<script>", "é", "a" * 3000])
    def test_an_unknown_one_gets_the_same_calm_page(self, db, token):
        answer = people.browser().get(f"/invitations/{token}")

        assert answer.status_code == 404
        assert "This invitation is closed" in answer.text
        people.assert_strict(answer.text)

    def test_a_forged_form_is_refused(self, invite):
        bob = people.person("bob@acme.example")
        _, path = invite()
        browser = people.browser(enforce_csrf_checks=True)
        browser.force_login(bob)

        assert browser.post(path).status_code == 403
        assert not bob.memberships.exists()

    def test_pages_are_not_kept_by_browsers_and_take_no_other_method(self, invite):
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
    def test_joins_without_an_organization_of_ones_own(self, invite, acme, settings, is_open):
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

    def test_not_with_another_address(self, invite):
        _, path = invite()
        answer = self.sign_up(people.browser(), path, email="eve@acme.example")

        assert "This invitation is for bob@acme.example." in answer.text
        assert User.objects.count() == 1

    def test_one_that_is_closed_opens_no_closed_door(self, invite, settings):
        settings.SIGNUP_OPEN = False
        _, path = invite()
        expire()

        answer = self.sign_up(people.browser(), path, organization="Bob's")
        assert "By invitation only" in answer.text
        assert User.objects.count() == 1

    def test_one_taken_back_meanwhile_makes_no_account(self, invite, monkeypatch):
        _, path = invite()

        def closed(*_, **__):
            raise InvalidState

        monkeypatch.setattr(members, "accept", closed)
        assert self.sign_up(people.browser(), path).url == path
        assert User.objects.count() == 1

    def test_a_proof_of_the_address_is_still_asked_for(self, invite, settings, acme):
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        _, path = invite()
        browser = people.browser()

        assert self.sign_up(browser, path).url == "/account/confirm-email/"
        assert not people.is_signed_in(browser)


def test_who_is_not_allowed_to_invite(acme):
    viewer = people.person("viewer@acme.example", acme, "VIEWER")
    with people.refuses(PermissionDenied):
        members.invite(
            actor=world.actor_for(acme),
            membership=viewer.memberships.get(),
            email="bob@acme.example",
            role="VIEWER",
        )
