"""Structured logging to standard output and to ``server.log`` (SPEC A5.5).

Several processes share the file, so it is rotated under a lock (concurrent-log-handler).
"""

import logging.config
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor

from simpletuner_cloud import env

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS = ("logfmt", "json")
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5


def configure(file: Path) -> None:
    """Set up logging for this process. ``SIMPLETUNER_PROCESS`` names it in every line."""
    level = env.text("SIMPLETUNER_LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise ImproperlyConfigured(f"SIMPLETUNER_LOG_LEVEL must be one of {', '.join(LEVELS)}; it is {level!r}.")
    form = env.text("SIMPLETUNER_LOG_FORMAT", "logfmt").lower()
    if form not in FORMATS:
        raise ImproperlyConfigured(f"SIMPLETUNER_LOG_FORMAT must be one of {', '.join(FORMATS)}; it is {form!r}.")
    process = env.text("SIMPLETUNER_PROCESS", "manage")

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
        structlog.processors.JSONRenderer(ensure_ascii=False)
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


def _stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write down when it happened. Each handler formats a library's record anew, so its own time counts."""
    record = event.get("_record")
    moment = datetime.fromtimestamp(record.created if record else time.time(), UTC)
    event["timestamp"] = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event
