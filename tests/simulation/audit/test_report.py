# SPDX-License-Identifier: Apache-2.0
"""A report says what its ledger says, the same way twice, and a changed one is refused."""

import gzip
import json
import re
from fractions import Fraction

import pytest

from privet import main
from shared.errors import VerificationError
from shared.ledger import chain
from shared.ledger.replay import replay
from shared.privacy.accountant import epsilon
from simulation.audit import pictures, registry, report
from simulation.audit.facts import gather
from simulation.audit.figures import bound
from tests.shared.ledger import made


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


POLICY = '{"justification": "a test", "purpose": "films"}'


def make_run(folder, rounds=40, **opening):
    opening.setdefault("policy", made.digest(POLICY))
    made.write(folder / "ledger", made.history(rounds, **opening))
    report.save_key(folder / report.RUN_KEY, made.KEY)
    (folder / "config.toml").write_text('tuning = "chosen on generated data"\nlr = 0.5\n')
    (folder / "env.json").write_text('{"python": "3.11", "load": 0.25}')
    (folder / "policy.json").write_text(POLICY)
    (folder / "model.safetensors").write_bytes(b"file")  # made.history releases this file
    return folder


@pytest.fixture
def page(run, tmp_path):
    return report.write(run, tmp_path / "r.html").html


def test_report_is_byte_identical_when_made_twice(run, tmp_path):
    first, second = (report.write(run, tmp_path / name) for name in ("a.html", "b.html"))
    for one, two in zip(
        (first.html, first.json, first.signature),
        (second.html, second.json, second.signature),
        strict=True,
    ):
        assert one.read_bytes() == two.read_bytes()


def test_report_is_small_and_has_no_script(page):
    text = page.read_text("utf-8")
    assert len(text.encode()) <= report.MAX_HTML_BYTES
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)  # nothing is fetched from elsewhere


def test_report_of_many_rounds_stays_small(tmp_path):
    run = make_run(tmp_path / "long", rounds=600, rho_cap="20")
    done = report.write(run, tmp_path / "long.html")
    assert done.bytes <= report.MAX_HTML_BYTES
    assert report.verify(done.html).book.rounds == 600


def test_verify_accepts_the_page_and_replays_its_epsilon(page):
    assert f"ε = {bound(report.verify(page).epsilon)}" in page.read_text("utf-8")


def test_verify_needs_nothing_but_page_and_signature(page):
    page.with_suffix(".json").unlink()
    assert report.verify(page).records == 82


def _edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_verify_refuses_a_page_that_says_less(page):
    _edit(page, b"5.681", b"1.681")
    with pytest.raises(VerificationError, match="page must say"):
        report.verify(page)


def test_verify_refuses_a_changed_picture(page):
    _edit(page, b"% left", b"% gone")
    with pytest.raises(VerificationError, match="pictures must show"):
        report.verify(page)


def test_verify_refuses_a_resigned_summary_that_does_not_follow(run, tmp_path):
    facts = gather(run)
    facts["replay"]["epsilon"] = "1.0"
    out = _resigned(facts, tmp_path / "forged.html")
    with pytest.raises(VerificationError, match="`replay` does not"):
        report.verify(out)


def test_verify_refuses_another_signer_and_a_missing_signature(run, tmp_path):
    done = report.write(run, tmp_path / "o.html", key=made.OTHER_KEY)
    with pytest.raises(VerificationError, match="must be signed by"):
        report.verify(done.html)
    report.verify(done.html, key=report.public_hex(made.OTHER_KEY))
    done.signature.unlink()
    with pytest.raises(VerificationError, match="missing"):
        report.verify(done.html)


def test_report_carries_the_policy_and_its_hash(run, page):
    text = page.read_text("utf-8")
    assert made.digest(POLICY) in text
    facts = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert facts["policy"] == POLICY
    assert facts["model"]["sha256"] == made.digest("file")
    assert report.verify(page).policy_compared


