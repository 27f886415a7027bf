"""What the console's server writes: a page's own fault must be found in its log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.console_driver import find_free_port, wait_for_server
from benchmarks.protocol_client import ProtocolError, open_client
from geotransfer.console.server import make_config
from geotransfer.settings import read_settings

START = "import json, sys, streamlit as st\nst.App(sys.argv[1]).run(config=json.loads(sys.argv[2]))"


def test_a_fault_of_a_page_is_written_whole_to_standard_error(tmp_path: Path) -> None:
    # Standard output is silenced by `serve`.
    page = tmp_path / "page.py"
    page.write_text("raise RuntimeError('the fault of this page')\n")
    config = make_config(read_settings({}, {"port": find_free_port()}))
    url = f"http://127.0.0.1:{config['server.port']}"
    log = tmp_path / "log.txt"
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [sys.executable, "-c", START, str(page), json.dumps(config)],
            stdout=subprocess.DEVNULL,
            stderr=sink,
        )
        try:
            wait_for_server(f"{url}/_stcore/health", server)
            with open_client(url) as client, pytest.raises(ProtocolError):
                client.open_page("")
        finally:
            server.terminate()
            server.wait(20)
    told = log.read_text()
    assert "RuntimeError: the fault of this page" in told
    assert f'File "{page}", line 1' in told
