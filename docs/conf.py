"""Sphinx: ``sphinx-build -W -b html docs docs/_build``."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import xsiamese  # noqa: E402

project = "xsiamese"
author = "The xsiamese developers"
copyright = "2026, The xsiamese developers"  # noqa: A001
release = version = xsiamese.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "catalogue",
    "figures",
    "references",
]
# One file of MathJax 3 with its fonts inside: formulas are set where there is no network too.
MATHJAX = find_spec("sphinx-mathjax-offline")
if MATHJAX is None:
    raise ImportError('formulas need pip install "xsiamese[docs]"')
html_static_path = ["_static", str(Path(str(MATHJAX.origin)).parent / "static" / "mathjax" / "tex-svg.js")]
mathjax_path = "tex-svg.js"

exclude_patterns = ["_build", "measurements", "auto_examples/**/GALLERY_HEADER.rst"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"xsiamese\.(model\.decision\.Score|(\w+\.)+[A-Z])"),
    ("py:.*", r"xsiamese\.branches\.layers\.(Tokens|ChannelsLast)"),
    ("py:.*", r"xsiamese_text\.matrix\.\w+"),
    ("py:.*", r"(?!xsiamese).*"),
    ("py:.*", r".*\._.*|.*\.AnyItems"),
]  # only our own public names must resolve, and no type variable
suppress_warnings = ["config.cache", "ref.python"]  # settings that hold functions; names that two rooms share

bibtex_bibfiles = ["../xsiamese/result/bibliography.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = "plain"

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what others wrote for their users does not always fit here
napoleon_use_ivar = True  # a dataclass has its fields from autodoc already
napoleon_google_docstring = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"plot_",
    "ignore_pattern": r"^(?!plot_)",  # of a file's name: the others are plugins to copy
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "image_scrapers": ("figures.scrape",),
    "reset_modules": ("matplotlib", "figures.reset"),
    "capture_repr": (),
    "doc_module": ("xsiamese", "xsiamese_captum", "xsiamese_counterfactual", "xsiamese_gradcam", "xsiamese_graph"),
    "backreferences_dir": "reference/generated/backreferences",
    "min_reported_time": 0,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,  # its tables fetch scripts from elsewhere
}

html_theme = "pydata_sphinx_theme"
html_title = "xsiamese"
html_show_sourcelink = False
# a module's reference and its source are reached by search and by links: the tree of all 340 modules beside each of
# them was a fifth of the time that the site takes to build, and a sixth of its size
html_sidebars = {"reference/generated/modules/**": [], "_modules/**": []}
# a page without neighbours has nothing to list beside it, and its text gets the room
html_sidebars |= {name: [] for name in ("getting-started", "install", "troubleshooting", "glossary", "changelog")}
html_css_files = ["xsiamese.css"]
html_context = {"default_mode": "auto"}  # said, for the theme warns in the browser's console where it is not
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "collapse_navigation": True,  # a page shows its own branch, not all pages
    "header_links_before_dropdown": 6,  # up to the examples
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}

if find_spec("matplotlib"):
    import matplotlib

    matplotlib.use("agg")
