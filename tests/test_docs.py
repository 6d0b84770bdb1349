"""Code in the texts runs, every public name has its page, and the site works in a browser."""

import ast
import doctest
import functools
import http.server
import importlib.util
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import threading
import tomllib
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


def sections(path):
    """Title and text of each second-level section of a page, from the one before the first."""
    parts = re.split(r"^## (.*)$", path.read_text(), flags=re.MULTILINE)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


def installed_by(text):
    """Names of the packages that a text says to install, with those of our extras."""
    found = set()
    for words in re.findall(r"pip install ([^`\n#]+)", text):
        for word in re.split(r"[\s']+", words):
            extras = re.fullmatch(r"(?:\.|skce)\[(.*)\]", word)
            names = extras[1].split(",") if extras else ()
            found |= {word}.union(*(EXTRAS.get(name, ()) for name in names))
    return found


def imported(code):
    """Names of the packages that some code imports."""
    return {
        name.split(".")[0]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if hasattr(node, "module") else [n.name for n in node.names])
    }


EXTRAS = {
    "array-api": {"array_api_compat", "torch"},
    "dask": {"dask", "distributed"},
    "parquet": {"pyarrow"},
    "plot": {"matplotlib"},
}
#: Packages whose names differ from those of their modules.
MODULE_OF = {"crowd-kit": "crowdkit", "xgboost-cpu": "xgboost"}
EVERYWHERE = {"numpy", "scipy", "sklearn", "skce", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_examples_in_pages(path):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    names, installed = {"__name__": "__main__"}, set()
    for title, text in sections(path):
        here = f"{path.name}, {title}"
        installed |= {MODULE_OF.get(name, name) for name in installed_by(text)}
        found = parser.get_doctest(text, names, here, str(path), 0)
        used = imported("".join(example.source for example in found.examples))
        assert used <= EVERYWHERE | installed, f"{here}: say how to install {used - EVERYWHERE}"
        if all(map(importlib.util.find_spec, used)):
            assert runner.run(found, clear_globs=False).failed == 0
            names = found.globs


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_snippets_without_prompts_run(path, tmp_path):
    for title, text in sections(path):
        for code in re.findall(r"^```python\n((?!>>>).*?)^```", text, re.MULTILINE | re.DOTALL):
            if not all(map(importlib.util.find_spec, imported(code))):
                continue
            if "torch" in code:
                pytest.importorskip("array_api_compat")
                pytest.importorskip("sklearn", minversion="1.9")
            environment = (
                os.environ | {"SCIPY_ARRAY_API": "1"} if "SCIPY_ARRAY_API" in text else None
            )
            command = [sys.executable, "-W", "error::UserWarning", "-c", code]
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{path.name}, {title}: {done.stderr}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_in_pages_fits_beside_the_navigation(path):
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        long = [line for line in code.splitlines() if len(line) > 92]
        assert not long


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_public_names_have_an_example_and_a_page(module, name):
    found = getattr(PUBLIC[module], name)
    if callable(found) and not issubclass(type(found), type(skce.metrics.neg_log_loss_scorer)):
        assert "\n    >>> " in found.__doc__
    api = CHECKOUT / "docs" / "api.md"
    if api.exists() and (module, name) != ("skce", "log_loss"):  # it is skce.metrics.log_loss
        assert re.search(rf"^   {name}$", api.read_text(), re.MULTILINE)


@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), SoftmaxClassifierCV(Cs=[1])])
def test_diagram_of_an_estimator_links_to_its_page(estimator):
    html = estimator_html_repr(estimator.fit(*load_iris(return_X_y=True)))
    name = type(estimator).__name__
    url = f"https://skce.readthedocs.io/en/stable/generated/skce.{name}.html"
    assert url in html
    if SITE.exists():
        assert (SITE / "generated" / f"skce.{name}.html").exists()


# ------------------------------------------------------------------------------ pictures
@pytest.mark.parametrize("name", PUBLIC["skce.displays"].__all__)
def test_displays_have_a_picture_on_their_page(name):
    script = CHECKOUT / "docs" / "pictures" / f"{name}.py"
    assert len(ast.get_docstring(ast.parse(script.read_text())).split()) >= 5
    if SITE.exists():
        assert f"{name}.png" in (SITE / "generated" / f"skce.displays.{name}.html").read_text()