@pytest.mark.parametrize("field", ["policy", "model", "config"])
def test_verify_refuses_a_resigned_report_with_another_policy_or_model(run, tmp_path, field):
    """Whoever holds the ledger's key makes facts and page anew around what they changed."""
    facts = gather(run)
    if field == "policy":
        facts["policy"] = POLICY.replace("films", "goods")
    elif field == "model":
        facts["model"]["sha256"] = made.digest("another file")
    else:
        facts["stated"]["config"]["tuning"] = "none"
    with pytest.raises(VerificationError) as caught:
        report.verify(_resigned(facts, tmp_path / "forged.html"))
    assert field != "policy" or (caught.value.record, caught.value.field) == (0, "policy")


@pytest.mark.parametrize(
    ("name", "value"),
    [("extra", "all is well"), ("policy", 1), ("model", []), ("stated", {}), ("drawn_by", None),
     ("ledger", {}), ("ledger", {"../x": []}), ("ledger", {"records.jsonl": "a"})],
)  # fmt: skip
def test_verify_refuses_facts_that_are_not_a_reports(run, page, name, value):
    """Signatures are checked last, so a stranger's JSON must not end in a crash."""
    facts = json.loads(page.with_suffix(".json").read_text("utf-8")) | {name: value}
    page.with_suffix(".json").write_bytes(report.canonical(facts))
    page.write_text(report._EMBEDDED.sub("", page.read_text("utf-8")), "utf-8")
    with pytest.raises(VerificationError):
        report.verify(page)


def _resigned(facts, out):
    facts.setdefault("drawn_by", pictures.DRAWN_BY)
    body = report.canonical(facts)
    page = report.render(facts, body).encode()
    out.write_bytes(page)
    out.with_suffix(".json").write_bytes(body)
    out.with_suffix(".sig").write_bytes(report._sign(made.KEY, page, body))
    return out


@pytest.mark.parametrize("change", ["other", "absent"])
def test_report_of_a_run_with_another_policy_or_none_is_refused(run, tmp_path, change, capsys):
    (run / "policy.json").unlink()
    if change == "other":
        (run / "policy.json").write_text(POLICY + "\n")
    out = str(tmp_path / "r.html")
    assert main(["audit", "report", str(run), "--out", out]) == 15
    assert "record 0, field policy" in capsys.readouterr().err
    assert main(["audit", "replay", str(run), "--format", "json"]) == 15
    assert json.loads(capsys.readouterr().out)["field"] == "policy"


def test_report_of_a_bare_ledger_says_in_red_that_no_policy_was_compared(run, tmp_path):
    bare = (run / "ledger").rename(tmp_path / "bare")
    done = report.write(bare, tmp_path / "b.html", key=made.KEY)
    text = done.html.read_text("utf-8")
    assert 'policy</td><td><span class="missing">not stated' in text
    assert "policy.json was not at hand, so it was not compared" in text
    assert not report.verify(done.html).policy_compared


def test_report_of_a_torn_ledger_verifies_and_names_the_tail(run, tmp_path):
    with (run / "ledger" / chain.RECORDS).open("ab") as file:
        file.write(b'{"at":0,"b\xff')
    done = report.write(run, tmp_path / "t.html")
    assert "11 bytes of a record that was never finished" in done.html.read_text("utf-8")
    assert report.verify(done.html).torn_bytes == 11


@pytest.mark.parametrize("noise", ["none", "seeded"])
def test_report_without_privacy_says_so_in_its_first_line(tmp_path, noise):
    run = make_run(tmp_path / "run", noise=noise)
    text = report.write(run, tmp_path / "r.html").html.read_text("utf-8")
    first = text[text.index("<body") :].split("\n")[1]
    assert first.startswith('<p class="warning">No privacy:')


