# SPDX-License-Identifier: Apache-2.0
"""Every page: what it shows, that it is whole HTML for a screen reader, that texts are escaped."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

import client.page.app as app
from client.device import PublicComment
from client.texts import Texts, languages, texts
from shared.errors import VerificationError
from tests.client.made import MemoryDevice, resident
from tests.client.page.asked import Asker, visible

EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"
PATHS = ["/", "/?mix=6", "/comments", "/rate", "/rate?query=the", "/item?id=film-00001",
         "/data", "/left", "/budget", "/device", "/leave", "/erase"]  # fmt: skip
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Outline(HTMLParser):
    """Checks that tags nest, and collects what assistive technology needs."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.ids, self.labels = [], [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.found.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label":
            self.labels.add(given["for"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *tags):
        return [given for tag, given in self.found if tag in tags]


@pytest.fixture
def asker():
    return Asker().enter()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("state", ["joined", "alone", "empty"])
def test_page_is_whole_and_reads_aloud(path, state):
    device = resident(joined=state == "joined", model=state == "joined",
                      ratings=0 if state == "empty" else 12)  # fmt: skip
    answer = Asker(device).enter().ask("GET", path)
    assert answer.status == 200
    outline = Outline(answer.text)
    assert len(outline.all("main")) == len(outline.all("h1")) == 1
    assert outline.all("html")[0]["lang"] == "en"
    assert outline.all("nav")[0]["aria-label"]
    assert len(outline.ids) == len(set(outline.ids))
    named = [given for given in outline.all("input", "select", "textarea")
             if given.get("type") != "hidden"]  # fmt: skip
    assert {given["id"] for given in named} == outline.labels
    assert all("alt" in given for given in outline.all("img"))
    assert not outline.all("script", "iframe", "object", "embed", "base")
    assert not [given for _, given in outline.found if any(k.startswith("on") for k in given)]
    assert not [given for _, given in outline.found if "style" in given]


@pytest.mark.parametrize("path", PATHS)
def test_every_form_carries_its_token(asker, path):
    text = asker.ask("GET", path).text
    forms = re.findall(r'<form method="post" action="([^"]+)".*?</form>', text, re.DOTALL)
    blocks = re.findall(r'<form method="post".*?</form>', text, re.DOTALL)
    assert len(forms) == len(blocks) > 0
    for action, block in zip(forms, blocks, strict=True):
        assert f'value="{asker.session.form_token(action)}"' in block


@pytest.mark.parametrize("path", PATHS)
def test_headings_leave_no_level_out(asker, path):
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", asker.ask("GET", path).text)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("path", PATHS)
def test_every_word_of_a_page_comes_from_the_table(monkeypatch, path):
    table = texts("en")
    plain = ("date.months", "list.comma")
    hidden = {k: v if k in plain else f"⟦{v}⟧" for k, v in table._table.items()}
    monkeypatch.setattr(app, "texts", lambda language: Texts("en", hidden))
    asker = Asker(resident(ratings=8)).enter()
    left = re.sub(r"⟦[^⟦⟧]*⟧", "", _innermost(visible(asker.ask("GET", path).text)))
    device = asker.device
    known = [*device.catalogue.titles, *device.basis.category_names]
    known += [comment.text for comment in device.public_comments]
    known += [entry.comment for entry in device.entries if entry.comment]
    for receipt in device.receipts():  # what the signed policy and the door wrote
        known += [receipt.to, receipt.run, receipt.purpose, receipt.protection, receipt.reason]
        known += [", ".join(receipt.contains), ", ".join(receipt.excludes), receipt.payload]
    for said in sorted(filter(None, known), key=len, reverse=True):
        left = left.replace(said, "")
    left = re.sub(r"\b\d+(\.\d)? [KM]?B\b", "", left)
    assert not re.search(r"[A-Za-z]{3,}", left.replace("Privet", "")), left


def _innermost(text):
    """Take sentences inside sentences out, the inner ones first."""
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = shorter
    return text


def test_today_gives_ten_cards_with_reasons(asker):
    text = asker.ask("GET", "/").text
    assert text.count("<article") == 10
    assert "which you rated" in text


def test_today_without_ratings_points_to_rating():
    text = Asker(resident(ratings=0)).enter().ask("GET", "/").text
    assert 'href="/rate"' in text
    assert text.count("<article") == 10


def test_today_says_whether_a_shared_model_arrived():
    with_model = visible(Asker(resident()).enter().ask("GET", "/").text)
    without = visible(Asker(resident(model=False)).enter().ask("GET", "/").text)
    assert "With the shared model" in with_model
    assert "No shared model has arrived yet" in without


def test_less_like_this_changes_the_list_and_can_be_taken_back(asker):
    first = re.search(r'href="/item\?id=(film-\d+)"', asker.ask("GET", "/").text)
    assert first is not None
    assert asker.post("/less", {"item": first[1]}).headers["location"] == "/"
    page = asker.ask("GET", "/").text
    assert f'href="/item?id={first[1]}"' not in page
    assert "You will see less like" in visible(page)
    assert "You will see less like" not in visible(asker.ask("GET", "/").text)
    assert "Show again" in visible(asker.ask("GET", "/data").text)
    asker.post("/again", {"item": first[1]})
    assert f'href="/item?id={first[1]}"' in asker.ask("GET", "/").text


def test_rating_is_saved_shown_and_forgotten(asker):
    item = asker.device.catalogue.item_ids[_unrated(asker.device)]
    saved = asker.post("/save", {"item": item, "stars": "4", "comment": "One.\r\nTwo."})
    assert saved.headers["location"] == f"/item?id={item}"
    entry = asker.device.entries[-1]
    assert (entry.item, entry.stars, entry.comment) == (item, 4.0, "One.\nTwo.")
    assert "One.\nTwo." in asker.ask("GET", "/data").text
    asker.post("/forget", {"item": item})
    assert item not in {entry.item for entry in asker.device.entries}


@pytest.mark.parametrize("fields", [{"stars": "9"}, {"stars": "four"}, {"stars": ""}, {}])
def test_bad_rating_is_told_and_nothing_is_saved(asker, fields):
    item = asker.device.catalogue.item_ids[_unrated(asker.device)]
    before = asker.device.entries
    answer = asker.post("/save", {"item": item, **fields})
    assert answer.status == 303
    assert "That did not work" in visible(asker.ask("GET", answer.headers["location"]).text)
    assert asker.device.entries == before


def test_unknown_item_is_missing(asker):
    assert asker.ask("GET", "/item?id=nothing").status == 404
    assert asker.ask("GET", "/item").status == 404
    assert asker.ask("GET", "/publish?item=film-00001").status == 404
    assert asker.post("/less", {"item": "nothing"}).status == 303


def test_why_adds_up(asker):
    item = asker.device.catalogue.item_ids[_unrated(asker.device)]
    text = asker.ask("GET", f"/item?id={item}").text
    numbers = [float(number.replace("−", "-")) for number in
               re.findall(r'<td class="number">([+−]?\d+\.\d\d)</td>', text)]  # fmt: skip
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.005 * len(numbers))


