"""What went wrong, in one line: what a file or an argument did is told plainly, a bug of ours says that it is one."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

NO_ROOM = "can't allocate memory"  # what torch says of a processor's
EXPECTED = (ValueError, TypeError, ImportError, FloatingPointError)


def sentence(error: BaseException) -> str:
    """One line for a person at a command line.

    Errors of ours are sentences already. What Python raises of itself says where it comes from: in the code of a user's
    model, or in ours, which is then a bug.

    Example:
        >>> sentence(FileNotFoundError(2, "No such file or directory", "a.png"))
        'a.png: No such file or directory'
    """
    if isinstance(error, OSError):
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or NO_ROOM in str(error):
        told = f"there is not enough memory: {error}" if str(error) else "there is not enough memory"
    elif isinstance(error, RecursionError):
        told = "something is nested too deeply to be read"
    elif isinstance(error, EXPECTED) and str(error):
        told = str(error)
    else:
        told = _unexpected(error)
    return " ".join(told.split()) or type(error).__name__


def _unexpected(error: BaseException) -> str:
    what = f"{type(error).__name__}: {error}"
    frames = extract_tb(error.__traceback__)
    if not frames:
        return what
    last, ours = frames[-1], str(Path(__file__).parents[1])
    where = f"{last.filename}, line {last.lineno}"
    if not last.filename.startswith(ours):
        # torch raises in its own files; what called it last outside of libraries is the place that a person can mend
        own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((ours, "<"))]
        if own and not own[-1].filename.endswith(("bin/xsiamese", "__main__.py")):
            return f"{what} ({own[-1].filename}, line {own[-1].lineno})"
    return f"this is a bug of xsiamese: {what} ({where}); please report it with what --traceback and --version print"
