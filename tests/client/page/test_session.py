# SPDX-License-Identifier: Apache-2.0
from client.page.session import Session


def test_token_opens_one_session_once():
    session = Session()
    token = session.token
    cookie = session.enter(token)
    assert cookie
    assert session.knows(cookie)
    assert session.enter(token) is None
    assert session.knows(cookie)


def test_empty_words_open_nothing():
    session = Session()
    assert session.enter("") is None
    assert not session.knows("")
    session.enter(session.token)
    assert session.enter("") is None
    assert not session.knows("")


def test_any_text_from_outside_is_compared():
    session = Session()
    assert session.enter("é\ud800" * 1000) is None
    assert not session.knows("é")
    assert not session.form_holds("/save", "\udcff")


def test_form_token_opens_its_action_alone():
    session = Session()
    token = session.form_token("/save")
    assert session.form_holds("/save", token)
    assert not session.form_holds("/erase", token)
    assert not Session().form_holds("/save", token)


def test_notice_is_told_once():
    session = Session()
    session.tell("notice.rated", title="Tea")
    first = session.told()
    assert first is not None
    assert first.values == {"title": "Tea"}
    assert session.told() is None
