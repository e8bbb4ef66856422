# SPDX-License-Identifier: Apache-2.0
"""The page of a real device that takes part: its receipts, its budget, its end."""

import re
from fractions import Fraction

import pytest

from client.device import Device
from client.receipts import Receipt
from shared.privacy.door import Contribution
from tests.client.made_store import joined, question, view
from tests.client.page.asked import Asker, visible
from tests.client.page.test_pages import PATHS, Outline


@pytest.fixture
def asker(device: Device) -> Asker:
    """A device that answered twice, refused once and charged once unused."""
    for row in range(12):
        device.rate(row, float(1 + row % 5), "A word of mine." if row % 4 == 0 else None)
    joined(device)
    items = len(device.catalogue)
    for round_ in (1, 2, 3):
        session = f"s{round_}"
        given = device.answer(question(items, round_), view(items), session, now=2000 * round_)
        assert isinstance(given, Contribution)
        if round_ < 3:
            device.sent(session, 4 * 2 * items, to="server.example")
        else:
            device.abort(session)
    device.answer(question(items, 4, rho=Fraction(2)), view(items), "s4", now=9000)
    return Asker(device).enter()


@pytest.mark.parametrize("path", PATHS)
def test_every_page_of_a_sealed_device_is_whole(asker, path):
    answer = asker.ask("GET", path)
    assert answer.status == 200
    assert len(Outline(answer.text).all("h1")) == 1


def test_left_says_what_the_receipts_say(asker):
    text = visible(asker.ask("GET", "/left").text)
    assert "2 updates" in text
    assert "in a sum of at least 450 devices" in text
    assert text.count("Learn how well each item is liked") == 4
    for words in ("server.example", "charged, unused", "refused by this device",
                  "user vector, profile", "Refused because"):  # fmt: skip
        assert words in text
    receipts: list[Receipt] = list(asker.device.receipts())
    assert all(receipt.payload in text for receipt in receipts)


def test_cost_of_each_receipt_adds_up_to_what_is_spent(asker):
    text = asker.ask("GET", "/left").text
    costs = [float(cost) for cost in re.findall(r'class="number">([\d.]+) %</td>', text)]
    assert len(costs) == 3
    assert sum(costs) == pytest.approx(100 * asker.device.status().spent, abs=0.2)


def test_budget_says_what_the_status_says(asker):
    status = asker.device.status()
    text = visible(asker.ask("GET", "/budget").text)
    assert f"ε = {status.epsilon:.3g}" in text
    assert "Example Org can see that this device takes part" in text
    assert 0.5 < status.guess < status.guess_lying


def test_leaving_keeps_the_receipts(asker):
    asker.post("/leave", {})
    assert "Takes part in nothing" in visible(asker.ask("GET", "/device").text)
    assert "server.example" in visible(asker.ask("GET", "/left").text)
    assert "takes part in nothing" in visible(asker.ask("GET", "/budget").text)


def test_reading_is_sealed_and_forgotten_with_the_item(asker):
    device: Device = asker.device
    before = device.history.comment_acts
    assert before is None
    asker.ask("GET", f"/item?id={device.catalogue.item_ids[0]}")  # no public comments: no act
    assert device.history.comment_acts is None


def test_erasing_takes_the_folder(asker):
    folder = asker.device.folder
    answer = asker.post("/erase", {"word": "erase"})
    assert "The key was destroyed" in visible(answer.text)
    assert not folder.exists()
    assert asker.ask("GET", "/data").status == 200  # the last words, from memory
