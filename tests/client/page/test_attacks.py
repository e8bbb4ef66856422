# SPDX-License-Identifier: Apache-2.0
"""Somebody else's page, a stolen address and a rebound name, in a real Chromium."""

import time
import urllib.error
import urllib.request

import pytest

from tests.client.page.hostile import ACTIONS, READS, hostile_site

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By

NEIGHBOURS = ("127.0.0.1", "localhost", "attacker.localhost", "attacker.example")
"""Another port of this machine under three names, and a site of the internet."""


def _state(device):
    return (device.entries, device.unwanted, device.paused, device.joined, device.erased)


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_page_of_another_origin_gets_nothing(browser, running, name):
    browser.get(running.address)
    before, answered = _state(running.device), len(running.answers)
    with hostile_site() as site:
        site.target = running.base
        browser.get(f"http://{name}:{site.port}/")
        deadline = time.monotonic() + 90
        while browser.title != "finished" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert browser.title == "finished"
        browser.get("about:blank")
    assert len(site.seen) == 4 * len(ACTIONS) + 6 * len(READS) + 1 == 93
    assert {what for _, what in site.seen} <= {"blocked", "opaque", "hidden", "no answer"}
    assert all(cookie == "" for cookie in site.cookies)
    hits = [hit for hit in running.answers[answered:] if hit[1] != "same-origin"]
    assert len(hits) > 40
    assert {status for _, _, status in hits} == {403}
    assert _state(running.device) == before
    browser.get(f"{running.base}/data")  # the owner's own session is as it was
    assert "My data" in browser.title


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_link_on_another_page_opens_nothing(browser, running, name):
    browser.get(running.address)
    with hostile_site() as site:
        site.target = "http://127.0.0.1:1"
        browser.get(f"http://{name}:{site.port}/")
        browser.execute_script(f"location.href = {running.base + '/data'!r}")
        _wait_for(browser, "closed to this request")


def test_stolen_address_without_the_token_opens_nothing(browser, running):
    browser.get(running.address)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get(f"{running.base}/data")
    assert "closed to this request" in browser.title
    assert not browser.find_elements(By.TAG_NAME, "form")


def test_address_that_was_used_opens_nothing(browser, running):
    browser.get(running.address)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get(running.address)
    assert "used already" in browser.find_element(By.TAG_NAME, "main").text
    browser.get(running.base)
    assert "closed to this request" in browser.title


def test_rebound_name_opens_nothing(browser, running):
    browser.get(running.address)
    port = running.base.rpartition(":")[2]
    for path in ("/", "/data", "/enter?token=x"):
        browser.get(f"http://rebound.example:{port}{path}")
        assert "closed to this request" in browser.title
    assert {status for _, _, status in running.answers if status >= 400} == {421}


def test_cookie_is_out_of_reach_of_scripts(browser, running):
    browser.get(running.address)
    assert browser.execute_script("return document.cookie") == ""
    (cookie,) = browser.get_cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


def test_no_other_interface_answers(running):
    port = int(running.base.rpartition(":")[2])
    assert running.address.startswith("http://privet-")
    for host in ("127.0.0.2", "[::1]"):
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://{host}:{port}/", timeout=2)


def _wait_for(browser, words):
    deadline = time.monotonic() + 20
    while words not in browser.title and time.monotonic() < deadline:
        time.sleep(0.05)
    assert words in browser.title
