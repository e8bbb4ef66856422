# SPDX-License-Identifier: Apache-2.0
"""Each line of the guard, and that a refusal says nothing about the owner."""

import pytest

from client.page.guard import HEADERS, MAX_FORM_BYTES, Guard
from client.page.session import Session
from tests.client.page.asked import HOST, Asker, visible

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def asker():
    return Asker().enter()


def test_entrance_gives_a_strict_cookie_and_hides_the_token():
    asker = Asker()
    answer = asker.ask("GET", f"/enter?token={asker.session.token}", {"sec-fetch-site": "none"})
    assert answer.status == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert cookie.startswith("privet-8423=")


def test_used_token_opens_nothing():
    asker = Asker()
    path = f"/enter?token={asker.session.token}"
    assert asker.ask("GET", path).status == 303
    again = asker.ask("GET", path)
    assert again.status == 403
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("path", ["/", "/data", "/left", "/item?id=film-00001", "/nothing"])
def test_stolen_address_without_the_token_opens_nothing(path):
    asker = Asker()
    answer = asker.ask("GET", path)
    assert answer.status == 403
    assert not any(entry.title in answer.text for entry in asker.device.entries)


@pytest.mark.parametrize(
    "host",
    ["attacker.example:8423", "localhost:8423", "127.0.0.1:8423", "127.0.0.1", "[::1]:8423", "",
     None, f"{HOST}.attacker.example", HOST.removesuffix(":8423"), HOST.upper(), f"x.{HOST}"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/style.css", "/enter"])
def test_another_host_is_misdirected(asker, host, path):
    assert asker.ask("GET", path, {"host": host}).status == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of", ""])
@pytest.mark.parametrize("path", ["/", "/data", "/style.css"])
def test_read_from_another_site_is_refused(asker, site, path):
    assert asker.ask("GET", path, {"sec-fetch-site": site}).status == 403


@pytest.mark.parametrize("site", [None, "none", "same-origin"])
def test_read_by_the_owner_is_answered(asker, site):
    assert asker.ask("GET", "/data", {"sec-fetch-site": site}).status == 200


@pytest.mark.parametrize(
    ("site", "origin", "status"),
    [
        ("same-origin", "null", 303),  # what Chromium sends under no-referrer
        ("same-origin", None, 303),
        ("same-origin", f"http://{HOST}", 303),
        (None, f"http://{HOST}", 303),  # a browser without fetch metadata
        (None, None, 403),
        (None, "null", 403),
        ("none", None, 403),
        ("same-site", "http://127.0.0.1:9999", 403),
        ("cross-site", "null", 403),
        ("cross-site", f"http://{HOST}", 403),
        ("same-origin", "https://attacker.example", 403),
    ],
)
def test_form_is_taken_from_this_page_alone(asker, site, origin, status):
    headers = {"sec-fetch-site": site, "origin": origin}
    assert asker.post("/pause", {}, headers).status == status
    assert asker.device.paused == (status == 303)


@pytest.mark.parametrize("token", ["", "0" * 64, Session().form_token("/pause")])
def test_form_with_another_token_is_refused(asker, token):
    assert asker.post("/pause", {}, token=token).status == 403
    assert not asker.device.paused


def test_form_token_of_another_action_is_refused(asker):
    assert asker.post("/pause", {}, token=asker.session.form_token("/resume")).status == 403


def test_form_without_the_cookie_is_refused(asker):
    assert asker.post("/pause", {}, {"cookie": None}).status == 403
    assert asker.post("/pause", {}, {"cookie": "privet-8423=" + "a" * 43}).status == 403
    assert asker.post("/pause", {}, {"cookie": 'privet-8423="; \x00bad'}).status == 403
    assert not asker.device.paused


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""]
)
def test_other_kinds_of_form_are_refused(asker, kind):
    assert asker.post("/pause", {}, {"content-type": kind}).status == 415


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 50)])
def test_bytes_that_are_no_form_are_refused(asker, body):
    assert asker.ask("POST", "/pause", FORM, body).status == 415


def test_form_that_is_too_long_is_refused(asker):
    assert asker.ask("POST", "/save", FORM, b"a" * (MAX_FORM_BYTES + 1)).status == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_other_methods_are_refused(asker, method):
    assert asker.ask(method, "/").status == 405


def test_page_is_not_changed_by_reading_its_forms(asker):
    for path in ("/pause", "/less", "/save", "/forget", "/again", "/resume", "/close"):
        assert asker.ask("GET", path).status == 405
    assert not asker.stopped


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [("GET", "/", {}), ("GET", "/style.css", {}), ("GET", "/nothing", {}), ("PUT", "/", {}),
     ("GET", "/", {"host": "x"}), ("GET", "/", {"cookie": None}), ("POST", "/pause", {})],
)  # fmt: skip
def test_every_answer_carries_the_headers(asker, method, path, headers):
    answer = asker.ask(method, path, headers)
    for name, value in HEADERS.items():
        assert answer.headers[name.lower()] == value


def test_policy_allows_no_script_and_no_other_origin():
    policy = HEADERS["Content-Security-Policy"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


def test_refusal_says_nothing_about_the_owner(asker):
    answer = asker.ask("GET", "/data", {"cookie": None})
    words = visible(answer.text)
    assert "privet client ui" in words
    assert "My data" not in words
    assert "form-token" not in answer.text


async def _nothing(*_):
    raise AssertionError("the page was reached")


def test_web_socket_is_closed():
    import asyncio

    sent = []

    async def send(message):
        sent.append(message)

    guard = Guard(_nothing, session=Session(), host=HOST, refuse=_nothing)
    asyncio.run(guard({"type": "websocket"}, _nothing, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
