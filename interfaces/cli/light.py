"""Imports a library without what it loads for purposes that are not ours: a tenth of the start of every process."""

import sys
from types import ModuleType


def load_logging() -> None:
    """structlog without rich, by which it would print tracebacks with the values of variables, which we never do."""
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules["rich"] = None  # not to be found
    try:
        import structlog  # noqa: F401  # every module of ours that logs finds it loaded
    finally:
        del modules["rich"]
