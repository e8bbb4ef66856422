# SPDX-License-Identifier: Apache-2.0
"""The vector file of a 3-device session: made by this code, derived again by another.

``python -m tests.shared.secagg.test_vectors`` prints the file. The second half of this module
follows docs/spec/secure-aggregation.md with the bare primitives and none of the room's functions.
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.secagg.messages import Kind
from tests.shared.secagg.sessions import ANSWERS, QUESTIONS, Session, name, seeded
from tests.shared.secagg.test_shamir import slow_product

FILE = Path(__file__).parents[2] / "vectors" / "secagg.json"


def transcript() -> dict[str, object]:
    """Play the session of the file: t = 2 of 3, d = 4, device 2 silent from MASKED on."""
    session = Session(3, t=2, d=4)
    messages: list[dict[str, object]] = []
    seats: dict[int, dict[str, object]] = {}
    session.stage(Kind.ADVERT)
    for i, device in enumerate(session.devices):
        secrets = device._state.secrets
        seats[i] = {
            "id": name(i).hex(),
            "signing_key": seeded(f"device {i}")(32).hex(),
            "round_secrets": {
                "seal": secrets.seal.hex(),
                "mask": secrets.mask.hex(),
                "seed": secrets.seed.hex(),
            },
            "coefficients": (seeded(f"round secrets {i}")(96 + 64)[96:]).hex(),
            "vector": session.vectors[i].tolist(),
        }
    for answer, question in zip(ANSWERS, (*QUESTIONS, None), strict=True):
        if answer is not Kind.ADVERT:
            session.stage(answer, silent=[2] if answer >= Kind.MASKED else [])
        for sent in session.seen[len([m for m in messages if m["from"] != "server"]) :]:
            messages.append({"kind": answer.name, "from": sent[33:49].hex(), "hex": sent.hex()})
        if answer is Kind.SHARES:
            for i, device in enumerate(session.devices):
                state = device._state
                seats[i]["pair_mask_keys"] = {
                    name(p).hex(): k.hex() for p, k in state.pair_masks.items()
                }
                seats[i]["seal_keys_from"] = {
                    name(p).hex(): k.hex() for p, k in state.opening.items()
                }
                seats[i]["self_mask_key"] = state.self_mask.hex()
        if answer is Kind.MASKED:
            for i in (0, 1):
                seats[i]["shares_held"] = {
                    name(p).hex(): s.hex() for p, s in session.devices[i]._state.shares.items()
                }
        if question is not None:
            session.questions = session.aggregator.close_stage()
            for to, sent in session.questions.items():
                messages.append(
                    {"kind": question.name, "from": "server", "to": to.hex(), "hex": sent.hex()}
                )
    total, survivors = session.aggregator.finish()
    return {
        "terms": {
            "config_hash": session.terms.config_hash.hex(),
            "server_round": session.terms.server_round,
            "cohort_size": 3,
            "min_survivors": 2,
            "max_colluders": 0,
            "dimension": 4,
            "digest": session.terms.digest.hex(),
        },
        "server_signing_key": seeded("server")(32).hex(),
        "devices": list(seats.values()),
        "session": session.context(Kind.AGREEMENT).hex(),
        "messages": messages,
        "survivors": [survivor.hex() for survivor in survivors],
        "sum": total.tolist(),
    }


def test_session_reproduces_the_vector_file() -> None:
    assert transcript() == json.loads(FILE.read_text())


# --- A second implementation, from the spec alone -------------------------------------------

LABEL = b"privet/secagg/v1/"
VECTORS = json.loads(FILE.read_text()) if FILE.exists() else {}


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(salt: bytes, secret: bytes, info: bytes) -> bytes:
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def x25519(private: str, public: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
    return key.exchange(X25519PublicKey.from_public_bytes(public))


def advertised(device: dict) -> bytes:
    secrets = device["round_secrets"]
    publics = [
        X25519PrivateKey.from_private_bytes(bytes.fromhex(secrets[which])).public_key()
        for which in ("seal", "mask")
    ]
    seed = bytes.fromhex(secrets["seed"])
    commitment = h(LABEL + b"seed-commitment\0", bytes.fromhex(device["id"]), seed)
    return publics[0].public_bytes_raw() + publics[1].public_bytes_raw() + commitment


def body_of(kind: str, index: int) -> bytes:
    who = VECTORS["devices"][index]["id"]
    found = [
        m for m in VECTORS["messages"] if m["kind"] == kind and who in (m["from"], m.get("to"))
    ]
    return bytes.fromhex(found[0]["hex"])[49:-64]


def session_id() -> bytes:
    seats = [bytes.fromhex(d["id"]) + advertised(d) for d in VECTORS["devices"]]
    return h(LABEL + b"session\0", bytes.fromhex(VECTORS["terms"]["digest"]), *seats)


def test_spec_gives_the_terms_digest_and_session_id() -> None:
    terms = VECTORS["terms"]
    numbers = b"".join(
        terms[field].to_bytes(4, "little")
        for field in ("cohort_size", "min_survivors", "max_colluders", "dimension")
    )
    config = bytes.fromhex(terms["config_hash"])
    head = LABEL + b"terms\0" + config + terms["server_round"].to_bytes(8, "little")
    assert h(head + numbers).hex() == terms["digest"]
    assert session_id().hex() == VECTORS["session"]


def test_spec_gives_every_signature() -> None:
    keys = {
        d["id"]: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(d["signing_key"]))
        for d in VECTORS["devices"]
    }
    keys["server"] = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex(VECTORS["server_signing_key"])
    )
    for message in VECTORS["messages"]:
        data = bytes.fromhex(message["hex"])
        public: Ed25519PublicKey = keys[message["from"]].public_key()
        public.verify(data[-64:], LABEL + b"message\0" + data[:-64])
        context = VECTORS["terms"]["digest"] if data[0] < 3 else VECTORS["session"]
        assert data[1:33].hex() == context


def test_spec_gives_every_key() -> None:
    session, devices = session_id(), VECTORS["devices"]
    for u in devices:
        seed = bytes.fromhex(u["round_secrets"]["seed"])
        me = bytes.fromhex(u["id"])
        own = hkdf(session, seed, LABEL + b"self-mask\0" + me)
        assert own.hex() == u["self_mask_key"]
        for v in (v for v in devices if v is not u):
            peer = bytes.fromhex(v["id"])
            seal = x25519(u["round_secrets"]["seal"], advertised(v)[:32])
            key = hkdf(session, seal, LABEL + b"seal-key\0" + peer + me)
            assert key.hex() == u["seal_keys_from"][v["id"]]
            pair = x25519(u["round_secrets"]["mask"], advertised(v)[32:64])
            names = b"".join(sorted((me, peer)))
            assert (
                hkdf(session, pair, LABEL + b"pair-mask\0" + names).hex()
                == (u["pair_mask_keys"][v["id"]])
            )


def share(dealer: dict, x: int) -> bytes:
    """secret + coefficient * x, symbol by symbol: t = 2 makes a line."""
    secrets = dealer["round_secrets"]
    constant = np.frombuffer(bytes.fromhex(secrets["mask"] + secrets["seed"]), "<u2")
    slope = np.frombuffer(bytes.fromhex(dealer["coefficients"]), "<u2")
    symbols = [int(c) ^ slow_product(int(a), x) for a, c in zip(slope, constant, strict=True)]
    return np.array(symbols, "<u2").tobytes()


def test_spec_gives_every_share_and_its_seal() -> None:
    session, devices = session_id(), VECTORS["devices"]
    for j, v in enumerate(devices):
        sealed = body_of("SHARES", j)
        for i, u in enumerate(d for d in devices if d is not v):
            key = bytes.fromhex(u["seal_keys_from"][v["id"]])
            context = session + bytes.fromhex(v["id"]) + bytes.fromhex(u["id"])
            opened = AESGCM(key).decrypt(bytes(12), sealed[80 * i : 80 * (i + 1)], context)
            assert opened == share(v, devices.index(u) + 1)
    for u in devices[:2]:
        for v in devices:
            assert u["shares_held"][v["id"]] == share(v, devices.index(u) + 1).hex()


def test_spec_gives_masked_vectors_and_the_sum() -> None:
    devices = VECTORS["devices"]
    for u in devices[:2]:
        total = np.array(u["vector"]).astype("<u4") + stream(u["self_mask_key"])
        for v in (v for v in devices if v is not u):
            mask = stream(u["pair_mask_keys"][v["id"]])
            total = total + mask if u["id"] < v["id"] else total - mask
        assert total.tobytes() == body_of("MASKED", devices.index(u))
    expected = np.array(devices[0]["vector"]) + np.array(devices[1]["vector"])
    assert expected.tolist() == VECTORS["sum"]


def stream(key: str) -> np.ndarray:
    cipher = Cipher(algorithms.AES256(bytes.fromhex(key)), modes.CTR(bytes(16)))
    return np.frombuffer(cipher.encryptor().update(bytes(16)), "<u4")


def test_spec_gives_statement_and_released_shares() -> None:
    label = LABEL + b"statement\0"
    statement = h(label, session_id(), bytes.fromhex("020000000100000001000200"))
    for i in (0, 1):
        assert body_of("CONSENT", i) == statement
        held = VECTORS["devices"][i]["shares_held"]
        released = [bytes.fromhex(held[d["id"]]) for d in VECTORS["devices"]]
        assert body_of("UNMASK", i) == released[0][32:] + released[1][32:] + released[2][:32]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(transcript(), indent=1) + "\n")
