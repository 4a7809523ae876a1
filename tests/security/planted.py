"""Secrets that are planted, and the search for them in whatever the product says or writes."""

import base64
import json
import random
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import redis
from django.apps import apps

ALPHABET = string.ascii_letters + string.digits
# Fewer characters than that may be told: the last four.
WINDOW = 8
# The one place where a token is stored, encrypted.
CIPHERTEXTS = {("jobs.ProviderCredential", "ciphertext")}


def secret(name: str, prefix: str = "", length: int = 40) -> str:
    """Something that stands nowhere else; the same at every run."""
    return prefix + "".join(random.Random(name).choices(ALPHABET, k=length))


@dataclass
class Haul:
    """Everything that was said or written, and where."""

    secrets: dict[str, str]
    places: int = 0
    leaks: list[str] = field(default_factory=list)

    def add(self, place: str, content: str | bytes) -> None:
        """Search one text. A part of a secret is a leak as well, and so is one in another spelling."""
        self.places += 1
        text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
        for name, value in self.secrets.items():
            if found := next((part for part in _parts(value) if part in text), None):
                at = text.index(found)
                self.leaks.append(f"{name} in {place}: …{text[max(at - 60, 0) : at]}[here]")

    def add_rows(self) -> None:
        """Every column of every table, but the ciphertexts."""
        for model in apps.get_models(include_auto_created=True):
            names = [
                found.name
                for found in model._meta.concrete_fields
                if (model._meta.label, found.name) not in CIPHERTEXTS
            ]
            for row in model._default_manager.values(*names):
                self.add(f"table {model._meta.label}", json.dumps(row, default=_plain, ensure_ascii=False))

    def add_redis(self, client: "redis.Redis") -> None:
        """Every key and value."""
        for key in cast("Iterable[Any]", client.scan_iter("*")):
            name = key.decode("utf-8", errors="replace") if isinstance(key, bytes) else str(key)
            self.add("a key of Redis", name)
            self.add(f"Redis {name}", repr(_value(client, key)))


def _parts(value: str) -> Iterator[str]:
    """Each stretch of the secret that is long enough to be one, and the whole in the usual encodings."""
    core = value.partition("_")[2] or value
    yield from (core[start : start + WINDOW] for start in range(len(core) - WINDOW + 1))
    encoded = base64.b64encode(value.encode()).decode()
    # Within a longer text it may begin at any of three places.
    yield encoded[:-4]
    for shift in (1, 2):
        yield base64.b64encode(b"x" * shift + value.encode()).decode()[4:-4]
    yield quote(value, safe="")
    yield value[::-1]


def _value(client: "redis.Redis", key: Any) -> object:
    kind = client.type(key)
    read: dict[str, Any] = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "list": lambda name: client.lrange(name, 0, -1),
        "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    name = kind.decode() if isinstance(kind, bytes) else str(kind)
    return read[name](key)


def _plain(value: object) -> str:
    return bytes(value).decode("utf-8", errors="replace") if isinstance(value, bytes | memoryview) else str(value)