SERVER, CROOK = "a server that keeps to the protocol", "a server that breaks the protocol"
OTHERS, MODEL, WIRE = "other devices", "anybody who gets the model", "somebody on the network"
NOTHING = "no protection"
WHO_IS_PROTECTED = {
    "distributed": {
        SERVER: "5.681",
        CROOK: "555.7 for one round; 744.1 for all",
        OTHERS: "5.681",
        MODEL: "5.681",
        WIRE: "no content",
    },
    "central": {
        SERVER: NOTHING,
        CROOK: NOTHING,
        OTHERS: "5.681",
        MODEL: "5.681",
        WIRE: "no content",
    },
    "local": {
        SERVER: "5.681",
        CROOK: "4.7 for one round; 5.7 for all",
        OTHERS: "5.681",
        MODEL: "at most 5.681",
        WIRE: "no content",
    },
}
"""PRIVACY.md, section 11, for a run of ρ = 0.687: the same noise, held by others."""


def _rows(page, heading):
    """Return the first two columns of the first table below a heading."""
    below = page[page.index(heading) :]
    table = below[: below.index("</table>")]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr")]
    return {row[0]: re.sub("<[^>]+>", "", row[1]) for row in cells if row}


@pytest.mark.parametrize("trust", WHO_IS_PROTECTED)
def test_report_says_who_is_protected_from_whom(tmp_path, trust):
    run = make_run(tmp_path / "run", trust=trust)
    page = report.write(run, tmp_path / "r.html").html.read_text("utf-8")
    assert _rows(page, "Who is protected from whom") == WHO_IS_PROTECTED[trust]
    assert ("sum before noise" in page) == (trust == "central")
    assert "ε = 5.681" in page


def test_report_without_noise_protects_from_nobody(tmp_path):
    run = make_run(tmp_path / "run", noise="none")
    page = report.write(run, tmp_path / "r.html").html.read_text("utf-8")
    assert _rows(page, "Who is protected from whom") == {"everybody": NOTHING}
    assert "exact sum" in page


def test_own_share_of_noise_is_noise_shares_times_rho(run):
    """The worst number on the page, from the two numbers that it follows from."""
    found, worst = replay(run), gather(run)["protected"][1]["epsilon"]
    rho_round = 849 * Fraction(made.round_open(1, "item_sums", 20_000)["rho"])
    assert worst.startswith(f"{bound(epsilon(rho_round, 1e-5), 1)} for one round")
    assert worst.endswith(f"{bound(epsilon(849 * found.book.rho, 1e-5), 1)} for all")


HIDING = (
    "<svg><style>.warning{display:none}</style></svg>",
    '<svg style="position:fixed;top:0"></svg>',
    '<svg><g style="position:fixed"></g></svg>',
    "<svg><foreignObject><p>all is well</p></foreignObject></svg>",
    '<svg><image xlink:href="https://example.org/a.png"/></svg>',
    '<svg><use xlink:href="https://example.org/a.svg#b"/></svg>',
    '<svg onload="alert(1)"></svg>',
    '<svg><svg style="x:y"></svg></svg>',
)


def _with_picture(facts, out, picture):
    """A page whose first picture is another, signed again by whoever holds the ledger's key."""
    body = report.canonical(facts)
    page = report._PICTURE.sub(lambda _: picture, report.render(facts, body), count=1).encode()
    out.write_bytes(page)
    out.with_suffix(".json").write_bytes(body)
    out.with_suffix(".sig").write_bytes(report._sign(made.KEY, page, body))
    return out


@pytest.mark.parametrize("picture", ["<svg></svg>", HIDING[0]])
def test_verify_refuses_another_picture_in_a_resigned_report(run, tmp_path, picture):
    facts = gather(run) | {"drawn_by": pictures.DRAWN_BY}
    with pytest.raises(VerificationError, match="pictures must show"):
        report.verify(_with_picture(facts, tmp_path / "r.html", picture))


@pytest.mark.parametrize("picture", HIDING)
def test_picture_that_could_hide_the_words_of_a_page_is_not_harmless(picture):
    assert not pictures.harmless(picture)


