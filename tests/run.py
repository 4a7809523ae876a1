"""The whole suite: on SQLite, then on PostgreSQL. ``make test`` calls this.

What the tests need beyond the locked packages is a Chromium: it is installed where that is possible, and otherwise
named. Nothing is skipped for want of a server or a browser.
"""

import os
import shutil
import subprocess
import sys

from tests import servers

DATABASES = ("sqlite", "postgresql")
# A file stays in one process: the browser of a file is started once.
PARALLEL = ("--numprocesses", "auto", "--dist", "loadfile")


def main(arguments: list[str]) -> int:
    """Run the suite once a database; returns the exit code."""
    provide_chromium()
    codes = []
    for database in DATABASES:
        print(f"== the suite on {database}", flush=True)
        environment = os.environ | {"TEST_DATABASE": database}
        codes.append(
            subprocess.run(
                [sys.executable, "-m", "pytest", *PARALLEL, *arguments], env=environment, check=False
            ).returncode
        )
    print(
        "== "
        + ", ".join(
            f"{name}: {'ok' if not code else f'failed ({code})'}" for name, code in zip(DATABASES, codes, strict=True)
        )
    )
    return max(codes)


def provide_chromium() -> None:
    """Install Debian's Chromium if there is none and we may; else say what to install."""
    try:
        servers.chromium_path()
    except RuntimeError as error:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.exit(str(error))
        print("Chromium is missing: installing it with apt-get.", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
