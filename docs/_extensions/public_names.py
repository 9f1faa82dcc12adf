"""Links of the API reference lead to public names, wherever an object is defined.

A docstring or an annotation may name an object by its short name or by the module that defines it.
Both become a link to the public name. A name of Python or of a library stays plain text: their
inventories would have to be fetched while the pages are built. A name that does not exist is left
to Sphinx, which warns.
"""

from __future__ import annotations

from pydoc import ErrorDuringImport, locate
from typing import Any, ParamSpec, TypeVar

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import rmqwork

OWN = "rmqwork"


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: Element
) -> Element | None:
    """Return the link for a Python name that Sphinx does not find, or None for its warning."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    domain = env.domains.python_domain
    if name := public_name(target, domain):
        entry = domain.objects[name]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, name)
    return text if from_annotation(node) or is_foreign(target) else None


def from_annotation(node: pending_xref) -> bool:
    """Return True for a name in a signature: mypy has checked it, and it may be private.

    Sphinx gives the parts of an annotation the role ``class``; type variables and what it cannot
    parse (``Literal[...]`` in a description) keep the default role.
    """
    target = node["reftarget"]
    return (
        node["reftype"] == "class"
        or target.startswith(("typing.~", "typing.Literal["))
        or isinstance(find(target), TypeVar | ParamSpec)
    )


def public_name(target: str, domain: PythonDomain) -> str | None:
    """Return the one documented name of an object, or None."""
    if target.startswith(f"{OWN}."):
        short = target.rpartition(".")[2]
        wanted = find(target)
        found = [
            name for name in ending(short, domain) if wanted is not None and find(name) is wanted
        ]
    else:
        found = ending(target, domain)
    return found[0] if len(found) == 1 else None


def ending(short: str, domain: PythonDomain) -> list[str]:
    """Return the documented names that end with this one."""
    return [
        name
        for name, entry in domain.objects.items()
        if name.endswith(f".{short}") and not entry.aliased
    ]


def is_foreign(target: str) -> bool:
    """Return True for a name of Python or of a library."""
    return not target.startswith(f"{OWN}.") and find(target) is not None


def find(name: str) -> object | None:
    """Import what a dotted name stands for; None if there is no such object."""
    try:
        return locate(name)
    except (ErrorDuringImport, AttributeError, ValueError):
        return None


def drop_private_bases(
    _app: Sphinx, _name: str, _cls: type, _options: object, bases: list[type]
) -> None:
    """Leave out base classes that are not public; their members are shown in the class itself."""
    public = {getattr(rmqwork, name) for name in rmqwork.__all__}
    bases[:] = [
        base
        for base in bases
        if base in public or getattr(base, "__module__", "").partition(".")[0] != OWN
    ] or [object]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the handlers."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-bases", drop_private_bases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
