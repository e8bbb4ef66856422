# SPDX-License-Identifier: Apache-2.0
"""A report that a privacy officer can sign: one page, its facts, one signature.

`FILE.html` is for people, `FILE.json` holds the same facts and the ledger's own lines, `FILE.sig`
signs both. The page carries the JSON inside, so that it can be checked alone. Checking never
trusts the summary: the ledger inside is replayed, the facts are computed again, and the page is
made again from them and compared, pictures aside.

Source: Nanayakkara et al. (2023) for odds; NIST SP 800-226 for what must be said.
"""

import base64
import gzip
import json
import os
import re
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import jinja2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import DataError, StoreLocked, VerificationError
from shared.ledger import beside, chain
from shared.ledger.checkpoint import public_hex
from shared.ledger.records import canonical
from shared.ledger.replay import Replay, replay
from simulation.audit import pictures
from simulation.audit.facts import gather, summarise
from simulation.audit.figures import Facts

LABEL = b"privet/report/v1\n"
MAX_HTML_BYTES = 400_000
RUN_KEY = Path("private") / "ledger.key"
"""Where a simulation keeps the key made for the run, in its folder."""
LEDGER_FILES = frozenset({chain.RECORDS, chain.CHECKPOINTS, chain.COSIGNATURES})
_EMBEDDED = re.compile(r'href="data:application/gzip;base64,([A-Za-z0-9+/=]*)"')
_PICTURE = re.compile(r"<svg.*?</svg>", re.DOTALL)


@dataclass(frozen=True)
class Written:
    """What a report came to."""

    html: Path
    json: Path
    signature: Path | None
    bytes: int
    not_stated: tuple[str, ...]


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read an Ed25519 private key in PEM (PKCS 8).

    Raises:
        StoreLocked: The file is missing or is not such a key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreLocked(
            "the key file must hold an Ed25519 private key in PEM.", hint="`privet key new FILE`."
        )
    return key


def save_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Write a private key, readable by its owner alone; an existing file is not replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(key.private_bytes(*form, serialization.NoEncryption()))


def run_key(run: Path) -> Path:
    """Return where the key of a run folder, or of one seed's ledger in it, is kept."""
    if run.name.endswith("ledger"):
        return run.parent / RUN_KEY.parent / f"{run.name}.key"
    return run / RUN_KEY


def write(run: Path, out: Path, *, key: Ed25519PrivateKey | None = None) -> Written:
    """Write the report of a run.

    Args:
        run: Run folder.
        out: The page; `.json` and `.sig` go beside it.
        key: Signs; None takes the run's own key where there is one.

    Raises:
        LedgerFault: The ledger does not verify.
        ClaimExceeded: A claim is exceeded; there is then no report to sign.
    """
    if key is None and (kept := run_key(run)).exists():
        key = load_key(kept)
    facts = gather(run) | {"drawn_by": pictures.DRAWN_BY}
    body = canonical(facts)
    page = render(facts, body).encode("utf-8")
    if len(page) > MAX_HTML_BYTES:  # a long run: the ledger stays in the JSON file alone
        page = render(facts, b"").encode("utf-8")
    signature = _sign(key, page, body) if key is not None else None
    names = out, out.with_suffix(".json"), out.with_suffix(".sig")
    _write(names[0], page)
    _write(names[1], body)
    if signature is not None:
        _write(names[2], signature)
    else:
        names[2].unlink(missing_ok=True)
    return Written(*names[:2], names[2] if signature else None, len(page), missing(facts, key))


def missing(facts: Facts, key: object) -> tuple[str, ...]:
    """Name the fields that nobody stated."""
    rows = [row["name"] for row in facts["fields"] if row["value"] is None]
    if facts["when"]["first"] is None:
        rows.append("dates")
    return tuple(rows if key is not None else [*rows, "signature"])


def render(facts: Facts, embedded: bytes) -> str:
    """Return the page."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    house = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    packed = base64.b64encode(gzip.compress(embedded, 9, mtime=0)).decode() if embedded else ""
    template = house.get_template("report.html.j2")
    return template.render(f=facts, pictures=pictures.draw(facts), embedded=packed)


def verify(report: Path, *, key: str | None = None) -> Replay:
    """Check a report against the ledger that it carries.

    Args:
        report: The page or its JSON.
        key: Public key that must have signed it, hex; None takes the one that the ledger names.

    Raises:
        VerificationError: Signature, ledger, facts or page do not agree.
        ClaimExceeded: The ledger says that a claim was exceeded.
    """
    page_path, json_path = report.with_suffix(".html"), report.with_suffix(".json")
    page = _read(page_path)
    body = _carried(page, json_path)
    facts = _facts(body)
    found, again = _recomputed(facts)
    for name in again.keys() | facts.keys():
        if again.get(name) != facts.get(name):
            raise VerificationError(
                f"the summary must follow from the ledger; `{name}` does not.",
                hint="the report was changed, or made by another version.",
            )
    shown, ours = page.decode("utf-8", "replace"), render(facts, b"")
    if _bare(shown) != _bare(ours):
        raise VerificationError(
            "the page must say what its ledger says, and it does not.",
            hint="make the report again from the run.",
        )
    _pictures(_PICTURE.findall(shown), _PICTURE.findall(ours), facts["drawn_by"])
    _signed(report.with_suffix(".sig"), page, body, key or found.run["key"])
    return found


def _recomputed(facts: Facts) -> tuple[Replay, Facts]:
    """Replay the ledger that a report carries, and compute every fact from it again."""
    try:
        found = _replayed(facts)
        _model_of_release(facts["model"], found)
        again = summarise(found, facts["stated"], policy=facts["policy"], model=facts["model"])
        same = {name: facts[name] for name in ("ledger", "drawn_by")}
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _not_a_report() from None
    return found, again | same


def _replayed(facts: Facts) -> Replay:
    """Replay the ledger that a report carries, with the policy that it carries beside it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        folder.mkdir()
        for file in LEDGER_FILES & facts["ledger"].keys():
            (folder / file).write_bytes("\n".join(facts["ledger"][file]).encode("latin-1"))
        if facts["policy"] is None:
            return replay(folder / chain.RECORDS)
        (Path(name) / beside.POLICY).write_bytes(facts["policy"].encode("utf-8"))
        return replay(Path(name))


