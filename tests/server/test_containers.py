# SPDX-License-Identifier: Apache-2.0
"""The container files, read as a builder reads them: what an image and a container may do."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

import privet

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "Containerfile"
Stage = tuple[str, str, list[tuple[str, str]]]
"""Image, name, instructions."""


def instructions() -> list[tuple[str, str]]:
    lines = (line for line in FILE.read_text().splitlines() if not line.startswith("#"))
    text = "\n".join(lines).replace("\\\n", " ")
    found = (line.strip().partition(" ") for line in text.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in found]


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for word, rest in instructions():
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            found[name] = (image, name, [])
        else:
            found[list(found)[-1]][2].append((word, rest))
    return found


def whole(name: str) -> list[tuple[str, str]]:
    """All instructions of a target, those of the stage that it stands on first."""
    image, _, own = stages()[name]
    return (whole(image) if image in stages() else []) + own


def test_images_are_pinned_to_a_version() -> None:
    images = {image for image, _, _ in stages().values() if image not in stages()}

    assert images
    assert all(re.fullmatch(r"[a-z./]+/python:3\.11\.\d+-slim-[a-z]+", one) for one in images)


def test_nothing_is_fetched_but_through_pip_under_constraints() -> None:
    words = {word for word, _ in instructions()}
    fetched = [rest for word, rest in instructions() if word == "RUN" and "install" in rest]
    pip = [rest for rest in fetched if "pip" in rest]

    assert "ADD" not in words
    assert len(pip) == 2
    assert all("constraints.txt" in rest for rest in pip)
    assert not any(re.search(r"curl|wget|apt-get|git ", rest) for _, rest in instructions())


@pytest.mark.parametrize("name", ["server", "client"])
def test_target_runs_as_nobody_important_and_says_how_it_is(name: str) -> None:
    found = whole(name)
    user = [rest for word, rest in found if word == "USER"][-1]
    last = {word: rest for word, rest in found}

    assert user.partition(":")[0].isdecimal()
    assert int(user.partition(":")[0]) >= 10000
    assert "privet" in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"]) == ["privet"]
    assert json.loads(last["VOLUME"]) == ["/data"]


@pytest.mark.parametrize("name", ["server", "client"])
def test_commands_of_a_target_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    last = dict(whole(name))
    health = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])[1:]
    for words in (json.loads(last["CMD"]), health):
        options = [word for word in words if word.startswith("--")]
        verbs = words[: next(i for i, word in enumerate(words) if word.startswith("/"))]
        assert privet.main([*verbs, "--help"]) == 0
        said = capsys.readouterr().out
        assert all(option in said for option in options)


def test_copied_files_exist_and_hold_no_secret() -> None:
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
    ignored = (ROOT / ".containerignore").read_text()
    assert ignored == (ROOT / ".dockerignore").read_text()
    assert "\n*\n" in ignored
    secret = re.compile(r"(?i)password|token|private.key|BEGIN")
    assert not any(secret.search(rest) for word, rest in instructions() if word in ("ENV", "ARG"))


def test_compose_shuts_both_services() -> None:
    plain = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())

    for service in plain["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["user"].partition(":")[0]) >= 10000
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]
        assert service["build"]["target"] in stages()
        assert [volume.partition(":")[2] for volume in service["volumes"]] == ["/data"]
        assert "privileged" not in service
        assert "network_mode" not in service
    assert "ports" not in plain["services"]["device"]
