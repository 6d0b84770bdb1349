"""Configuration of the site: ``sphinx-build -W -n docs docs/_build/html``."""

import ast
import re
import sys
import tomllib
import warnings
import zlib
from pathlib import Path
from pydoc import locate
from types import ModuleType

from docutils import nodes
from sphinx.application import Sphinx

import skce

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the gallery imports `in_order` from here
BUILT = HERE / "generated"

_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "skce"
author = "the skce developers"
copyright = f"2026, {author}"
release = skce.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx-mathjax-offline",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "**/README.rst"]
templates_path = ["_templates"]
nitpicky = True

# The text
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
mathjax3_config = {"chtml": {"displayAlign": "left", "displayIndent": "1em"}}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The reference
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

#: Pictures of classes, for their pages: a script for each, whose docstring is the alternative text.
autosummary_context = {
    "pictures": {
        file.stem: " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split())
        for file in (HERE / "pictures").glob("*.py")
    }
}

# Pictures in pages
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 120)]
plot_rcparams = {
    "figure.constrained_layout.use": True,
    "figure.figsize": (6, 4),
    "font.size": 11,
    "savefig.facecolor": "white",
}

# The gallery
_ORDER = (
    "quickstart",
    "plot_annotators",
    "plot_distillation",
    "plot_alligators",
    "plot_unscaled_columns",
    "plot_text_lasso",
    "plot_regularization_path",
    "plot_loss_curves",
    "plot_calibration",
    "plot_pipeline",
)


def in_order(file: str) -> int:
    """Place of an example in the gallery."""
    return _ORDER.index(Path(file).stem)


sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "conf.in_order",
    "copyfile_regex": r".*\.rst",
    "reference_url": {"skce": None},
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skce",),
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "thumbnail_size": (600, 400),
    "image_srcset": ["2x"],
    "write_computation_times": False,  # a page with scripts from elsewhere
}
# How the site looks
html_theme = "pydata_sphinx_theme"
html_title = "skce"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(HERE / "_static" / "scorer.js")
html_show_sourcelink = False
html_domain_indices = False
html_context = {"default_mode": "auto"}
#: A link to the repository, once pyproject.toml has its address.
_SOURCE = next((_PROJECT["urls"][n] for n in ("Repository", "Source") if n in _PROJECT["urls"]), "")
html_theme_options = {
    "logo": {"text": "skce", "alt_text": "skce, to the front page"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "icon_links": [{"name": "Source code", "url": _SOURCE, "icon": "fa-solid fa-code-branch"}]
    if _SOURCE
    else [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
#: Pages without pages below them.
_ALONE = ("index", "getting_started", "how_it_works", "benchmarks", "changelog", "contributing")
html_sidebars = {page: [] for page in _ALONE}

# Links to other projects: from their sites or, where there is no network, from the names below.
_PAGES = {
    "sklearn": ("https://scikit-learn.org/stable/", "modules/generated/{}.html#{}"),
    "numpy": ("https://numpy.org/doc/stable/", "reference/generated/{}.html#{}"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "reference/generated/{}.html#{}"),
}
_NAMES = re.compile(r"\b(?:sklearn|numpy|scipy)(?:\.\w+)+")


def _names_used() -> set[str]:
    """Names of other projects that docstrings and pages refer to."""
    folders = [(HERE.parent / "skce", "*.py"), (HERE, "*.md"), (HERE.parent / "examples", "*.py")]
    files = [file for folder, pattern in folders for file in folder.rglob(pattern)]
    return {name for file in files for name in _NAMES.findall(file.read_text(encoding="utf-8"))}


def _inventory(package: str, names: set[str]) -> str:
    """Write an inventory of a project's names, as its own site has it."""
    page = _PAGES[package][1]
    lines = []
    for name in sorted(name for name in names if name.startswith(package + ".")):
        found = locate(name)
        if isinstance(found, ModuleType) or not callable(found):
            continue
        role = "py:class" if isinstance(found, type) else "py:function"
        lines.append(f"{name} {role} 1 {page.format(name, '$')} -")
    head = f"# Sphinx inventory version 2\n# Project: {package}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    BUILT.mkdir(exist_ok=True)
    path = BUILT / f"{package}.inv"
    path.write_bytes(head.encode() + zlib.compress("\n".join(lines).encode() + b"\n"))
    return str(path)


_used = _names_used()
intersphinx_mapping = {
    package: (url, (None, _inventory(package, _used))) for package, (url, _) in _PAGES.items()
}
intersphinx_timeout = 5


#: A line of output in columns, such as one of a data frame: gaps between words, and no prompt.
_COLUMNS = re.compile(r"^(?!>>>|\.\.\.).*\S {2,}\S", re.MULTILINE)


def _end_code_at_its_last_line(app: Sphinx, document: nodes.document) -> None:
    """Leave out the empty line that ends the output of an example, and name output in columns."""
    for block in document.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block.rawsource, block.children = text, [nodes.Text(text)]
        prints = text.startswith(">>>") or "sphx-glr-script-out" in block["classes"]
        if prints and len(_COLUMNS.findall(text)) > 1:
            block["classes"].append("columns")


#: Where a name in a table or a title may break: after punctuation, and before a capital in a word.
_BREAKS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[._(=,/:])(?=[^\W\d]|[({&])|(?<=\))(?=[(.])")


def _let_names_break(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Let long names in tables and in titles break between their words."""

    def cell(found: re.Match) -> str:
        return re.sub(
            r'(?<=<span class="pre">)[^<]+', lambda name: _BREAKS.sub("<wbr>", name[0]), found[0]
        )

    def title(found: re.Match) -> str:
        return _BREAKS.sub("<wbr>", found[0])

    if "body" in context:
        body = re.sub(r"<t[dh]\b.*?</t[dh]>", cell, context["body"], flags=re.DOTALL)
        context["body"] = re.sub(r"(?<=<h1>)[\w.]+(?=<)", title, body)


def _describe_thumbnails(app: Sphinx, document: nodes.document) -> None:
    """Give the thumbnails of examples an alternative text: what the example is about."""
    for image in document.findall(nodes.image):
        found = re.search(r"thumb/sphx_glr_(\w+)_thumb", image["uri"])
        if found:
            example = HERE.parent / "examples" / f"{found[1]}.py"
            text = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""
            image["alt"] = f"A picture of the example: {text.splitlines()[0]}"


def setup(app: Sphinx) -> None:
    """Let warnings in examples and pictures be errors, as in the tests."""
    warnings.simplefilter("error", category=UserWarning)
    app.connect("doctree-read", _end_code_at_its_last_line)
    app.connect("doctree-read", _describe_thumbnails)
    app.connect("html-page-context", _let_names_break)
