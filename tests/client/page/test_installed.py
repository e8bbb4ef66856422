# SPDX-License-Identifier: Apache-2.0
"""`privet client ui` as its owner runs it: a process, a sealed folder, a real Chromium."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.device import Device
from tests.client.folders import write_files
from tests.client.made import hamlet

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
PLANTED = "quillhedge marsh-lantern"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    files = write_files(tmp_path, hamlet(), first=24)
    with Device.create(
        tmp_path / "home", files.catalogue, files.model, comments=files.comments, custody="file"
    ) as device:
        device.add(files.mine)
    started = subprocess.Popen(
        [sys.executable, "-m", "privet", "client", "ui", str(tmp_path / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()
        started.communicate(timeout=20)


def test_page_of_a_sealed_device_from_first_look_to_erasing(browser, process, tmp_path):
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    base = address.partition("/enter")[0]
    browser.get(address)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".card")) == 10
    browser.find_element(By.CSS_SELECTOR, ".card h2 a").click()
    browser.find_element(By.CSS_SELECTOR, "label[for=stars-5]").click()
    browser.find_element(By.ID, "comment").send_keys(PLANTED)
    browser.execute_script("document.querySelector('form[action=\"/save\"]').requestSubmit()")
    browser.get(f"{base}/comments")
    assert len(browser.find_elements(By.CSS_SELECTOR, "blockquote")) == 10
    browser.find_element(By.CSS_SELECTOR, ".card h2 a").click()  # noted as read, sealed
    browser.get(f"{base}/data")
    assert PLANTED in browser.find_element(By.TAG_NAME, "main").text
    for path in ("left", "budget", "device"):
        browser.get(f"{base}/{path}")
        assert browser.find_element(By.TAG_NAME, "h1").text
    home = tmp_path / "home"
    assert PLANTED.encode() not in b"".join(
        file.read_bytes() for file in home.rglob("*") if file.is_file()
    )
    browser.get(f"{base}/erase")
    browser.find_element(By.ID, "word").send_keys("erase", Keys.ENTER)
    assert process.wait(timeout=20) == 0
    assert not home.exists()
    out, err = process.communicate(timeout=20)
    assert PLANTED not in out + err
    assert "works once" in err


def test_page_takes_no_port_that_is_taken(process, tmp_path, capsys):
    import privet

    assert process.stdout is not None
    port = process.stdout.readline().partition("/enter")[0].rpartition(":")[2]
    files = write_files(tmp_path, hamlet(), first=1)
    second = tmp_path / "second"
    Device.create(second, files.catalogue, custody="file").close()
    assert privet.main(["client", "ui", str(second), "--port", port]) == 11
    assert "leave --port out" in capsys.readouterr().err
    assert privet.main(["client", "ui", str(tmp_path / "home")]) == 16  # one process at a time
