"""Rules about which requests go wrong, and how. Deciding is here; doing it is in `interference`."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from random import Random
from typing import Any


class FaultKind(StrEnum):
    LATENCY = "latency"
    """Wait, then answer as usual."""
    STATUS = "status"
    TIMEOUT = "timeout"
    """Never answer; the connection is dropped after `seconds`."""
    RESET = "reset"
    """Drop the connection without a word."""
    HALF_BODY = "half_body"
    """Promise the whole body, send half of it and drop the connection."""
    BAD_JSON = "bad_json"
    """A complete answer whose JSON ends half-way."""
    HTML = "html"
    """A proxy's error page, with status 200 unless another is given."""
    NULL_BODY = "null_body"
    LIST_BODY = "list_body"
    UNKNOWN_STATUS = "unknown_status"
    """The usual answer with a job status that no specification knows."""
    HUGE_BODY = "huge_body"
    """The usual answer inside `size_bytes` of padding."""
    TOO_MANY_REQUESTS = "429"
    LOST_ANSWER = "lost_answer"
    """Do what is asked, then drop the connection after `seconds` without a word of it."""
    LATE_LIST = "late_list"
    """The usual list without the jobs that are younger than `seconds`."""


@dataclass
class FaultRule:
    """One rule. `path` is a glob in which `*` also crosses slashes, or a regular expression if it starts with `^`."""

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    status: int | None = None
    retry_after: str | None = None
    seconds: float | None = None
    body: Any = None
    size_bytes: int = 50_000_000
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    hits: int = 0
    _dice: Random = field(default_factory=Random, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)

    @classmethod
    def from_json(cls, content: Any) -> FaultRule:
        """Read a rule from the control API's body. Raises ValueError and says what is wrong with it."""
        if not isinstance(content, dict) or "kind" not in content:
            raise ValueError("a fault is an object with at least a kind")
        values = {**content, **content.get("match", {})}
        values.pop("match", None)
        allowed = {name for name in cls.__dataclass_fields__ if name not in ("hits", "_dice")}
        if unknown := values.keys() - allowed:
            raise ValueError(f"unknown keys of a fault: {', '.join(sorted(unknown))}")
        values["kind"] = FaultKind(str(values["kind"]))
        if values.get("retry_after") is not None:
            values["retry_after"] = str(values["retry_after"])
        rule = cls(**values)
        if rule.path and rule.path.startswith("^"):
            try:
                re.compile(rule.path)
            except re.error as error:
                raise ValueError(f"path: {error}") from error
        return rule

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is to suffer; counts it if so."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method is not None and self.method.upper() != method:
            return False
        if self.path is not None and not self._matches(path):
            return False
        if self.probability < 1.0 and self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def _matches(self, path: str) -> bool:
        pattern = self.path or ""
        return bool(re.search(pattern, path)) if pattern.startswith("^") else fnmatch.fnmatchcase(path, pattern)


class FaultBook:
    """The rules in force, in the order in which they were given."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, rule: FaultRule) -> None:
        self.rules.append(rule)

    def clear(self) -> None:
        self.rules.clear()

    def judge(self, method: str, path: str) -> tuple[float, FaultRule | None]:
        """Seconds to wait first, from every latency rule that strikes, and the first other rule that does."""
        seconds = 0.0
        for rule in self.rules:
            if rule.kind is FaultKind.LATENCY:
                if rule.strikes(method, path):
                    seconds += rule.seconds or 0.0
            elif rule.strikes(method, path):
                return seconds, rule
        return seconds, None
