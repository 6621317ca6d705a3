"""How the site is built: ``make site`` reads the pages where they lie and writes ``build/site``.

The source folder is the repository, not ``docs``, so that links between pages, notebooks and code are the same on the
site and in the repository. Notebooks are shown as they are stored, and nothing is fetched.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
version = importlib.import_module("srtoolkit.version").__version__

project = "srtoolkit"
author = "The srtoolkit developers"
release = version
copyright = author

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs.public_names"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/api/*.md",
    "docs/recipes/*.md",
    "notebooks/*.ipynb",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "srtoolkit/suite/MODEL_CARD.md",
]
exclude_patterns = [".*", "build", "dist", "node_modules", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"
nb_code_prompt_show = "Show the code"
# Verdicts are stored for machines, too, beside the table that is shown.
suppress_warnings = ["mystnb.unknown_mime_type"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # a shape such as "*point d_model" is no markup
add_module_names = False
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"srtoolkit {version}"
html_copy_source = False
html_show_sphinx = False
html_extra_path = ["front"]
