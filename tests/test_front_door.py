# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

import privet


@pytest.mark.parametrize("name", list(privet.RESERVED))
def test_reserved_name_exits_2_with_one_hint(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privet.main([name, "anything", "--flag"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("error:") == shown.err.count("hint:") == 1


def test_help_lists_every_command_and_every_reserved_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert privet.main(["-h"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in [*privet.COMMANDS, *privet.RESERVED])


def test_unknown_command_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert privet.main(["hedge"]) == 2
    assert "hedge" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(privet.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privet.main([name, "-h"]) == 0
    assert f"Usage: privet {name}" in capsys.readouterr().out


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys, privet; privet.main(['-h']); "
        "print(sorted({'torch', 'numpy', 'pydantic', 'rich', 'typer', 'flwr'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip().endswith("[]")
