# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: the main path, by mouse and by keys, and its pictures."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from client.device import PublicComment

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
staleness_of = pytest.importorskip("selenium.webdriver.support.expected_conditions").staleness_of
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

PICTURES = Path(__file__).parents[3] / "docs" / "images"
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
PAGES = ("", "comments", "rate?query=the", "data", "left", "budget", "device")
WIDTHS = (360, 1280)


def _text(browser, selector="main"):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def _go(browser, act):
    """Do what leads to another page, and wait for it."""
    page = browser.find_element(By.TAG_NAME, "html")
    act()
    WebDriverWait(browser, 20).until(staleness_of(page))


def _click(browser, selector):
    _go(browser, browser.find_element(By.CSS_SELECTOR, selector).click)


def _resize(browser, width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _theme(browser, name):
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_main_path(browser, running):
    browser.get(running.address)
    assert "token" not in browser.current_url
    assert browser.find_element(By.TAG_NAME, "h1").text == "For you today"
    cards = browser.find_elements(By.CSS_SELECTOR, ".card h2 a")
    assert len(cards) == 10
    first = cards[0].text
    _go(browser, cards[0].click)
    assert browser.find_element(By.TAG_NAME, "h1").text == first
    browser.find_element(By.CSS_SELECTOR, "label[for=stars-5]").click()
    browser.find_element(By.ID, "comment").send_keys("Well worth it.\nTwice.")
    _click(browser, "form[action='/save'] button")
    assert "Saved on this device" in _text(browser, "[role=status]")
    entry = running.device.entries[-1]
    assert (entry.title, entry.stars, entry.comment) == (first, 5.0, "Well worth it.\nTwice.")
    _go(browser, browser.find_element(By.LINK_TEXT, "For you").click)
    assert first not in [card.text for card in browser.find_elements(By.CSS_SELECTOR, ".card h2")]
    second = browser.find_elements(By.CSS_SELECTOR, ".card h2 a")[0].text
    _click(browser, f"[aria-label='Less like {second}']")
    assert "You will see less like" in _text(browser, "[role=status]")
    _go(browser, browser.find_element(By.LINK_TEXT, "My data").click)
    _click(browser, f"[aria-label='Forget {first}']")
    assert "Forgotten" in _text(browser, "[role=status]")
    assert len(running.device.entries) == 24
    _go(browser, browser.find_element(By.LINK_TEXT, "Device").click)
    _click(browser, "form[action='/pause'] button")
    assert running.device.paused
    assert all(status < 400 for _, _, status in running.answers)


def test_erase_ends_the_page(browser, running):
    browser.get(running.address)
    browser.get(f"{running.base}/erase")
    word = browser.find_element(By.ID, "word")
    _go(browser, lambda: word.send_keys("erase", Keys.ENTER))
    assert "The key was destroyed" in _text(browser)
    assert running.device.erased


def test_keys_alone_rate_an_item(browser, running):
    browser.get(running.address)
    item = browser.find_elements(By.CSS_SELECTOR, ".card h2 a")[3].get_attribute("href")
    browser.get(item)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    active = browser.switch_to.active_element
    assert active.text == "Skip to the content"
    assert active.rect["y"] >= 0  # visible once focused
    active.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    stars = browser.switch_to.active_element
    assert stars.get_attribute("name") == "stars"
    stars.send_keys(Keys.SPACE)
    stars.send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys("By keys", Keys.TAB)
    button = browser.switch_to.active_element
    _go(browser, lambda: button.send_keys(Keys.ENTER))
    entry = running.device.entries[-1]
    assert (entry.stars, entry.comment) == (2.0, "By keys")


def test_focus_is_seen_on_everything_that_takes_it(browser, running):
    browser.get(running.address)
    seen = browser.execute_script(
        "return [...document.querySelectorAll('a, button, select')].map(e => {"
        " e.focus({focusVisible: true}); return getComputedStyle(e).outlineStyle; })"
    )
    assert set(seen) == {"solid"}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(browser, running, width):
    browser.get(running.address)
    _resize(browser, width)
    for path in PAGES:
        browser.get(f"{running.base}/{path}")
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, path


def test_targets_are_large_enough_for_a_thumb(browser, running):
    browser.get(running.address)
    _resize(browser, 360)
    for path in PAGES:
        browser.get(f"{running.base}/{path}")
        sizes = browser.execute_script(
            "return [...document.querySelectorAll('button, .button, nav a, select')]"
            ".map(e => [e.textContent, e.getBoundingClientRect().height])"
        )
        assert all(height >= 24 for _, height in sizes), sizes  # WCAG 2.2, 2.5.8


def test_nothing_is_asked_of_another_host(browser, running):
    browser.get(running.address)
    for path in PAGES:
        browser.get(f"{running.base}/{path}")
        loaded = browser.execute_script(
            "return performance.getEntriesByType('resource').map(e => e.name)"
        )
        assert loaded
        assert all(name.startswith(running.base) for name in loaded)
        assert browser.execute_script("return document.scripts.length") == 0


def test_script_in_titles_and_comments_does_not_run(browser, running):
    device = running.device
    device.catalogue = replace(
        device.catalogue, titles=tuple(f"{EVIL} {row}" for row in range(len(device.catalogue)))
    )
    device.model = replace(device.model, catalogue=device.catalogue)
    device.kept = {r: replace(e, title=EVIL, comment=EVIL) for r, e in device.kept.items()}
    row = device.entries[0].row
    device.public_comments = tuple(PublicComment(row, EVIL, EVIL, 3.0) for _ in range(5))
    item = device.catalogue.item_ids[row]
    browser.get(running.address)
    for path in (*PAGES, f"item?id={item}", f"publish?item={item}"):
        browser.get(f"{running.base}/{path}")
        assert "owned" not in browser.title or EVIL in browser.title
        assert browser.execute_script("return document.scripts.length") == 0
        assert not browser.find_elements(By.CSS_SELECTOR, "img[src='x']")
    assert not [path for path, _, _ in running.answers if path == "/x"]
    assert EVIL in _text(browser)


def test_policy_stops_script_that_got_into_a_page(browser, running, monkeypatch):
    """Even if a text were not escaped one day, no script of it would run."""
    import client.page.app as app

    def careless(self, request, name, status=200, **values):
        return app.HTMLResponse(f"<title>safe</title><p>{EVIL}</p><a href='javascript:1'>x</a>")

    monkeypatch.setattr(app.Page, "render", careless)
    browser.get(running.address)
    assert browser.title == "safe"


@pytest.mark.parametrize(
    ("name", "path", "width", "theme"),
    [
        ("today", "", 1280, "light"),
        ("today-narrow", "", 360, "light"),
        ("today-dark", "", 1280, "dark"),
        ("item", "item?id={unrated}", 1280, "light"),
        ("comments", "comments", 1280, "light"),
        ("left", "left", 1280, "light"),
        ("budget", "budget", 1280, "light"),
        ("data-narrow", "data", 360, "dark"),
    ],
)
def test_pictures_of_the_documentation(browser, running, tmp_path, name, path, width, theme):
    """With PRIVET_PICTURES=1 the pictures in docs/images are made anew."""
    browser.get(running.address)
    _theme(browser, theme)
    _resize(browser, width, 1000 if width > 600 else 860)
    unrated = browser.find_elements(By.CSS_SELECTOR, ".card h2 a")[1].get_attribute("href")
    browser.get(f"{running.base}/{path.format(unrated=unrated.partition('id=')[2])}")
    folder = PICTURES if os.environ.get("PRIVET_PICTURES") else tmp_path
    file = folder / f"page-{name}.png"
    assert browser.save_screenshot(str(file))
    with Image.open(file) as picture:  # flat colours: a palette loses nothing that is seen
        small = picture.convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=0)
    small.save(file, optimize=True)
    assert 5_000 < file.stat().st_size < 120_000
