import stat
import threading
from pathlib import Path

import pytest

from jobs import key_file


def test_whoever_comes_at_the_same_moment_gets_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "below" / "key"
    count = 16
    together = threading.Barrier(count)
    found: list[str] = []

    def ask(number: int) -> None:
        def make() -> str:
            # Everybody has found the file missing before anybody writes it.
            together.wait(10)
            return f"key {number}"

        found.append(key_file.load_or_make(path, make))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == count
    assert set(found) == {path.read_text()}
    assert [file.name for file in path.parent.iterdir()] == ["key"]


def test_file_is_its_owners_alone_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert key_file.load_or_make(path, lambda: "first") == "first"
    assert key_file.load_or_make(path, lambda: "second") == "first"
    key_file.replace(path, "third")
    assert path.read_text() == "third"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with pytest.raises(OSError, match="file"):
        key_file.load_or_make(folder / "key", lambda: "key")
