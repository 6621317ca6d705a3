"""How the site is built: ``make site`` reads the pages where they lie and writes ``build/site``.

The source folder is the repository, not ``docs``, so that links between pages, notebooks and code are the same on the
site and in the repository. Notebooks are shown as they are stored, and nothing is fetched.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
version = importlib.import_module("srtoolkit.version").__version__

project = "srtoolkit"
author = "The srtoolkit developers"
release = version
copyright = author

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs.public_names"]
root_doc = "README"
include_patterns = [
    "README.md",
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
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["front"]

#: The pages in order, put under the README, which is the first of them and is read on GitHub, too.
CONTENTS = """
```{toctree}
:hidden:
:caption: Use it
docs/recipes/index
docs/faq
docs/panels
docs/models
docs/from-laptop-to-cluster
docs/calls
docs/api/index
```

```{toctree}
:hidden:
:caption: What was found
docs/claims
docs/beyond
docs/verdicts
docs/paper
docs/notebooks
```

```{toctree}
:hidden:
:caption: How it works
docs/how-it-works
docs/glossary
docs/families
docs/benchmarks
docs/architecture
srtoolkit/suite/MODEL_CARD
CONTRIBUTING
CHANGELOG
```
"""


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the pages' order under the first page.

    Args:
        app: Sphinx.
        page: Name of the page that is read.
        source: Its text, as the one item of a list.
    """
    if page == app.config.root_doc:
        source[0] += CONTENTS


def setup(app: Sphinx) -> None:
    """Have the pages' order added.

    Args:
        app: Sphinx.
    """
    app.connect("source-read", add_contents)
