"""The methods of every benchmark: ours, peers, baselines, and what other packages add.

A method is added in one file: a module in `benchmark/KIND/methods` that names it in `METHODS`, or in another
package an entry point of the group `histoscribe.benchmark_methods` that leads to a `Method` or several.
"""

import ast
import hashlib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from histoscribe.errors import require_known

GROUP = "histoscribe.benchmark_methods"
REFERENCE = "histoscribe"
"""How the product in its default settings is called in every benchmark."""


@dataclass(frozen=True, eq=False)
class Method:
    """One way to do a benchmark's task."""

    name: str
    """Unique within its tasks."""
    tasks: tuple[str, ...]
    """`predictor`, `imputer TASK` or `generator BED`."""
    learn: Callable[..., Any]
    """Called as the task says (see `histoscribe.benchmark.KIND`)."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What `learn` was made with; a change of it makes kept scores stale."""
    depends: tuple[str, ...] = ()
    """Modules and packages whose code it runs beside the module of `learn`; a change of their code makes kept
    scores stale too."""
    default: bool = True
    """Whether it runs where no method is named."""
    needs: str = ""
    """`pixels` for a predictor that reads them, else empty."""

    @property
    def code(self) -> str:
        """A digest of the code behind it."""
        learn = self.learn.func if isinstance(self.learn, partial) else inspect.unwrap(self.learn)
        return code_digest((learn.__module__, *self.depends))


def methods_of(task: str) -> dict[str, Method]:
    """The methods of a task (`predictor`, `imputer panels`) by name, `histoscribe` last.

    Packages of others come after ours and replace none.
    """
    package = import_module(f"histoscribe.benchmark.{task.partition(' ')[0]}.methods")
    names = [module.name for module in iter_modules(package.__path__, f"{package.__name__}.")]
    ours = [method for name in names for method in import_module(name).METHODS]
    found: dict[str, Method] = {}
    for method in (*ours, *_of_others()):
        if task in method.tasks and method.name in found:
            warnings.warn(f"a second method called {method.name!r} is left out", stacklevel=2)
        elif task in method.tasks:
            found[method.name] = method
    return dict(sorted(found.items(), key=lambda item: item[0] == REFERENCE))


def chosen_methods(task: str, names: Iterable[str] | None) -> list[Method]:
    """The methods asked for by name, those that run by default where none is named.

    Raises `SettingError` if one is unknown.
    """
    known = methods_of(task)
    if not names:
        return [method for method in known.values() if method.default]
    plain = [name for name in known if not name.startswith(f"{REFERENCE} with")]
    more = [f"{REFERENCE} without PART"] if len(plain) < len(known) else []
    unknown = [name for name in names if name not in known]
    require_known("method", unknown, [*plain, *more], where="--methods")
    return [known[name] for name in dict.fromkeys(names)]


@cache
def code_digest(modules: Sequence[str]) -> str:
    """A digest of the code of modules and packages, blind to comments, layout and docstrings."""
    digest = hashlib.sha256()
    for name in dict.fromkeys(modules):
        spec = find_spec(name) if name not in sys.modules else sys.modules[name].__spec__
        origin = None if spec is None else spec.origin
        if origin is None or not Path(origin).is_file():
            digest.update(name.encode())
            continue
        folder = Path(origin).parent
        paths = [Path(origin)] if Path(origin).name != "__init__.py" else sorted(folder.rglob("*.py"))
        for path in paths:
            digest.update(f"{name}/{path.relative_to(folder)}".encode())
            digest.update(ast.dump(_Bare().visit(ast.parse(path.read_text(encoding="utf-8")))).encode())
    return digest.hexdigest()[:16]


class _Bare(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


def _of_others() -> list[Method]:
    found: list[Method] = []
    for entry in entry_points(group=GROUP):
        try:
            loaded = entry.load()
        except Exception as error:  # whatever a foreign package does, our own methods still run
            warnings.warn(f"the method {entry.name!r} cannot be loaded: {error}", stacklevel=2)
            continue
        found += [loaded] if isinstance(loaded, Method) else loaded
    return found
