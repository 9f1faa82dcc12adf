"""Sphinx builds the pages of this folder: `make docs`, into build/docs."""

import sys
from pathlib import Path

from rmqwork import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "rmqwork"
html_show_copyright = False
version = release = __version__

extensions = [
    "docstrings",
    "myst_parser",
    "plain_help",
    "public_names",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
nitpicky = True
default_role = "py:obj"  # single backticks in docstrings name Python objects
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 3  # links to headings work as they do on GitHub

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "exclude-members": "model_config",
    "show-inheritance": True,
    # Those of our private bases, but not those of the classes named here.
    "inherited-members": "BaseException, BaseModel, Enum, dict, str, tuple",
}
napoleon_numpy_docstring = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_title = f"rmqwork {version}"
