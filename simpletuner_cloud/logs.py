"""Structured logging to standard output and to ``server.log`` (SPEC A5.5).

Several processes share the file, so it is rotated under a lock (concurrent-log-handler).
"""

import json
import logging.config
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor

from jobs.known_secrets import without_secrets
from simpletuner_cloud import env

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS = ("logfmt", "json")
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5
# The name of a process that a person started and looks at.
PERSONS_PROCESS = "manage"
DEEPEST = 20
# Control characters, and what some readers take for the end of a line.
ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}

logger = structlog.get_logger(__name__)


def configure(file: Path) -> None:
    """Set up logging for this process. ``SIMPLETUNER_PROCESS`` names it in every line."""
    level = env.text("SIMPLETUNER_LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise ImproperlyConfigured(f"SIMPLETUNER_LOG_LEVEL must be one of {', '.join(LEVELS)}; it is {level!r}.")
    form = env.text("SIMPLETUNER_LOG_FORMAT", "logfmt").lower()
    if form not in FORMATS:
        raise ImproperlyConfigured(f"SIMPLETUNER_LOG_FORMAT must be one of {', '.join(FORMATS)}; it is {form!r}.")
    process = env.text("SIMPLETUNER_PROCESS", PERSONS_PROCESS)
    _make_writable(file)

    def name_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    def drop_coloured_copy(_logger: object, _method: str, event: EventDict) -> EventDict:
        # uvicorn says everything twice, once in colours.
        event.pop("color_message", None)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        name_process,
        _stamp,
        structlog.stdlib.ExtraAdder(),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_to_json)
        if form == "json"
        else structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "process", "event"], bool_as_flag=False, drop_missing=True
        )
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "logfmt": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        drop_coloured_copy,
                        structlog.processors.format_exc_info,
                        renderer,
                        _mask_secrets,
                        _keep_to_one_line,
                    ],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {
                "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "logfmt"},
                "file": {
                    "class": "concurrent_log_handler.ConcurrentRotatingFileHandler",
                    "filename": os.fspath(file),
                    "maxBytes": FILE_BYTES,
                    "backupCount": FILES_KEPT,
                    "encoding": "utf-8",
                    "formatter": "logfmt",
                },
            },
            "root": {"handlers": ["stdout", "file"], "level": level},
            "loggers": {
                # A page that is open all day asks every few seconds: not a line for each.
                "uvicorn.access": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "django.request": {"level": "ERROR"},
                # At DEBUG they write down all that a page or a statement was given, secrets too.
                "django.template": {"level": "INFO"},
                "django.db.backends": {"level": "INFO"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    threading.excepthook = _log_end_of_thread
    if process != PERSONS_PROCESS:
        # Nobody sits before it: what it says, it says in the log.
        sys.excepthook = _log_end_of_process
        logging.captureWarnings(True)


def _make_writable(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImproperlyConfigured(
            f"The log file {file} (SIMPLETUNER_LOG_FILE) cannot be written: {reason}."
        ) from error
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(
            f"The log file {file} (SIMPLETUNER_LOG_FILE) cannot be rotated: its directory is not writable."
        )


def _to_json(event: EventDict, **_: object) -> str:
    """One JSON object, whatever was logged: JSON knows no NaN, no keys but strings, and few of Python's objects."""
    try:
        return json.dumps(event, ensure_ascii=False, allow_nan=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_plain(event, DEEPEST), ensure_ascii=False, allow_nan=False)


def _plain(value: object, depth: int) -> object:
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth and isinstance(value, Mapping):
        return {str(key): _plain(inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth - 1) for inner in value]
    try:
        return repr(value)
    except RecursionError:
        return f"<{type(value).__name__}>"


def _mask_secrets(_logger: object, _method: str, line: str) -> str:
    """Nobody logs one; an error of a library may."""
    return without_secrets(line)


def _keep_to_one_line(_logger: object, _method: str, line: str) -> str:
    """Escape what a terminal or a reader of lines would act on, and what is no UTF-8."""
    return line.translate(ESCAPED).encode("utf-8", "backslashreplace").decode()


def _log_end_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, Exception):
        logger.critical("process ends for an error that nobody caught", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def _log_end_of_thread(end: threading.ExceptHookArgs) -> None:
    if end.exc_value is not None and isinstance(end.exc_value, Exception):
        logger.error(
            "thread ends for an error that nobody caught",
            thread=end.thread.name if end.thread else None,
            exc_info=(end.exc_type, end.exc_value, end.exc_traceback),
        )


def _stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write down when it happened. Each handler formats a library's record anew, so its own time counts."""
    record = event.get("_record")
    moment = datetime.fromtimestamp(record.created if record else time.time(), UTC)
    event["timestamp"] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event
