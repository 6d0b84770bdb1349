"""The structure: imports go to lower modules, no class is too long, private names in one module."""

import ast
from pathlib import Path

import pytest

import skce

ROOT = Path(skce.__file__).parent

#: Modules and packages from low to high. A module imports from lower ones and from its own package.
ROOMS = [
    ["_warnings", "_sklearn", "_threads", "_costs", "_arrays"],
    ["_checks", "_interrupts", "_callbacks", "_rows", "_hints"],
    ["_array_api", "_to_sklearn", "_prior"],
    ["_targets", "_onnx"],
    ["_losses", "_data"],
    ["_problem", "_outputs"],
    ["_solver"],
    ["metrics", "optimize", "data"],
    ["model_selection"],
    ["_linear_model"],
    ["_classifier"],
    ["_span"],
    ["_path", "_choice"],
    ["_fold"],
    ["_classifier_cv"],
    ["displays", "dask", "inference"],
    ["__init__"],
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("skce", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imports(path):
    """Names of the modules of the package that a module imports, anywhere in its code."""
    known = {name_of(other) for other in MODULES}
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
            base = ".".join([*above, *([node.module] if node.module else [])])
            base = base if node.level else node.module
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found = whole if whole in known else base
                if found in known:
                    yield found
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def room_of(module):
    return (module.split(".") + ["__init__"])[1]


def test_every_module_has_a_room():
    assert {room_of(name_of(path)) for path in MODULES} == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_import_goes_down(path):
    here = room_of(name_of(path))
    for module in imports(path):
        there = room_of(module)
        assert there == here or FLOOR[there] < FLOOR[here], f"{name_of(path)} imports {module}"


def test_no_import_goes_in_a_circle():
    graph = {name_of(path): set(imports(path)) - {name_of(path)} for path in MODULES}
    while graph:
        leaves = {module for module, below in graph.items() if not below & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {module: below for module, below in graph.items() if module not in leaves}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_private_names_of_scikit_learn_are_in_one_module(path):
    if path.name == "_sklearn.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not any(name.startswith("_") for name in names), ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_kept_has_no_lock_for_all(path):
    names = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    assert not any(
        node.module == "functools" and "cached_property" in [name.name for name in node.names]
        for node in names
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_class_is_long(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            inside = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
            first = [n.body[0] for n in inside if ast.get_docstring(n)]
            length = node.end_lineno - node.lineno - sum(d.end_lineno - d.lineno for d in first)
            assert length <= 250, f"{node.name} has {length} lines"


def is_number(node):
    """Whether an expression is a number, or is composed of numbers."""
    kinds = ast.Constant | ast.UnaryOp | ast.BinOp | ast.Tuple | ast.List
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, kinds)]
    return isinstance(node, kinds) and any(map(is_number, parts))


#: Numbers that are no matter of cost: the range of float64, and how many names a warning has.
FACTS = {"_SMALLEST", "_LARGEST", "_NAMED"}


@pytest.mark.parametrize("room", ["_data", "_problem", "_solver", "_losses"])
def test_constants_that_were_chosen_are_costs(room):
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and is_number(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {
                    n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
                }
                assert names <= FACTS, f"{name_of(path)} has {names - FACTS}"
