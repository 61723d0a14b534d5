"""Template tags, components, and the style sheet that they use."""

import datetime
import re
from decimal import Decimal
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.template import engines
from django.test import Client, RequestFactory
from django.utils import timezone

from wallgent.http.static_files import StaticFiles
from wallgent.web import charts, preferences, statuses
from wallgent.web.style_guide import HOSTILE, HUGE, LONG, SampleForm
from wallgent.web.templatetags.wallgent import _CONTROLS

TEMPLATES = Path(settings.BASE_DIR) / "templates"
ICONS = TEMPLATES / "icons"
STYLES = Path(settings.BASE_DIR) / "wallgent" / "styles"
STYLE_SHEET = Path(settings.BASE_DIR) / "static" / "css" / "wallgent.css"
AT = datetime.datetime(2026, 3, 4, 23, 5, 6, tzinfo=datetime.UTC)


def render(source: str, **context) -> str:
    return engines["django"].from_string(source).render(context)


def words(html: str) -> str:
    """Return the visible text."""
    return " ".join(re.sub(r"<[^>]*>", "", html).split())


def our_templates() -> list[Path]:
    return [path for path in TEMPLATES.rglob("*.html") if "admin" not in path.parts]


class TestMoney:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            ("0", "$0.00"),
            ("25", "$25.00"),
            ("0.1", "$0.10"),
            ("0.125", "$0.125"),
            ("0.00000001", "$0.00000001"),
            ("1234567.5", "$1,234,567.50"),
            ("-80.5", "-$80.50"),
            (HUGE, "$999,999,999,999.99999999"),
        ],
    )
    def test_amount_is_shown_to_its_last_digit(self, amount, text):
        shown = render('{% money amount "USD" %}', amount=Decimal(amount))

        assert words(shown) == text

    @pytest.mark.parametrize(
        ("amount", "direction", "text"),
        [
            ("5", "in", "+$5.00"),
            ("5", "out", "-$5.00"),
            ("0", "in", "$0.00"),
            ("0", "out", "$0.00"),
        ],
    )
    def test_sign_shows_the_direction(self, amount, direction, text):
        shown = render(
            '{% money amount "USD" direction=direction %}',
            amount=Decimal(amount),
            direction=direction,
        )

        assert words(shown) == text

    @pytest.mark.parametrize(("amount", "text"), [("5", "+$5.00"), ("-5", "-$5.00")])
    def test_signed_amount_shows_its_own_sign(self, amount, text):
        assert words(render('{% money a "USD" signed=True %}', a=Decimal(amount))) == text

    @pytest.mark.parametrize("amount", [0.1, "25", None, True])
    def test_other_types_than_decimal_are_refused(self, amount):
        with pytest.raises(TypeError, match="Money is a Decimal"):
            render('{% money amount "USD" %}', amount=amount)

    def test_filter_returns_plain_text(self):
        shown = render('{{ a|money:"USD" }} {{ a|money:"USDC" }}', a=Decimal("1250"))

        assert shown == "$1,250.00 1,250.00\xa0USDC"

    @pytest.mark.parametrize(
        ("amount", "size"), [("1250", ""), ("1234567.5", " money-long"), (HUGE, " money-longer")]
    )
    def test_long_amount_is_smaller(self, amount, size):
        shown = render('{% money amount "USDC" %}', amount=Decimal(amount))

        assert f'class="money{size}"' in shown


class TestWhen:
    def test_time_without_a_zone_is_named_utc(self):
        assert words(render("{% when at %}", at=AT)) == "4 Mar 2026, 23:05 UTC"

    def test_time_is_shown_in_the_viewers_zone(self):
        with timezone.override("Asia/Kathmandu"):
            shown = render("{% when at %}|{% when at date_only=True %}", at=AT)

        assert words(shown) == "5 Mar 2026, 04:50|5 Mar 2026"
        assert 'datetime="2026-03-04T23:05:06.000Z"' in shown

    def test_missing_time_is_shown_as_never(self):
        assert render('{% when at %}|{% when at none="Not yet" %}', at=None) == "Never|Not yet"

    @pytest.mark.parametrize(
        ("cookie", "zone"),
        [
            ("Europe/Berlin", "Europe/Berlin"),
            ("", "UTC"),
            ("../../etc/passwd", "UTC"),
            ("Nowhere/Land", "UTC"),
            ("europe/berlin\0", "UTC"),
        ],
    )
    def test_unknown_zone_in_the_cookie_is_ignored(self, cookie, zone):
        request = RequestFactory().get("/")
        request.COOKIES["timezone"] = cookie

        assert preferences.zone_of(request).key == zone

    def test_support_staff_see_utc(self):
        request = RequestFactory().get("/admin/")
        request.COOKIES["timezone"] = "Europe/Berlin"

        assert preferences.zone_of(request).key == "UTC"