def labels_of(figure):
    """Texts of a figure that are drawn, and its legends, with their boxes."""
    figure.canvas.draw()
    texts, legends = [*figure.texts], [*figure.legends]
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        legends += [ax.get_legend()] if ax.get_legend() else []
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            shown = [tick for tick in ticks if low <= tick.get_loc() <= high]
            texts += [text for tick in shown for text in (tick.label1, tick.label2)]
    renderer = figure.canvas.get_renderer()
    for text in texts:
        if text.get_visible() and text.get_text().strip():
            yield text.get_text(), text.get_window_extent(renderer)
    for legend in legends:
        yield "the legend", legend.get_window_extent(renderer)


def misplaced(figure):
    """Labels of a figure that overlap or are cut off at its edge."""
    found, slack = list(labels_of(figure)), 1.0
    wrong = []
    for i, (name, box) in enumerate(found):
        if not (
            box.x0 >= -slack
            and box.y0 >= -slack
            and box.x1 <= figure.bbox.width + slack
            and box.y1 <= figure.bbox.height + slack
        ):
            wrong.append(f"{name!r} is cut off")
        for other, there in found[:i]:
            width = min(box.x1, there.x1) - max(box.x0, there.x0)
            height = min(box.y1, there.y1) - max(box.y0, there.y0)
            if width > slack and height > slack:
                wrong.append(f"{name!r} is over {other!r}")
    return wrong


def pictures_in(path):
    """Sources of the pictures of a page."""
    blocks = re.findall(r"^\.\. plot::\n((?:   .*\n|\n)*)", path.read_text(), flags=re.MULTILINE)
    for block in blocks:
        lines = [line[3:] for line in block.splitlines() if not re.match(r"   :[\w-]+:", line)]
        yield "\n".join(lines)


SCRIPTS = sorted([*CHECKOUT.glob("examples/plot_*.py"), *CHECKOUT.glob("docs/pictures/*.py")])
PICTURES = [(path.name, path.read_text()) for path in SCRIPTS] + [
    (f"{path.name} {i}", source)
    for path in PAGES
    for i, source in enumerate(pictures_in(path))
    if source.strip()
]


#: Output of examples that shows what their text says.
PRINTED = {
    "plot_alligators.py": "largest difference from the published ones: 0.00",
    "plot_annotators.py": "shares    log-loss 0.9",
    "plot_calibration.py": "best temperature 2.",
    "plot_unscaled_columns.py": "LogisticRegression() stopped 90% above the optimum",
}


@pytest.mark.parametrize(("name", "source"), PICTURES, ids=[name for name, _ in PICTURES])
def test_labels_in_pictures_do_not_overlap(name, source, monkeypatch, capsys):
    plt = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("pandas")
    plt.switch_backend("agg")
    wrong = []

    def show():
        for number in plt.get_fignums():
            wrong.extend(misplaced(plt.figure(number)))
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.chdir(CHECKOUT / "docs")
    in_page = {"figure.constrained_layout.use": True, "figure.figsize": (6, 4), "font.size": 11}
    with plt.rc_context({} if name.startswith("plot_") else in_page):
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
        show()
    assert not wrong
    assert PRINTED.get(name, "") in capsys.readouterr().out


def test_labels_that_overlap_are_found():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure, ax = plt.subplots()
    ax.text(0.5, 0.5, "one")
    assert not misplaced(figure)
    ax.text(0.52, 0.5, "two")
    ax.text(0.95, 0.1, "a long text at the edge")
    assert misplaced(figure) == ["'two' is over 'one'", "'a long text at the edge' is cut off"]
    plt.close(figure)


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
    """Open a page. Return it, and the errors."""
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


