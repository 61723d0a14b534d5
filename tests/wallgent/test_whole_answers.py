"""Answers are handed to the server whole: it sends them, however slowly they are received."""

import io

import pytest

from wallgent import wsgi


def ask(path) -> tuple[str, list]:
    """The status and the body of an answer, as the server gets them."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    seen = []
    body = wsgi.application(environ, lambda status, headers, *_: seen.append(status))
    return seen[0], body


# A request closes the connections that other tests left open.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/static/css/wallgent.css", "/healthz", "/nowhere"])
def test_in_one_piece(path):
    status, body = ask(path)

    assert status.startswith(("200", "404"))
    assert isinstance(body, list)
    assert len(body) == 1


def test_and_closed(monkeypatch):
    class Answer(list):
        is_closed = False

        def close(self):
            self.is_closed = True

    answer = Answer([b"a", b"b"])
    monkeypatch.setattr(wsgi, "_application", lambda *_: answer)

    assert wsgi.application({"REQUEST_METHOD": "GET"}, None) == [b"ab"]
    assert answer.is_closed
