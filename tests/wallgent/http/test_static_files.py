"""Style sheets and scripts, from the WSGI application as the servers run it."""

import gzip
import os

import pytest
from django.contrib.staticfiles import finders
from django.test import RequestFactory

from wallgent import wsgi
from wallgent.http.static_files import StaticFiles

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

    def test_text_goes_compressed_to_who_takes_it_so(self, application):
        plain = ask(application, ADMIN_CSS)
        headers = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8, *;q=0.1"}

        status, sent, body = ask(application, ADMIN_CSS, **headers)

        assert status == "200 OK"
        assert sent["content-encoding"] == "gzip"
        assert sent["vary"] == plain[1]["vary"] == "Accept-Encoding"
        assert sent["etag"] == plain[1]["etag"]
        assert len(body) == int(sent["content-length"]) < len(plain[2]) / 2
        assert gzip.decompress(body) == plain[2]
        assert "content-encoding" not in plain[1]

    @pytest.mark.parametrize("takes", ["", "identity", "br", "gzip;q=0", "gzipped"])
    def test_nobody_gets_what_they_did_not_ask_for(self, application, takes):
        sent = ask(application, ADMIN_CSS, **{"Accept-Encoding": takes})[1]

        assert "content-encoding" not in sent

    def test_a_question_for_the_head_or_a_part_is_answered_so(self, application):
        takes = {"Accept-Encoding": "gzip"}
        whole = ask(application, ADMIN_CSS, **takes)

        head = ask(application, ADMIN_CSS, "HEAD", **takes)
        status, part, body = ask(application, ADMIN_CSS, Range="bytes=0-9", **takes)

        assert (head[1]["content-length"], head[2]) == (whole[1]["content-length"], b"")
        assert status.startswith("206")
        assert "content-encoding" not in part
        assert len(body) == 10

    def test_what_has_changed_is_compressed_anew(self, tmp_path, settings):
        settings.DEVELOPMENT = True
        settings.STATICFILES_DIRS = [tmp_path]
        finders.get_finder.cache_clear()
        file, takes = tmp_path / "new.css", {"Accept-Encoding": "gzip"}
        try:
            application = StaticFiles(None)
            for text in (b"a" * 1000, b"b" * 1000):
                file.write_bytes(text)
                os.utime(file, ns=(0, int(text[0]) * 10**9))
                answer = ask(application, "/static/new.css", **takes)[2]
                assert gzip.decompress(answer) == text
        finally:
            finders.get_finder.cache_clear()

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