def _model_of_release(model: Facts | None, found: Replay) -> None:
    """Hold the hash that the page shows against the last release."""
    released = found.book.releases
    if model is not None and not (released and released[-1]["file"] == model["sha256"]):
        raise VerificationError(
            "the model file must be that of the last release, `model` names another.",
            hint="the report was changed.",
        )


def _carried(page: bytes, json_path: Path) -> bytes:
    """Return the JSON, from the page and from beside it: they must be the same."""
    found = _EMBEDDED.search(page.decode("utf-8", "replace"))
    inside = b""
    try:
        if found and found[1]:
            inside = gzip.decompress(base64.b64decode(found[1], validate=True))
    except (ValueError, OSError, EOFError):
        raise VerificationError("what the page carries is damaged.", hint="get it anew.") from None
    beside = json_path.read_bytes() if json_path.exists() else b""
    if inside and beside and inside != beside:
        raise VerificationError(
            "page and JSON must hold the same facts.", hint="they are of different reports."
        )
    if not (inside or beside):
        raise VerificationError(
            "this page does not carry its ledger.", hint="put its .json file beside it."
        )
    return inside or beside


def _facts(body: bytes) -> Facts:
    try:
        facts = json.loads(body)
        if canonical(facts) != body or not facts["ledger"].keys() <= LEDGER_FILES:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _not_a_report() from None
    return dict(facts)


def _not_a_report() -> VerificationError:
    return VerificationError("the JSON is not a report's.", hint="get it anew.")


def _bare(page: str) -> str:
    """Return the page without pictures and without what it carries."""
    return _EMBEDDED.sub("", _PICTURE.sub("", page))


def pictures_agree(report: Path) -> bool:
    """Say whether the pictures of a page are those that this machine draws from its facts."""
    page = _read(report.with_suffix(".html"))
    facts = _facts(_carried(page, report.with_suffix(".json")))
    drawn = pictures.draw(facts).values()
    return all(page.count(picture.strip().encode()) == 1 for picture in drawn)


def _pictures(shown: list[str], ours: list[str], drawn_by: str) -> None:
    """Refuse other pictures; those of another version of the library may differ, not deceive."""
    other = drawn_by != pictures.DRAWN_BY
    if shown == ours or (other and all(map(pictures.harmless, shown))):
        return
    raise VerificationError(
        "the pictures must show what the ledger says, and they do not.",
        hint="make the report again from the run.",
    )


def _sign(key: Ed25519PrivateKey, page: bytes, body: bytes) -> bytes:
    fields = {
        "html": sha256(page).hexdigest(),
        "json": sha256(body).hexdigest(),
        "key": public_hex(key),
    }
    return canonical(fields | {"sig": key.sign(LABEL + canonical(fields)).hex()})


def _signed(path: Path, page: bytes, body: bytes, key: str) -> None:
    """Check the signature file."""
    hint = "sign it with `privet audit report RUN --out FILE --key K`."
    if not path.exists():
        raise VerificationError(f"a report must be signed, {path.name} is missing.", hint=hint)
    try:
        fields = json.loads(path.read_bytes())
        sig = bytes.fromhex(fields.pop("sig"))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(fields["key"])).verify(
            sig, LABEL + canonical(fields)
        )
        right = (fields["html"], fields["json"]) == (
            sha256(page).hexdigest(),
            sha256(body).hexdigest(),
        )
    except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError):
        raise VerificationError("the signature does not verify.", hint=hint) from None
    if not right:
        raise VerificationError("the signature is of another report.", hint=hint)
    if fields["key"] != key:
        raise VerificationError(
            f"the report must be signed by {key[:16]}…, it is by {str(fields['key'])[:16]}….",
            hint="pass --key with the public key that you trust.",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise DataError(f"{path.name} is not readable.", hint="name the page, FILE.html.") from None


def _write(path: Path, content: bytes) -> None:
    """Write all of a file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
