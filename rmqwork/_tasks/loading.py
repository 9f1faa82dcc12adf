"""Import an app by its path ``module:attribute``, and say what went wrong if that fails."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Final

from rmqwork._tasks.evidence import is_ours, users_part
from rmqwork.errors import ConfigurationError, RmqworkError

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

_PATH: Final = re.compile(r"(?P<module>[^\W\d]\w*(\.\w+)*)(:(?P<attribute>[^\W\d]\w*(\.\w+)*))?")
_DEFAULT_ATTRIBUTE: Final = "app"
_TRACEBACK: Final = "Traceback (most recent call last)"


class AppNotLoaded(ConfigurationError):
    """An app could not be imported.

    Args:
        message: one line: what is wrong, where, and what to do.
        details: the traceback from the user's first line on, or an empty string.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details

    @property
    def report(self) -> str:
        """The message, and the details in the lines after it."""
        return "\n".join(filter(None, (str(self), self.details)))


def split_path(path: str) -> tuple[str, str]:
    """The module and the attribute of a path; the attribute is ``app`` if it names none.

    Raises:
        AppNotLoaded: it is no such path.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise AppNotLoaded(f"APP is module:attribute, such as shop.app:app, not {path!r}")
    return match["module"], match["attribute"] or _DEFAULT_ATTRIBUTE


def load_app(path: str) -> App:
    """Import an app and the modules that it includes; the working directory is searched, too.

    Args:
        path: ``module:attribute``.

    Raises:
        AppNotLoaded: there is no such module, it cannot be imported, or it has no such app.
        ConfigurationError: the app is wrong; see `App.check`.
    """
    module_name, attribute = split_path(path)
    if module_name == "__main__":
        raise AppNotLoaded(
            "a worker cannot import __main__, which is another module in every process; give the "
            "name of its file: for shop.py, shop:app"
        )
    directory = os.getcwd()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found: object = _import(module_name, path)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise AppNotLoaded(
                f"module {module_name!r} has no {attribute!r}; APP is module:attribute, where the "
                "attribute is your rmqwork.App"
            ) from None
    from rmqwork._tasks.app import App

    if not isinstance(found, App):
        raise AppNotLoaded(f"{path!r} is of type {type(found).__name__}, not a rmqwork.App")
    try:
        found.load()
    except RmqworkError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error, f"an included module of {path!r}") from error
    return found


def _import(module_name: str, path: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise AppNotLoaded(
                f"there is no module {error.name!r} (for APP {path!r}) in {os.getcwd()} or among "
                "the installed packages; run this in the project's directory, or install it"
            ) from None
        raise _failed(error, repr(module_name)) from error
    except (Exception, SystemExit) as error:
        raise _failed(error, repr(module_name)) from error


def _failed(error: BaseException, what: str) -> AppNotLoaded:
    """What an error inside the user's code comes to: one line with its place, and the traceback."""
    frame = users_part(error.__traceback__)
    if frame is None and not isinstance(error, (SyntaxError, ImportError)):
        frame = error.__traceback__  # a fault of ours
    details = "".join(traceback.format_exception(type(error), error, frame)).rstrip()
    if not details.startswith(_TRACEBACK):  # a syntax error has no frames, a group another head
        details = f"{_TRACEBACK}:\n{details}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}, line {error.lineno})"
    else:
        place = _place(frame)
    if isinstance(error, RmqworkError):  # its text says whose mistake it is
        said = str(error)
    else:
        said = traceback.format_exception_only(error)[-1].strip()
    return AppNotLoaded(f"{what} cannot be imported: {said}{place}", details)


def _place(frame: TracebackType | None) -> str:
    """The last line of the user's code that ran."""
    place = ""
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if not is_ours(name) and not name.startswith("<"):
            place = f" ({name}, line {frame.tb_lineno})"
        frame = frame.tb_next
    return place