def test_search_finds_the_beginning_first(asker):
    title = asker.device.catalogue.titles[5]
    text = visible(asker.ask("GET", f"/rate?query={title[:6].upper()}").text)
    assert title in text
    assert "No title contains" in visible(asker.ask("GET", "/rate?query=qqqq").text)


def test_reading_comments_is_noted_on_the_device_alone(asker):
    row = asker.device.public_comments[0].row
    item = asker.device.catalogue.item_ids[row]
    asker.ask("GET", f"/item?id={item}")
    asker.ask("GET", f"/item?id={item}&from=comments")
    assert asker.device.acts == [(row, "seen"), (row, "opened")]


def test_texts_of_others_are_escaped(asker):
    device = asker.device
    row = device.entries[0].row
    titles = tuple(EVIL for _ in device.catalogue.titles)
    device.catalogue = replace(device.catalogue, titles=titles)
    device.model = replace(device.model, catalogue=device.catalogue)
    device.public_comments = (PublicComment(row, EVIL, EVIL, 1.0),)
    device.kept = {r: replace(e, title=EVIL, comment=EVIL) for r, e in device.kept.items()}
    item = device.catalogue.item_ids[row]
    for path in [*PATHS, f"/item?id={item}", f"/publish?item={item}", f"/rate?query={EVIL[:8]}"]:
        text = asker.ask("GET", path).text
        assert "<script" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in asker.ask("GET", "/data").text


def test_address_of_an_item_holds_any_character():
    from client.page.shown import item_path

    assert item_path('a/b?c&d="é"') == "/item?id=a%2Fb%3Fc%26d%3D%22%C3%A9%22"


def test_pause_and_resume(asker):
    asker.post("/pause", {})
    assert asker.device.paused
    assert 'action="/resume"' in asker.ask("GET", "/device").text
    asker.post("/resume", {})
    assert not asker.device.paused


def test_leave_asks_first(asker):
    assert "cannot be taken out of a model" in visible(asker.ask("GET", "/leave").text)
    assert asker.device.joined
    asker.post("/leave", {})
    assert not asker.device.joined
    assert "Takes part in nothing" in visible(asker.ask("GET", "/device").text)


def test_erase_needs_the_word_and_ends_the_page(asker):
    assert asker.post("/erase", {"word": "yes"}).status == 303
    assert not asker.device.erased
    answer = asker.post("/erase", {"word": " Erase "})
    assert asker.device.erased
    assert "The key was destroyed" in visible(answer.text)
    assert asker.stopped == [True]
    assert "The key was destroyed" in visible(asker.ask("GET", "/data").text)


