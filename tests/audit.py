"""Look for known vulnerabilities in what the lock files hold: ``python -m tests.audit``.

pip-audit asks a service on the internet. Where it cannot be reached nothing is known, which is said and is no failure.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# The locks are complete and have hashes: nothing is resolved, and pip is not needed.
OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10", "--format", "json")
PATIENCE_SECONDS = 300
NO_NETWORK = (
    "connection",
    "connect to",
    "timed out",
    "timeout",
    "name resolution",
    "proxy",
    "unreachable",
    "max retries",
)


def main(locks: tuple[str, ...] = LOCKS) -> int:
    """Check every lock; returns the exit code: 1 if something was found, or if the check itself is broken."""
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which("pip-audit")
    if program is None:
        print("error: pip-audit is not installed; requirements-dev.lock should bring it.", file=sys.stderr)
        return 1
    # Every lock is looked at, also after a finding.
    return max([audit(program, lock) for lock in locks])


def audit(program: str, lock: str) -> int:
    """Check one lock, and say what came of it."""
    command = [program, *OPTIONS, "--requirement", str(ROOT / lock)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"{lock}: could not be checked: no network (no answer within {PATIENCE_SECONDS} s).")
        return 0
    try:
        packages: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _without_result(lock, ran.stderr)
    found = [f"{name}: {told}" for name, told in _vulnerabilities(packages)]
    unknown = [str(package["name"]) for package in packages if "skip_reason" in package]
    if found:
        print(f"{lock}: {len(found)} known vulnerabilities:", *found, sep="\n  ")
        return 1
    if not packages:
        print(f"error: {lock}: pip-audit saw no package.", file=sys.stderr)
        return 1
    if len(unknown) == len(packages):
        print(f"{lock}: could not be checked: no network (the service knows none of {len(packages)} packages).")
    else:
        print(f"{lock}: no known vulnerability in {len(packages) - len(unknown)} packages.")
        if unknown:
            print(f"  could not be checked: {', '.join(unknown)}")
    return 0


def _vulnerabilities(packages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (
            f"{package['name']} {package['version']}",
            f"{flaw['id']}, mended in {', '.join(flaw.get('fix_versions') or ['no version yet'])}",
        )
        for package in packages
        for flaw in package.get("vulns", [])
    ]


def _without_result(lock: str, said: str) -> int:
    """Tell a service that cannot be reached from a check that is broken."""
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    if any(word in said.lower() for word in NO_NETWORK):
        print(f"{lock}: could not be checked: no network ({last[:200]}).")
        return 0
    print(f"error: {lock}: pip-audit failed: {last[:500]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
