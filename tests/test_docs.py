"""What is written runs, every public name has its page, and the built site works in a browser."""

import doctest
import functools
import http.server
import importlib
import os
import pkgutil
import re
import shutil
import threading
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.utils import estimator_html_repr

import skce
from skce import SoftmaxClassifier, SoftmaxClassifierCV

CHECKOUT = Path(__file__).parent.parent
SITE = Path(os.environ.get("SKCE_SITE", CHECKOUT / "docs" / "_build" / "html"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [
    "skce",
    *(m.name for m in pkgutil.walk_packages(skce.__path__, "skce.") if m.name != "skce.displays"),
]
PAGES = sorted([CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md")])
PUBLIC = {"skce": skce, "skce.metrics": skce.metrics} | {
    name: importlib.import_module(name)
    for name in (
        "skce.data",
        "skce.dask",
        "skce.displays",
        "skce.inference",
        "skce.model_selection",
    )
}
NAMES = [
    (module, name)
    for module, found in PUBLIC.items()
    for name in found.__all__
    if name not in ("__version__", "metrics")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_examples_in_comments_of_scorers():
    source = Path(importlib.import_module("skce.metrics._scorers").__file__).read_text()
    lines = [line[2:].strip() if line[:2] == "#:" else "" for line in source.splitlines()]
    found = doctest.DocTestParser().get_doctest("\n".join(lines), {}, "scorers", "scorers", 0)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(found)
    assert result.failed == 0
    assert result.attempted > 8


def test_examples_in_docstrings_of_displays():
    pytest.importorskip("matplotlib").use("agg")
    assert doctest.testmod(importlib.import_module("skce.displays"), optionflags=FLAGS).failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_examples_in_pages(path):
    pytest.importorskip("pandas")
    found = doctest.testfile(str(path), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert found.failed == 0


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_public_names_have_an_example_and_a_page(module, name):
    found = getattr(PUBLIC[module], name)
    if callable(found) and not issubclass(type(found), type(skce.metrics.neg_log_loss_scorer)):
        assert "\n    >>> " in found.__doc__
    api = CHECKOUT / "docs" / "api.md"
    if api.exists() and (module, name) != ("skce", "log_loss"):  # it is that of skce.metrics
        assert re.search(rf"^   {name}$", api.read_text(), re.MULTILINE)


@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), SoftmaxClassifierCV(Cs=[1])])
def test_diagram_of_an_estimator_links_to_its_page(estimator):
    html = estimator_html_repr(estimator.fit(*load_iris(return_X_y=True)))
    name = type(estimator).__name__
    url = f"https://skce.readthedocs.io/en/stable/generated/skce.{name}.html"
    assert url in html
    if SITE.exists():
        assert (SITE / "generated" / f"skce.{name}.html").exists()


# ------------------------------------------------------------------------------ the built site
class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def url():
    if not SITE.exists():
        pytest.skip("the site is not built: sphinx-build -W -n docs docs/_build/html")
    handler = functools.partial(_Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


SITE_PAGES = sorted(
    str(path.relative_to(SITE))
    for path in SITE.rglob("*.html")
    if not {"_static", "_downloads", "plot_directive"} & set(path.relative_to(SITE).parts)
)


def look(browser, url, page, *, scheme, width):
    """Open a page; return it with what went wrong."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    tab, wrong = context.new_page(), []
    tab.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda r: None if r.url.startswith((url, "data:")) else wrong.append(r.url))
    tab.on("response", lambda r: wrong.append(r.url) if r.status >= 400 else None)
    tab.goto(url + page, wait_until="load")
    return tab, wrong


@pytest.mark.parametrize("page", SITE_PAGES)
def test_page_is_whole_and_needs_no_network(browser, url, page):
    tab, wrong = look(browser, url, page, scheme="light", width=1280)
    source = (SITE / page).read_text()
    if 'class="math' in source:
        tab.wait_for_selector("mjx-container", timeout=20_000)
        assert tab.locator("mjx-merror").count() == 0
    tab.evaluate("() => document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    tab.wait_for_function("() => [...document.images].every(i => i.complete)")
    broken = tab.evaluate("() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
    assert not broken
    assert not wrong
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "page", [p for p in SITE_PAGES if not p.startswith(("generated/skce.metrics", "genindex"))]
)
def test_page_fits_a_phone_and_has_contrast(browser, url, page, scheme):
    tab, wrong = look(browser, url, page, scheme=scheme, width=390)
    assert not wrong
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 390
    text, paper = tab.evaluate(
        """() => { const style = getComputedStyle(document.querySelector('h1'));
            return [style.color, getComputedStyle(document.body).backgroundColor] }"""
    )
    assert abs(luminance(text) - luminance(paper)) > 0.5
    assert (luminance(paper) < 0.5) == (scheme == "dark")
    tab.context.close()


def luminance(colour):
    red, green, blue = (float(x) / 255 for x in re.findall(r"[\d.]+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_search_finds_the_estimator(browser, url):
    tab, wrong = look(browser, url, "search.html?q=SoftmaxClassifier", scheme="light", width=1280)
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    tab.wait_for_function(
        "() => [...document.querySelectorAll('#search-results li a')]"
        ".some(a => a.href.includes('generated/skce.SoftmaxClassifier.html'))"
    )
    assert not wrong
    tab.context.close()


def test_theme_can_be_switched(browser, url):
    tab, _ = look(browser, url, "index.html", scheme="light", width=1280)
    assert tab.evaluate("() => document.documentElement.dataset.theme") == "light"
    tab.evaluate("() => localStorage.setItem('mode', 'dark')")
    tab.reload()
    assert tab.evaluate("() => document.documentElement.dataset.theme") == "dark"
    tab.context.close()