def test_picture_of_another_version_may_differ_and_is_said_not_to_be_compared(
    run, tmp_path, capsys
):
    facts = gather(run) | {"drawn_by": "matplotlib 0.1"}
    page = _with_picture(facts, tmp_path / "r.html", "<svg><text>another font</text></svg>")
    assert main(["audit", "verify", str(page)]) == 0
    assert "pictures were drawn by another version" in capsys.readouterr().out
    with pytest.raises(VerificationError, match="pictures must show"):
        report.verify(_with_picture(facts, tmp_path / "bad.html", HIDING[0]))


def test_missing_field_is_red_and_strict_exits_10(tmp_path, capsys):
    run = make_run(tmp_path / "silent", policy=made.digest("{}"))
    (run / "policy.json").write_text("{}")
    out = tmp_path / "s.html"
    assert main(["audit", "report", str(run), "--out", str(out), "--strict"]) == 10
    assert 'why this ε</td><td><span class="missing">not stated' in out.read_text("utf-8")
    assert "not performed" in out.read_text("utf-8")
    assert "hint:" in capsys.readouterr().err


def test_private_folder_is_never_read(run, tmp_path):
    (run / "private" / "metrics.json").write_text('{"rmse": 0.123454321}')
    (run / "metrics.jsonl").write_text('{"full-view/rmse": 0.55555}\n')
    done = report.write(run, tmp_path / "p.html")
    everything = done.html.read_text("utf-8") + done.json.read_text("utf-8")
    assert "0.123454321" not in everything
    assert "0.55555" not in everything


def test_main_line_replays_reports_and_verifies(run, tmp_path, capsys):
    out = str(tmp_path / "m.html")
    assert main(["audit", "replay", str(run), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "holds"
    assert main(["audit", "report", str(run), "--out", out]) == 0
    assert main(["audit", "verify", out]) == 0


def test_replay_names_the_place_in_json(run, capsys):
    _edit(run / "ledger" / chain.RECORDS, b'"users":943', b'"users":944')
    assert main(["audit", "replay", str(run), "--format", "json"]) == 15
    assert json.loads(capsys.readouterr().out)["record"] == 1


@pytest.mark.parametrize("name", ["code", "canary", "attack"])
def test_reserved_audits_exit_2_with_a_hint(name, capsys):
    assert main(["audit", name, "run"]) == 2
    assert "hint:" in capsys.readouterr().err


def test_cosign_keeps_a_copy_that_catches_a_rewritten_history(run, tmp_path, capsys):
    key, own = tmp_path / "me.pem", tmp_path / "own.jsonl"
    report.save_key(key, made.OTHER_KEY)
    assert main(["audit", "cosign", str(run), "--key", str(key), "--out", str(own)]) == 0
    (run / "ledger" / chain.COSIGNATURES).unlink()
    made.forge(run / "ledger", made.history(40, users=944, policy=made.digest(POLICY)))
    assert main(["audit", "replay", str(run)]) == 0
    assert "nobody cosigned" in capsys.readouterr().out
    assert main(["audit", "replay", str(run), "--cosigned", str(own)]) == 15


def test_registry_entry_has_the_fields_of_the_schema(run, capsys):
    assert main(["audit", "export-registry", str(run)]) == 0
    entry = registry.entry(gather(run))
    assert set(entry) == {"url_slug", "status", "tier", "deployment"}
    assert (entry["tier"], entry["status"]) == (3, "Draft")
    assert entry["deployment"]["deployment_model"]["model_name"] == "Federated"
    assert entry["deployment"]["basic"]["publication_date"] == "2026-09-21"
    printed = capsys.readouterr()
    assert printed.out.startswith('url_slug: "')
    assert "What no schema can check" in printed.err


def test_carried_file_is_the_json_beside_the_page(page):
    found = report._EMBEDDED.search(page.read_text("utf-8"))
    inside = gzip.decompress(report.base64.b64decode(found[1]))
    assert inside == page.with_suffix(".json").read_bytes()