#: Elements of a page that do not fit: wider than their container, or with text that is cut off.
MISFITS = """() => {
    const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
    const name = e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 60);
    const wrong = [];
    for (const e of document.querySelectorAll('header *, main *, footer *')) {
        const box = e.getBoundingClientRect(), style = getComputedStyle(e);
        if (!box.width || !e.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        if (e.closest('mjx-container > *, span.math, svg, .sk-top-container, dialog, .visually-hidden, .sr-only, .headerlink')) continue;
        let inside = e.parentElement;
        while (inside !== document.body && !scrolls(inside)) inside = inside.parentElement;
        if (inside === document.body && box.right > innerWidth + 1) wrong.push('wide ' + name(e));
        const over = e.scrollWidth > e.clientWidth + 1;
        const hides = ['hidden', 'clip'].includes(style.overflowX) || style.textOverflow === 'ellipsis';
        if (over && hides && e.clientWidth) wrong.push('cut ' + name(e));
        if (over && e.matches('.bd-sidebar, .bd-sidebar-secondary')) wrong.push('scrolls ' + name(e));
        const columns = innerWidth < 600 && e.closest('.columns');  // of a printed table
        if (over && e.tagName === 'PRE' && !columns) wrong.push('scrolls ' + name(e));
        if (over && e.tagName === 'MJX-CONTAINER') wrong.push('scrolls ' + name(e));
        if (e.tagName === 'IMG' && box.width < 0.9 * Math.min(e.naturalWidth, innerWidth - 80)
            && !e.srcset && innerWidth > 400 && !e.closest('.sphx-glr-thumbcontainer, .navbar-brand, .navbar-header-items__start'))
            wrong.push(`shrunk to ${box.width} of ${e.naturalWidth}: ${e.src}`);
    }
    return wrong;
}"""
SCROLLING = """() => [...document.querySelectorAll('table')]
    .filter(t => t.scrollWidth > t.clientWidth + 1 && !t.closest('.sk-top-container')).map(t => t.textContent.trim().slice(0, 60))"""
#: Heights of the middles of the elements of the header.
HEADER = """() => [...document.querySelectorAll(
        'header .navbar-nav > li, header .search-button-field, header .theme-switch-button')]
    .filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect())
    .map(box => (box.top + box.bottom) / 2)"""
#: Pages of tables with more columns than fit beside the navigation: they scroll inside themselves.
WIDE_TABLES = ("benchmarks.html",)


def at_rest(tab, source):
    """Wait until formulas and pictures are drawn."""
    if 'class="math' in source:
        tab.wait_for_selector("mjx-container", timeout=20_000)
        tab.evaluate("() => MathJax.startup.promise.then(() => null)")
    tab.evaluate("() => document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    tab.wait_for_function("() => [...document.images].every(i => i.complete)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [p for p in SITE_PAGES if not p.startswith("genindex")])
def test_page_fits_and_has_contrast(browser, url, page, scheme):
    tab, wrong = look(browser, url, page, scheme=scheme, width=390)
    at_rest(tab, (SITE / page).read_text())
    assert not wrong
    for width in (390, 1280, 1920):
        tab.set_viewport_size({"width": width, "height": 900})
        wrong += [f"{width} pixels: {misfit}" for misfit in tab.evaluate(MISFITS)]
        if tab.evaluate("() => document.documentElement.scrollWidth") > width:
            wrong.append(f"{width} pixels: the page scrolls")
        if width > 390:
            if page not in WIDE_TABLES:
                wrong += [f"{width} pixels: a table scrolls: {t}" for t in tab.evaluate(SCROLLING)]
            centres = tab.evaluate(HEADER)
            assert max(centres) - min(centres) < 20, "the header has more than one row"
    assert not wrong
    text, paper = tab.evaluate(
        """() => { const style = getComputedStyle(document.querySelector('h1'));
            return [style.color, getComputedStyle(document.body).backgroundColor] }"""
    )
    assert abs(luminance(text) - luminance(paper)) > 0.5
    assert (luminance(paper) < 0.5) == (scheme == "dark")
    tab.context.close()


#: Spans of output in columns: how many boxes each takes, and its text.
OUTPUT = """() => [...document.querySelectorAll('.columns pre .go')].map(
    line => [line.getClientRects().length, line.textContent])"""


def test_printed_tables_keep_their_columns_on_a_phone(browser, url):
    tab, _ = look(browser, url, "guide/inference.html", scheme="light", width=390)
    lines = tab.evaluate(OUTPUT)
    assert [text.strip() for _, text in lines if "-9.61" in text] == [
        "1     mean texture        -0.29       0.03  -9.61  -0.34  -0.23"
    ]
    assert all(n_boxes == text.rstrip().count("\n") + 1 for n_boxes, text in lines)
    tab.context.close()


