# SPDX-License-Identifier: Apache-2.0
"""Making an operator's folder: keys, choices, catalogue, and a policy for the officer to sign."""

import datetime
import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.folder import Deployment, OperatorFolder, read_draft
from server.keys import make_tls, pem_of, write_secret
from server.plan import Plan, make_plan
from shared.atomic import replace_file
from shared.catalogue import load_catalogue
from shared.errors import UsageError
from shared.privacy.canonical import canonical, sign
from shared.privacy.policy import Floor, Policy


def init(path: Path, config: Deployment, now: datetime.datetime) -> OperatorFolder:
    """Make the folder of a new federation.

    Raises:
        UsageError: Something is there already; nothing is ever overwritten.
    """
    if path.exists() and any(path.iterdir()):
        raise UsageError(
            f"{path} must be a new or empty folder, got one with files in it.",
            hint="choose another folder; keys are never overwritten.",
        )
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    folder = OperatorFolder(path)
    host = config.address.rpartition(":")[0]
    make_tls(folder.keys, list(dict.fromkeys((host, "127.0.0.1", "localhost"))), now)
    write_secret(folder.keys / "server.pem", pem_of(Ed25519PrivateKey.generate()))
    folder.files.mkdir()
    replace_file(folder.path / "config.toml", _toml(config).encode())
    return folder


def stage_time(users: int) -> float:
    """Give how long a stage is waited for, in seconds: twice what its messages take.

    A SuperLink is one process and spends about 1.15 s a device a round, five stages a round, on one
    core of a small machine (docs/log.md, "What a round costs over Flower").
    """
    return max(60.0, 2 * users * 1.15 / 5)


def take_catalogue(folder: OperatorFolder, file: Path) -> Policy:
    """Put a catalogue in place and draft the policy that goes with it.

    Raises:
        DataError: It is no catalogue.
        CohortTooSmall, UsageError: No plan fits it.
    """
    load_catalogue(file)
    shutil.copyfile(file, folder.catalogue_file)
    folder.publish(file.read_bytes())
    config = folder.config
    policy = draft(
        folder,
        make_plan(config.plan_config, config.users, folder.catalogue, comments=config.comments),
    )
    replace_file(folder.path / "policy.json", canonical(policy))
    (folder.path / "policy.sig").unlink(missing_ok=True)
    return policy


def set_choice(folder: OperatorFolder, name: str, value: str) -> None:
    """Change one word of config.toml and leave the rest as it stands."""
    file, line = folder.path / "config.toml", f"{name} = {json.dumps(value)}"
    lines = file.read_text().splitlines() if folder.config else []
    places = [at for at, old in enumerate(lines) if old.startswith(f"{name} =")]
    if places:
        lines[places[0]] = line
    else:
        lines.insert(0, line)
    replace_file(file, ("\n".join(lines) + "\n").encode())


def draft(folder: OperatorFolder, plan: Plan) -> Policy:
    """Return the policy that promises the plan, with its spare rounds, and no more."""
    config = folder.config
    mechanisms = [release.mechanism for release in plan.releases if release.mechanism is not None]
    least = min(m.noise_shares for m in mechanisms)
    above = min(Fraction(m.min_survivors - 1, m.cohort_size) for m in mechanisms)
    return Policy(
        run=config.run,
        operator=config.operator,
        server_key=folder.server_key.public_key().public_bytes_raw().hex(),
        users=config.users,
        delta=config.delta,
        queries=tuple(release.query.name for release in plan.releases),
        floor=Floor(
            rho_cap=max(config.rho_cap, plan.rho),
            rho_round_max=max(m.rho for m in mechanisms),
            participations_max=sum(r.rounds for r in plan.releases) + config.spare_rounds,
            min_separation_s=config.min_separation_s,
            aborts_max=config.spare_rounds + 1,
            min_noise_shares=least,
            min_survivors_above=min(above, Fraction(2, 3)),
            trusts=("distributed",),
        ),
        text_alpha=Fraction(config.text_alpha).limit_denominator(1000),
    )


def sign_policy(file: Path, key: Ed25519PrivateKey) -> str:
    """Sign a policy file as its officer; return the officer's public key.

    Raises:
        DataError: The file is no policy.
    """
    signed = sign(read_draft(file), key)
    public = key.public_key().public_bytes_raw().hex()
    replace_file(file.with_suffix(".sig"), f"{public} {signed.signature.hex()}\n".encode())
    return public


def _toml(config: Deployment) -> str:
    """Spell the choices, each with what it means."""
    lines: list[str] = []
    tables: list[str] = []
    for name, field in Deployment.model_fields.items():
        value = getattr(config, name)
        about = f"# {(field.description or name).splitlines()[0]}"
        if value is None:
            lines += [about, f"# {name} ="]
        elif isinstance(value, dict):
            rows: Sequence[str] = [f"{key} = {share!r}" for key, share in value.items()]
            tables += [about, f"[{name}]", *rows]
        else:
            lines += [about, f"{name} = {json.dumps(value)}"]
    return "\n".join([*lines, *tables]) + "\n"
