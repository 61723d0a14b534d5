"""Style sheets and scripts, from the WSGI application as the servers run it."""

import pytest
from django.test import RequestFactory

from wallgent import wsgi
from wallgent.static import StaticFiles

ADMIN_CSS = "/static/admin/css/base.css"


@pytest.fixture(params=[True, False], ids=["development", "production"])
def application(request, settings):
    settings.DEVELOPMENT = request.param

    def django(environ, start_response):
        start_response("418 Django", [])
        return []

    return StaticFiles(django)


def ask(application, path, method="GET", **headers):
    """The status, the headers and the body of an answer."""
    started = []
    environ = RequestFactory().generic(method, path, headers=headers).environ
    body = b"".join(application(environ, lambda *answer: started.append(answer)))
    status, headers = started[0]
    return status, {name.lower(): value for name, value in headers}, body


class TestStaticFiles:
    def test_the_admins_style_sheet(self, application):
        status, headers, body = ask(application, ADMIN_CSS)

        assert status == "200 OK"
        assert headers["content-type"] == 'text/css; charset="utf-8"'
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert len(body) == int(headers["content-length"]) > 1000

    def test_what_the_browser_has_is_not_sent_again(self, application):
        modified = ask(application, ADMIN_CSS)[1]["last-modified"]

        status, _, body = ask(application, ADMIN_CSS, **{"If-Modified-Since": modified})

        assert (status, body) == ("304 Not Modified", b"")

    @pytest.mark.parametrize(
        "path",
        [
            "/static/nothing.css",
            "/static/../wallgent/settings.py",
            "/static/%2e%2e/wallgent/settings.py",
            "/static//etc/passwd",
            "/static/",
            "/static",
            "/v1/wallets",
        ],
    )
    def test_everything_else_is_djangos(self, application, path):
        assert ask(application, path)[0] == "418 Django"

    def test_the_servers_application_serves_them(self):
        assert ask(wsgi.application, ADMIN_CSS)[0] == "200 OK"
        assert ask(wsgi.application, ADMIN_CSS, "POST")[0] == "405 Method Not Allowed"
