"""The check of the lock files, with a pip-audit that says what it is told to."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import audit

GOOD = {"name": "django", "version": "5.2", "vulns": []}
BAD = {"name": "django", "version": "1.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"], "aliases": []}]}
SKIPPED = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1)"}


def said(tmp_path: Path, stdout: str, stderr: str = "", code: int = 0) -> str:
    program = tmp_path / "pip-audit"
    body = f"import sys; print({stdout!r}); print({stderr!r}, file=sys.stderr); sys.exit({code})"
    program.write_text(f"#!{sys.executable}\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([GOOD], 0, "no known vulnerability in 1 packages"),
        ([GOOD, SKIPPED], 0, "could not be checked: ours"),
        ([GOOD, BAD], 1, "django 1.0: CVE-2026-1, mended in 1.1"),
        ([SKIPPED, BAD], 1, "CVE-2026-1"),
        ([SKIPPED], 0, "could not be checked: no network"),
        ([], 1, "saw no package"),
    ],
)
def test_findings_fail_and_what_could_not_be_checked_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packages: list[dict[str, Any]], code: int, words: str
) -> None:
    program = said(tmp_path, json.dumps({"dependencies": packages, "fixes": []}), code=code)
    assert audit.audit(program, "requirements.lock") == code
    told = capsys.readouterr()
    assert words in told.out + told.err


@pytest.mark.parametrize(
    ("stderr", "code", "words"),
    [
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", 0, "could not be checked: no network"),
        ("HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded", 0, "no network"),
        ("ERROR:pip_audit._cli:requirement file is invalid", 1, "pip-audit failed"),
        ("", 1, "it said nothing"),
    ],
)
def test_service_that_cannot_be_reached_is_told_from_a_broken_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stderr: str, code: int, words: str
) -> None:
    assert audit.audit(said(tmp_path, "", stderr, 1), "requirements.lock") == code
    told = capsys.readouterr()
    assert words in told.out + told.err


def test_every_lock_is_looked_at_also_after_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: said(tmp_path, json.dumps({"dependencies": [BAD]})))
    assert audit.main() == 1
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if "known" in line] == list(audit.LOCKS)


def test_missing_program_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert audit.main() == 1