def test_close_ends_the_page_and_keeps_the_data(asker):
    assert "stay on this device" in visible(asker.post("/close", {}).text)
    assert asker.stopped == [True]
    assert len(asker.device.entries) == 24


def test_publish_shows_the_words_and_the_warning(asker):
    item = next(entry.item for entry in asker.device.entries if entry.comment)
    text = visible(asker.ask("GET", f"/publish?item={item}").text)
    assert "cannot be taken back for sure" in text
    asker.post("/publish", {"item": item})
    assert next(entry for entry in asker.device.entries if entry.item == item).published
    assert "Withdraw my published comment" in visible(asker.ask("GET", f"/item?id={item}").text)
    asker.post("/withdraw", {"item": item})
    assert not next(entry for entry in asker.device.entries if entry.item == item).published


def test_left_lists_receipts_the_newest_first(asker):
    text = visible(asker.ask("GET", "/left").text)
    assert text.index("30 Sep 2026") < text.index("21 Sep 2026")
    assert "charged, unused" in text
    assert "fewer than 200 devices in the sum" in text
    assert "never sent anything" in visible(
        Asker(resident(joined=False)).enter().ask("GET", "/left").text
    )


def test_budget_shows_the_odds_and_the_lying_operator(asker):
    text = visible(asker.ask("GET", "/budget").text)
    for words in ("ε = 2 at δ = 1e-6", "9 % of it is used", "Right at most 59 times in 100",
                  "right at most 53 times in 100", "up to 99.91 times in 100",
                  "88.1 %"):  # fmt: skip
        assert words in text
    alone = Asker(resident(joined=False)).enter().ask("GET", "/budget").text
    assert "takes part in nothing" in visible(alone)


@pytest.mark.parametrize(
    ("guess", "said"),
    [(0.5, "up to 50 times"), (0.871, "up to 88 times"), (0.9991, "up to 99.91 times"),
     (1.0, "up to more than 99.999 times")],
)  # fmt: skip
def test_lying_operator_never_reads_certain(asker, monkeypatch, guess, said):
    before = MemoryDevice.status
    monkeypatch.setattr(
        MemoryDevice, "status", lambda self: replace(before(self), guess_lying=guess, epsilon=99.0)
    )
    text = visible(asker.ask("GET", "/budget").text)
    assert said in text
    assert "becomes more than 99.999 %" in text


@pytest.mark.parametrize("language", languages())
def test_every_page_is_whole_in_every_language(asker, language):
    for path in PATHS:
        answer = asker.ask("GET", path, {"accept-language": language})
        assert answer.status == 200
        assert Outline(answer.text).all("html")[0]["lang"] == language


def test_page_speaks_the_language_of_the_browser(asker):
    page = asker.ask("GET", "/", {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}).text
    assert '<html lang="zh">' in page
    assert "今日推荐" in page
    assert "For you" not in visible(page)


def test_demo_policy_is_named_on_every_page():
    class Demo(MemoryDevice):
        def status(self):
            return replace(super().status(), demo=True)

    asker = Asker(Demo()).enter()
    assert all("DEMO" in asker.ask("GET", path).text for path in PATHS)


def test_error_of_the_device_becomes_a_page(asker, monkeypatch):
    def damaged(self):
        raise VerificationError("the store must be as it was sealed.", hint="restore a copy.")

    monkeypatch.setattr(MemoryDevice, "receipts", damaged)
    answer = asker.ask("GET", "/left")
    assert answer.status == 500
    assert "must be as it was sealed. restore a copy." in visible(answer.text)
    assert answer.headers["content-security-policy"]


def test_defect_becomes_a_page_without_its_message(asker, monkeypatch):
    def broken(self, *_):
        raise KeyError("a private word")

    monkeypatch.setattr(MemoryDevice, "receipts", broken)
    monkeypatch.setattr(MemoryDevice, "hide", broken)
    for answer in (asker.ask("GET", "/left"), asker.post("/less", {"item": "film-00001"})):
        assert answer.status == 500
        assert "KeyError" in visible(answer.text)
        assert "private word" not in answer.text
        assert answer.headers["content-security-policy"]


def test_moved_device_is_shown_and_changed_no_more(asker, monkeypatch):
    before = MemoryDevice.status
    monkeypatch.setattr(MemoryDevice, "status", lambda self: replace(before(self), moved=True))
    row = asker.device.public_comments[0].row
    page = asker.ask("GET", f"/item?id={asker.device.catalogue.item_ids[row]}")
    assert "was moved to another one" in visible(page.text)
    assert asker.device.acts == []


def _unrated(device):
    return next(row for row in range(90) if row not in device.kept)
