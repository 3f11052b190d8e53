"""Log lines with the correlation id of the request that caused them."""

import json
import logging
import sys
import time
from contextvars import ContextVar
from random import getrandbits

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="-")
"""Id of the request (``X-Request-ID``) whose work runs here; it follows actor calls and published events."""


def new_id() -> str:
    """Return 128 random bits in hexadecimal: unique, not secret (``uuid4`` asks the kernel, 5 % of a turn)."""
    return f"{getrandbits(128):032x}"


class _UtcFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class TextFormatter(_UtcFormatter):
    """``2026-01-31T12:00:00.123Z INFO [request id] message``, for a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class's name
        return f"{self.formatTime(record)} {record.levelname} [{correlation_id.get()}] {record.message}"

    def format(self, record: logging.LogRecord) -> str:
        record.asctime = ""
        return super().format(record)


class JsonFormatter(_UtcFormatter):
    """One JSON object a line, for collectors: ``time`` (UTC), ``level``, ``correlation_id``, ``message`` and more."""

    _encode = json.JSONEncoder(separators=(",", ":")).encode

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "correlation_id": correlation_id.get(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line)


def configure_logging(level: str, log_format: str) -> None:
    """Send this package's logs, and uvicorn's, to standard error in one form.

    ``log_format`` is ``text``, ``json``, or ``auto``: text on a terminal, else json.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    for name in ("multi_actor", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
    # Every request has its own lines already; an access line would be a sixth.
    logging.getLogger("uvicorn.access").disabled = True
