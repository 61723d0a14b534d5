"""Static files, served by the WSGI application."""

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


def send(application, path, method="GET", **headers):
    """Return the status, headers and body of a response."""
    started = []
    environ = RequestFactory().generic(method, path, headers=headers).environ
    body = b"".join(application(environ, lambda *start: started.append(start)))
    status, headers = started[0]
    return status, {name.lower(): value for name, value in headers}, body


class TestStaticFiles:
    def test_style_sheet_of_the_admin_is_served(self, application):
        status, headers, body = send(application, ADMIN_CSS)

        assert status == "200 OK"
        assert headers["content-type"] == 'text/css; charset="utf-8"'
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert len(body) == int(headers["content-length"]) > 1000

    def test_unmodified_file_is_not_sent_again(self, application):
        modified = send(application, ADMIN_CSS)[1]["last-modified"]

        status, _, body = send(application, ADMIN_CSS, **{"If-Modified-Since": modified})

        assert (status, body) == ("304 Not Modified", b"")

    def test_text_is_compressed_for_clients_that_accept_it(self, application):
        plain = send(application, ADMIN_CSS)
        headers = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8, *;q=0.1"}

        status, sent, body = send(application, ADMIN_CSS, **headers)

        assert status == "200 OK"
        assert sent["content-encoding"] == "gzip"
        assert sent["vary"] == plain[1]["vary"] == "Accept-Encoding"
        assert sent["etag"] == plain[1]["etag"]
        assert len(body) == int(sent["content-length"]) < len(plain[2]) / 2
        assert gzip.decompress(body) == plain[2]
        assert "content-encoding" not in plain[1]

    @pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzipped"])
    def test_text_is_not_compressed_for_other_clients(self, application, accepted):
        sent = send(application, ADMIN_CSS, **{"Accept-Encoding": accepted})[1]

        assert "content-encoding" not in sent

    def test_head_and_range_requests(self, application):
        gzip_accepted = {"Accept-Encoding": "gzip"}
        whole = send(application, ADMIN_CSS, **gzip_accepted)

        head = send(application, ADMIN_CSS, "HEAD", **gzip_accepted)
        status, part, body = send(application, ADMIN_CSS, Range="bytes=0-9", **gzip_accepted)

        assert (head[1]["content-length"], head[2]) == (whole[1]["content-length"], b"")
        assert status.startswith("206")
        assert "content-encoding" not in part
        assert len(body) == 10

    def test_changed_file_is_compressed_again(self, tmp_path, settings):
        settings.DEVELOPMENT = True
        settings.STATICFILES_DIRS = [tmp_path]
        finders.get_finder.cache_clear()
        file, gzip_accepted = tmp_path / "new.css", {"Accept-Encoding": "gzip"}
        try:
            application = StaticFiles(None)
            for text in (b"a" * 1000, b"b" * 1000):
                file.write_bytes(text)
                os.utime(file, ns=(0, int(text[0]) * 10**9))
                body = send(application, "/static/new.css", **gzip_accepted)[2]
                assert gzip.decompress(body) == text
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
    def test_other_paths_are_passed_to_django(self, application, path):
        assert send(application, path)[0] == "418 Django"

    def test_wsgi_application_serves_static_files(self):
        assert send(wsgi.application, ADMIN_CSS)[0] == "200 OK"
        assert send(wsgi.application, ADMIN_CSS, "POST")[0] == "405 Method Not Allowed"
