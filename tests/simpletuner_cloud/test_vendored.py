"""Code of others below static/vendor is as it was published."""

import hashlib
import re
from pathlib import Path

from django.conf import settings

VENDOR = Path(settings.BASE_DIR) / "static" / "vendor"
SHA256 = {
    "uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uplot/uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def test_every_file_is_as_published_and_none_is_unknown() -> None:
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == SHA256


def test_each_package_names_its_version_and_brings_its_licence() -> None:
    table = (VENDOR / "README.md").read_text(encoding="utf-8")
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert re.search(rf"\| `{folder.name}/` \|.*\| \d+\.\d+\.\d+ \|", table)
        assert "Permission is hereby granted" in (folder / "LICENSE").read_text(encoding="utf-8")
