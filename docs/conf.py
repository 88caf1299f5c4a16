"""Sphinx's settings: `nox -s docs` builds the site into docs/_build."""

from __future__ import annotations

from policy import __version__

project = "lock-policy"
author = "the lock-policy developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "llms.txt"]

# Sphinx warns of a link that leads nowhere, and `-W` makes an error of it.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!policy\.\w+$).*")
]  # only public names have a place; Python's own pages need a network

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.strikethrough"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_use_ivar = True

default_role = "code"  # single backquotes in docstrings
smartquotes_action = "qe"  # quotes and dots; a dash would make another option of --no-config

html_theme = "furo"
html_title = f"lock-policy {release}"
html_extra_path = ["llms.txt"]
html_static_path = ["_static"]  # the playground
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f", "color-brand-content": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd3a4", "color-brand-content": "#5fd3a4"},
}
