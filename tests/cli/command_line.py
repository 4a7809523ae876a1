"""Replays what SimpleTuner's command line sends, in its order and with its ways, against a server that runs.

The commands stand in ``tests/fixtures/cli/commands.json``: requests, and what is read of the answers.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "cli" / "commands.json").read_text(encoding="utf-8")
)
COMMANDS: dict[str, dict[str, Any]] = RECORDED["commands"]
PLACE = re.compile(r"\$\{([^}]+)\}")
HEALTH_WORDS = ("healthy", "degraded", "unhealthy")
ABSENT = "absent"
TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
    "health": lambda value: value in HEALTH_WORDS,
    "any": lambda _: True,
}


class Ended(Exception):
    """The command ends here, with this exit code and error."""

    def __init__(self, exit_code: int, error: str) -> None:
        super().__init__(error)
        self.exit_code = exit_code
        self.error = error


@dataclass
class Outcome:
    """What whoever typed the command has in the end. ``printed``: what following a log has printed."""

    exit_code: int = 0
    error: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    rounds: int = 0


@dataclass
class CommandLine:
    """SimpleTuner's command line, for one server."""

    url: str
    api_key: str = ""
    pause: Callable[[float], None] = time.sleep

    def run(self, command: str, **arguments: object) -> Outcome:
        """Run a recorded command. Raises ``AssertionError`` if an answer lacks what the command reads."""
        outcome = Outcome()
        try:
            self._run(COMMANDS[command], arguments, outcome)
        except Ended as ending:
            outcome.exit_code, outcome.error = ending.exit_code, ending.error
        return outcome

    def _run(self, recorded: Mapping[str, Any], arguments: Mapping[str, object], outcome: Outcome) -> None:
        while True:
            outcome.rounds += 1
            for step in recorded["steps"]:
                self._take(step, arguments, outcome)
            repeat = recorded.get("repeat")
            if repeat is None:
                return
            text = _at(outcome.answers, repeat["grows"])
            assert text.startswith(outcome.printed), "a log that is followed may only grow"
            outcome.printed = text
            ((path, ends),) = repeat["until"].items()
            if _at(outcome.answers, path) in ends:
                return
            self.pause(repeat["seconds"])

    def _take(self, step: Mapping[str, Any], arguments: Mapping[str, object], outcome: Outcome) -> None:
        known = {**arguments, **outcome.answers}
        if "only_if" in step and not _at(known, step["only_if"]):
            return
        try:
            answer = self._request(step["method"], _filled(step["path"], known), _filled(step.get("body"), known))
        except Ended as ending:
            outcome.errors[step["name"]] = ending.error
            if step.get("on_error") != "go on":
                raise
            return
        outcome.answers[step["name"]] = answer
        check_reads(answer, step["reads"])
        for path, cases in step.get("reads_if", {}).items():
            check_reads(answer, cases.get(json.dumps(_at(answer, path)), {}))
        for path, wanted in step.get("goes_on_if", {}).items():
            value = _at(answer, path)
            if not value or (wanted != "anything" and value not in wanted):
                raise Ended(1, f"{path} is {value!r}")
        if "fails_unless" in step and not _at(answer, step["fails_unless"]):
            raise Ended(1, answer.get("error", "Unknown error"))

    def _request(self, method: str, path: str, body: object) -> Any:
        headers = dict(RECORDED["headers"])
        if self.api_key:
            headers[RECORDED["api_key_header"]] = self.api_key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=RECORDED["timeout_seconds"]) as response:
                return json.loads(response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                detail = json.loads(error.read().decode())["detail"]
            # As the command does with it: what is no string ends in a traceback.
            if error.code == 401 or "authentication required" in detail.lower():
                raise Ended(1, "Authentication required") from error
            raise Ended(1, detail) from error


def check_reads(answer: Any, reads: Mapping[str, str]) -> None:
    """Fail unless each key is there, and of a type that the command copes with."""
    for path, kinds in reads.items():
        *types, last = kinds.split("|")
        may_lack = last == ABSENT
        for value in _all_at(answer, path.split("."), path, may_lack=may_lack):
            wanted = types if may_lack else [*types, last]
            assert any(TYPES[kind](value) for kind in wanted), f"{path} is {value!r}, not {kinds}"


def _all_at(value: Any, names: list[str], path: str, *, may_lack: bool) -> Iterator[Any]:
    """Every value at a path: ``a[].b`` means each item of a list, ``a{}.b`` each value of an object."""
    if not names:
        yield value
        return
    name, rest = names[0], names[1:]
    bare = name.rstrip("[]{}")
    assert isinstance(value, dict), f"{path}: there is no object to read {bare} of"
    if may_lack and bare not in value:
        return
    assert bare in value, f"{path} is missing"
    inner = value[bare]
    items = inner if name.endswith("[]") else list(inner.values()) if name.endswith("{}") else [inner]
    for item in items:
        yield from _all_at(item, rest, path, may_lack=may_lack)


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name)
    return value


def _filled(template: Any, known: Mapping[str, Any]) -> Any:
    """The template with the values that its places name; a place that stands alone keeps the value's type."""
    if isinstance(template, dict):
        return {_filled(name, known): _filled(value, known) for name, value in template.items()}
    if not isinstance(template, str):
        return template
    if alone := PLACE.fullmatch(template):
        return _at(known, alone[1])
    return PLACE.sub(lambda place: str(_at(known, place[1])), template)