class TestStatus:
    def test_badge_has_a_word_and_an_icon(self):
        for word in statuses.LOOKS:
            shown = render("{% status word %}", word=word)
            assert words(shown) == word
            assert "<svg" in shown

    @pytest.mark.parametrize("word", ["Something new", "", None])
    def test_unknown_word_is_shown_as_it_is(self, word):
        assert words(render("{% status word %}", word=word)) == (word or "Unknown")


class TestHostileText:
    @pytest.mark.parametrize(
        "source",
        [
            "{% status text %}",
            "{% copy text %}",
            "{% copy text label=text visible=True %}",
            "{% qr text label=text %}",
            "{% icon 'x' label=text %}",
            "{% money 1 text %}",
            '{% include "components/notice.html" with title=text text=text tone=text only %}',
            '{% include "components/toast.html" with text=text tone=text only %}',
            '{% include "components/heading.html" with title=text lead=text status=text only %}',
            '{% include "components/empty.html" with title=text text=text url=text label=text %}',
            '{% include "components/stat.html" with label=text value=text note=text only %}',
            '{% include "components/secret.html" with label=text text=text only %}',
            '{% include "components/code.html" with label=text text=text only %}',
            '{% include "components/facts.html" with facts=pairs only %}',
            '{% include "components/timeline.html" with facts=facts only %}',
            '{% include "components/organizations.html" with name=text choices=choices only %}',
            '{% include "components/navigation.html" with groups=groups only %}',
            '{% include "components/locked_bar.html" with contact=text only %}',
            "{% confirm url=text label=text title=text text=text %}",
            "{% errors form %}{% for bound in form %}{% field bound prefix=text %}{% endfor %}",
        ],
    )
    def test_hostile_text_is_escaped(self, source):
        form = SampleForm({"name": HOSTILE, "amount": HOSTILE, "note": HOSTILE})
        form.add_error("name", HOSTILE)
        form.add_error(None, HOSTILE)
        choices = [{"name": HOSTILE, "label": HOSTILE, "url": f'"{HOSTILE}', "icon": "x"}]

        shown = render(
            source,
            text=f'"{HOSTILE}',
            form=form,
            pairs=[(HOSTILE, HOSTILE)],
            facts=[{"title": HOSTILE, "text": HOSTILE, "who": HOSTILE, "at": AT}],
            choices=choices,
            groups=[(HOSTILE, choices)],
        )

        assert "&lt;script&gt;" in shown
        assert "<script" not in shown
        assert '""' not in shown.replace('=""', "")  # no attribute was left by a quote


class TestField:
    def test_label_help_and_error_are_linked_to_the_control(self):
        form = SampleForm({"amount": "x"})
        form.add_error("amount", "Write an amount.")

        shown = render("{% field form.amount suffix='USD' %}", form=form)

        assert '<label class="field-label" for="id_amount">' in shown
        assert 'aria-invalid="true"' in shown
        assert 'aria-describedby="id_amount_helptext id_amount_error"' in shown
        assert 'id="id_amount_helptext"' in shown
        assert 'id="id_amount_error"' in shown
        assert words(shown) == "Amount At most 8 decimals. USD Write an amount."

    def test_choices_are_a_group_with_a_legend(self):
        form = SampleForm({"permissions": ["wallets:write"]})

        shown = render("{% field form.permissions %}", form=form)

        assert "<legend" in shown
        assert shown.count('type="checkbox"') == 3
        assert re.findall(r'value="([^"]+)"[^>]* checked', shown) == ["wallets:write"]

    def test_radios_of_an_unbound_form_show_the_initial_choice(self):
        shown = render("{% field form.direction %}", form=SampleForm())

        assert re.findall(r'type="radio"[^>]*value="([^"]+)"[^>]* checked', shown) == ["SEND"]

    def test_optional_fields_are_marked_and_hidden_fields_are_hidden(self):
        class Small(forms.Form):
            note = forms.CharField(required=False)
            key = forms.CharField(widget=forms.HiddenInput)

        shown = render("{% field form.note %}{% field form.key %}", form=Small())

        assert words(shown) == "Note (optional)"
        assert 'type="hidden"' in shown

    def test_error_summary_links_to_each_wrong_field(self):
        shown = render("{% errors form %}", form=SampleForm({"amount": "1", "name": LONG}))

        targets = re.findall(r'href="#([^"]+)"', shown)
        assert targets == ["id_wallet", "id_direction", "id_permissions", "id_agree"]
        assert "4 fields" in shown
        fields = render("{% for b in form %}{% field b %}{% endfor %}", form=SampleForm({}))
        assert all(f'id="{target}"' in fields for target in targets)

    def test_form_without_errors_has_no_summary(self):
        assert words(render("{% errors form %}", form=SampleForm())) == ""


