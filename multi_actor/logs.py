"""Log lines with the correlation id of the request that caused them."""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from random import getrandbits
from typing import TextIO

from pydantic_core import to_json

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="-")
"""Id of the request (``X-Request-ID``) whose work runs here; it follows actor calls and published events."""

trace_context: ContextVar[Mapping[str, str]] = ContextVar("trace_context", default={})  # noqa: B039  # never changed
"""The request's W3C trace headers (``traceparent``, ``tracestate``), for the calls that it causes."""


def new_id() -> str:
    """Return 128 random bits in hexadecimal: unique, not secret (``uuid4`` asks the kernel, 5 % of a turn)."""
    return f"{getrandbits(128):032x}"


class _UtcFormatter(logging.Formatter):
    """Keeps the second that it formatted last: it is the same for thousands of lines."""

    _second = -1
    _text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """Return ISO 8601 in UTC, to the millisecond."""
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._text}.{int(record.msecs):03d}Z"


class _BatchingHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of one round of the event loop together: a turn has five, each would be a system call.

    A warning or worse, and what is logged outside an event loop, is written at once with what waits before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def createLock(self) -> None:  # noqa: N802  # the base class's name
        """Have no lock: adding to a list and exchanging it are atomic."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
            if record.levelno >= logging.WARNING:
                self.flush()
            elif len(self._lines) == 1:
                asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # no event loop runs here
            self.flush()
        except Exception:  # noqa: BLE001  # logging's own rule: a bad record is reported, and goes no further
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines:
            self.stream.write("\n".join(lines) + "\n")
        super().flush()


class TextFormatter(_UtcFormatter):
    """``2026-01-31T12:00:00.123Z INFO [request id] message``, for a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class's name
        return f"{self.formatTime(record)} {record.levelname} [{correlation_id.get()}] {record.message}"

    def format(self, record: logging.LogRecord) -> str:
        record.asctime = ""
        return super().format(record)


class JsonFormatter(_UtcFormatter):
    """One JSON object a line, for collectors: ``time`` (UTC), ``level``, ``correlation_id``, ``message`` and more."""

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
        return to_json(line).decode()


def configure_logging(level: str, log_format: str) -> None:
    """Send this package's logs, and uvicorn's, to standard error in one form.

    ``log_format`` is ``text``, ``json``, or ``auto``: text on a terminal, else json.
    """
    # What no format of ours shows is not looked up. (https://docs.python.org/3/howto/logging.html#optimization)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # that page's own advice
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = _BatchingHandler()
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    for name in ("multi_actor", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
    root = logging.getLogger()
    if not root.handlers:  # asyncio's warnings, and those of a responder of somebody else's
        root.addHandler(handler)
    # Every request has its own lines already; an access line would be a sixth.
    logging.getLogger("uvicorn.access").disabled = True
