"""A configuration file in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], str]:
    """Writes small.yaml into the folder it stands in."""
    monkeypatch.chdir(tmp_path)

    def _write(text: str | bytes) -> str:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        (tmp_path / "small.yaml").write_bytes(data)
        return "small.yaml"

    return _write