class TestChart:
    def days(self, *amounts):
        first = datetime.date(2026, 1, 30)
        return [
            charts.Day(first + datetime.timedelta(days=n), Decimal(money_in), Decimal(money_out))
            for n, (money_in, money_out) in enumerate(amounts)
        ]

    def test_money_in_goes_up_and_money_out_down_on_one_scale(self):
        drawn = charts.bars(self.days(("100", "0"), ("50", "100"), ("0", "0")), "USD")

        first, second, third = drawn.bars
        assert first.in_y + first.in_height == second.in_y + second.in_height == drawn.zero
        assert first.in_height == second.out_height == 2 * second.in_height
        assert (third.in_height, third.out_height) == (0, 0)
        assert [line.label for line in drawn.lines] == ["100", "50", "0", "50", "100"]
        assert (drawn.incoming, drawn.outgoing) == (150, 100)

    def test_bars_stay_inside_the_frame(self):
        for amounts in ([(HUGE, "0.00000001")], [("0", "3")], [("7", "0")] * 30, [("0", "0")], []):
            drawn = charts.bars(self.days(*amounts), "USD")
            for bar in drawn.bars:
                assert drawn.top <= bar.in_y
                assert drawn.zero + bar.out_height <= drawn.top + drawn.plot + 1

    def test_smallest_amount_is_visible(self):
        drawn = charts.bars(self.days((HUGE, "0"), ("0.00000001", "0.00000001")), "USD")

        assert drawn.bars[1].in_height == drawn.bars[1].out_height == 1

    @pytest.mark.parametrize(
        ("amount", "label"),
        [("0.5", "0.5"), ("250", "250"), ("1500", "1.5k"), ("2000000", "2M"), ("5E+9", "5B")],
    )
    def test_axis_labels_are_short(self, amount, label):
        assert charts.short(Decimal(amount)) == label

    def test_chart_comes_with_a_table_of_its_numbers(self):
        drawn = charts.bars(self.days(("1.5", "0"), ("0", "0.125")), "USD")

        shown = render('{% chart drawn title="In and out" %}', drawn=drawn)

        table = words(shown[shown.index("<table") :].replace("</t", " </t"))
        assert "30 Jan 2026 $1.50 $0.00 31 Jan 2026 $0.00 $0.125" in table
        assert 'role="img"' in shown
        assert "<desc" in shown

    def test_empty_chart_is_described_in_text(self):
        shown = render('{% chart d title="T" %}', d=charts.bars(self.days(("0", "0")), "USD"))

        assert "No money has moved" in shown
        assert "chart-zero" not in shown


class TestTheme:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_chosen_theme_is_saved_and_applied(self, theme):
        client = Client()

        response = client.post("/preferences/theme", {"theme": theme, "next": "/nothing?a=1"})

        assert (response.status_code, response.url) == (302, "/nothing?a=1")
        assert f'data-theme="{theme}"' in client.get("/nothing").content.decode()

    def test_unknown_theme_follows_the_device(self):
        client = Client()
        client.cookies["theme"] = '"><script>'
        assert b"data-theme" not in client.get("/nothing").content

        client.cookies["theme"] = "dark"
        client.post("/preferences/theme", {"theme": "", "next": "/"})
        assert b"data-theme" not in client.get("/nothing").content

    @pytest.mark.parametrize(
        "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil", ""]
    )
    def test_redirect_stays_on_our_site(self, target):
        response = Client().post("/preferences/theme", {"theme": "dark", "next": target})

        assert response.url == "/"

    def test_choice_needs_a_csrf_token(self):
        response = Client(enforce_csrf_checks=True).post("/preferences/theme", {"theme": "dark"})

        assert response.status_code == 403
        assert "theme" not in response.cookies


class TestBrowserName:
    @pytest.mark.parametrize(
        ("user_agent", "name"),
        [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/140.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
                " (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
                " Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101"
                " Firefox/140.0",
                "Firefox on macOS",
            ),
            ("curl/8.5.0", "Unknown browser"),
            ("", "Unknown browser"),
            (HOSTILE, "Unknown browser"),
        ],
    )
    def test_browser_and_system_are_named(self, user_agent, name):
        assert render("{{ text|browser_name }}", text=user_agent) == name