#: Words of code in tables, and whether they are split within a word.
SPLIT = """() => {
    const range = document.createRange(), wrong = [];
    for (const text of document.querySelectorAll('td .pre, th .pre'))
        for (const node of text.childNodes) {
            if (node.nodeType !== 3) continue;
            range.selectNodeContents(node);
            const tops = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
            if (tops.size > 1 && !/\\s/.test(node.textContent)) wrong.push(node.textContent);
        }
    return wrong;
}"""


@pytest.mark.parametrize(
    "page", [p for p in SITE_PAGES if p.startswith("guide/") or p in ("api.html", "index.html")]
)
@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_tables_are_not_split_within_a_word(browser, url, page, width):
    tab, _ = look(browser, url, page, scheme="light", width=width)
    assert not tab.evaluate(SPLIT)
    tab.context.close()


@pytest.mark.parametrize("page", SITE_PAGES)
def test_pictures_have_alternative_texts(page):
    for image in re.findall(r"<img [^>]*>", (SITE / page).read_text()):
        alt = re.search(r'alt="([^"]*)"', image)
        assert alt, image
        assert len(alt[1].split()) >= 5, image


def test_every_page_links_to_the_repository_once_it_has_an_address():
    urls = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["urls"]
    addresses = [urls[name] for name in ("Repository", "Source") if name in urls]
    if not addresses:
        pytest.skip("pyproject.toml has no address of a repository")
    assert addresses[0] in (SITE / "index.html").read_text()


GUIDE = [page for page in SITE_PAGES if page.startswith("guide/")]


@pytest.mark.parametrize("page", GUIDE)
def test_guide_has_previous_and_next(page):
    source = (SITE / page).read_text()
    assert 'class="left-prev"' in source
    assert 'class="right-next"' in source


@pytest.mark.parametrize("page", [p for p in SITE_PAGES if re.match(r"auto_examples/\w+\.html", p)])
def test_example_has_a_notebook(page):
    if page in ("auto_examples/index.html", "auto_examples/sg_execution_times.html"):
        return
    link = re.search(r'href="([^"]*\.ipynb)"', (SITE / page).read_text())
    notebook = json.loads((SITE / page).parent.joinpath(link[1]).read_text())
    assert any(cell["cell_type"] == "code" for cell in notebook["cells"])


def luminance(colour):
    red, green, blue = (float(x) / 255 for x in re.findall(r"[\d.]+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


#: The first result of each search.
SEARCHES = {
    "SoftmaxClassifier": "generated/skce.SoftmaxClassifier.html",
    "BCELoss": "guide/cross_entropy.html",
    "KL": "guide/cross_entropy.html",
    "cross-entropy": "guide/cross_entropy.html",
    "temperature": "guide/scoring.html",
    "linear probe": "guide/linear_probes.html",
    "annotators": "guide/annotators.html",
    "separation": "guide/convergence.html",
    "XGBoost": "guide/comparison.html",
    "AIC": "guide/inference.html",
    "odds ratio": "guide/inference.html",
    "offset": "guide/model.html",
    "missing labels": "guide/targets.html",
}


@pytest.mark.parametrize("query", SEARCHES)
def test_search_finds_the_right_page_first(browser, url, query):
    tab, wrong = look(browser, url, f"search.html?q={query}", scheme="light", width=1280)
    tab.wait_for_function(
        "() => /found|match/.test(document.querySelector('.search-summary')?.textContent ?? '')"
    )
    first = tab.locator("#search-results li a").first.get_attribute("href")
    assert first.split("#")[0].split("?")[0] == SEARCHES[query]
    assert not wrong
    tab.context.close()


def test_theme_can_be_switched(browser, url):
    tab, _ = look(browser, url, "index.html", scheme="light", width=1280)
    assert tab.evaluate("() => document.documentElement.dataset.theme") == "light"
    tab.evaluate("() => localStorage.setItem('mode', 'dark')")
    tab.reload()
    assert tab.evaluate("() => document.documentElement.dataset.theme") == "dark"
    tab.context.close()
