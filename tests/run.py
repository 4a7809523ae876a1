"""The whole suite on SQLite, then on PostgreSQL what a database can change. ``make test`` calls this.

What runs once only: what has no database at all (providers, checks of files), what looks at pages in a browser, and
what holds requests, answers and secrets against their published shape, where the same code stands between both
databases and the outside. Everything with SQL, locks, transactions or several processes runs on both.

Beyond the locked packages, which bring Redis and PostgreSQL, the tests use Chromium, curl and Node: they are installed
where that is possible, and otherwise named. Nothing is skipped for want of a server or a program.
"""

import os
import shutil
import subprocess
import sys

from tests import servers

DATABASES = ("sqlite", "postgresql")
# Shuffled, so that no test leans on the one before it, and by the same dice for everybody: what fails here fails there
# too. Another order: .venv/bin/python -m tests.run --randomly-seed=7
ORDER = ("--randomly-seed=20261124",)
# A file stays in one process: the browser of a file is started once. One process more than there are cores, because the
# tests of pages and processes wait for much of their time.
PROCESSES = (os.cpu_count() or 1) + 1
PARALLEL = ("--numprocesses", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder")
# Left out on PostgreSQL: see above. `TEST_DATABASE=postgresql .venv/bin/python -m pytest` runs them there as well.
SQLITE_ONLY = (
    "tests/cli",
    "tests/clients",
    "tests/providers",
    "tests/schema",
    "tests/security",
    "tests/e2e/test_[!ptw]*.py",
    "tests/test_*.py",
)
# Debian's package -> the names its program may have.
PROGRAMS = {
    "chromium-headless-shell": servers.BROWSERS,
    "curl": ("curl",),
    "gettext": ("msgfmt",),
    "nodejs": ("node", "nodejs"),
}


def main(arguments: list[str]) -> int:
    """Run the suite once a database; returns the exit code."""
    provide_programs()
    codes = {database: run_suite(database, arguments) for database in DATABASES}
    print("== " + ", ".join(f"{name}: {f'failed ({code})' if code else 'ok'}" for name, code in codes.items()))
    return max(codes.values())


def run_suite(database: str, arguments: list[str]) -> int:
    """Run pytest on one database; returns its exit code."""
    print(f"== the suite on {database}", flush=True)
    command = [sys.executable, "-m", "pytest", *PARALLEL, *ORDER, *arguments]
    if database != "sqlite":
        command += [f"--ignore-glob={pattern}" for pattern in SQLITE_ONLY]
    return subprocess.run(command, env=os.environ | {"TEST_DATABASE": database}, check=False).returncode


def provide_programs() -> None:
    """Install what is missing with apt-get if we may; else say what to install."""
    missing = [package for package, names in PROGRAMS.items() if not any(map(shutil.which, names))]
    if not missing:
        return
    packages = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"error: the tests need {packages}. Debian, Ubuntu: sudo apt-get install {packages}")
    print(f"Installing {packages} with apt-get.", flush=True)
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