class TestStyleGuide:
    def test_style_guide_includes_every_component(self, settings):
        settings.DEVELOPMENT = True

        pages = [
            Client().get(f"/design{query}")
            for query in ("", "?toasts", "?environment=PRODUCTION", "?shell=account")
        ]

        used = {template.name for page in pages for template in page.templates}
        components = {f"components/{path.name}" for path in (TEMPLATES / "components").iterdir()}
        assert components - used == set()

    def test_ids_are_unique_and_labels_lead_to_a_field(self, settings):
        settings.DEVELOPMENT = True

        html = Client().get("/design").content.decode()

        ids = re.findall(r'\sid="([^"]+)"', html)
        assert sorted(ids) == sorted(set(ids))
        assert set(re.findall(r'<label[^>]* for="([^"]+)"', html)) <= set(ids)

    @pytest.mark.parametrize("query", ["", "?shell=account", "?shell=hosted", "?fault=503"])
    def test_style_guide_shows_every_component(self, settings, query):
        settings.DEVELOPMENT = True

        assert Client().get(f"/design{query}").status_code in (200, 503)

    @pytest.mark.parametrize("query", ["", "?shell=account", "?fault=500"])
    def test_style_guide_is_not_available_in_production(self, settings, query):
        settings.DEVELOPMENT = False

        assert Client().get(f"/design{query}").status_code == 404


class TestAssets:
    def test_every_class_in_a_template_is_in_the_style_sheet(self):
        """Fails if `make css` was forgotten."""
        text = STYLE_SHEET.read_text()
        drawn = {re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"\.((?:\\.|[\w-])+)", text)}
        missing = {
            f"{path.relative_to(TEMPLATES)}: {name}"
            for path in our_templates()
            for name in _classes(path.read_text())
            if name not in drawn
        }
        controls = {css for _, _, css in _CONTROLS if css} | {"input"}

        assert not missing
        assert controls <= drawn

    def test_preloaded_typeface_is_the_one_that_the_style_sheet_uses(self):
        used = re.findall(r"url\(\"?\.\.(/fonts/[^)\"]+)", STYLE_SHEET.read_text())

        assert [f"/static{path}" for path in used] == [render("{% asset 'fonts/inter.woff2' %}")]

    def test_type_has_five_sizes_and_three_weights(self):
        """Everything uses the scale: no size or weight is written as a number."""
        theme = (STYLES / "wallgent.css").read_text()
        assert len(re.findall(r"--text-\w+: [\d.]+rem", theme)) == 5
        assert len(re.findall(r"--font-weight-\w+: \d+", theme)) == 3
        for sheet in STYLES.glob("*.css"):
            rules = re.sub(r"@font-face {.*?}", "", sheet.read_text(), flags=re.S)
            values = re.findall(r"(?<![-\w])font-(?:size|weight): ([^;]+);", rules)
            assert [value for value in values if not value.startswith("var(--")] == []
        for path in our_templates():
            assert not re.search(r"\b(?:text|font)-\[", path.read_text()), path

    def test_every_icon_exists(self):
        named = {look.icon for look in map(statuses.look_of, (*statuses.LOOKS, ""))}
        for path in our_templates():
            named |= set(re.findall(r"{% icon [\"']([a-z0-9-]+)[\"']", path.read_text()))
            named |= set(re.findall(r"\bicon=[\"']([a-z0-9-]+)[\"']", path.read_text()))

        assert {name for name in named if not (ICONS / f"{name}.svg").exists()} == set()
        assert (ICONS / "LICENSE").exists()

    def test_assets_of_a_page_are_served(self):
        page = Client().get("/nothing").content.decode()
        paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(paths) == 6
        for path in paths:
            started = []
            environ = RequestFactory().get(path).environ
            body = b"".join(
                StaticFiles(None)(environ, lambda status, headers, s=started: s.append(status))
            )
            assert started == ["200 OK"]
            assert body


def _classes(text: str) -> set[str]:
    """Return the classes that a template names in full."""
    named = set()
    for value in re.findall(r'\bclass="((?:{[%{].*?[%}]}|[^"])*)"', text, flags=re.S):
        plain = re.sub(r"{{.*?}}", "\0", value, flags=re.S)
        plain = re.sub(r"{%.*?%}", " ", plain, flags=re.S)
        named |= {name for name in plain.split() if "\0" not in name}
    return named
