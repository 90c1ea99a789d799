"""A griffe extension: docstrings and signatures as `help()` would show them.

`@delegates(Options)` gives a function the fields of a dataclass in place of its `**options` when it
is imported; griffe reads sources and imports nothing, so the same is done here from the text. And
examples that begin with `>>>` are marked as code, because the text around them is Markdown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n(?:(?!>>>)\S.*\n?)*)+", re.MULTILINE)


class AsHelpShows(griffe.Extension):
    """Put the fields of the table that `@delegates` names in place of `**options`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mark the examples of a docstring."""
        if obj.docstring and ">>>" in obj.docstring.value:
            marked = EXAMPLE.sub(lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", obj.docstring.value)
            obj.docstring.value = marked

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Look at every function of the package, once all of it is read."""
        for module in _modules(pkg):
            for function in _own(module.functions):
                for decorator in function.decorators:
                    call = decorator.value
                    if isinstance(call, griffe.ExprCall) and str(call.function) == "delegates":
                        _expand(function, pkg, str(call.arguments[0]))


def _modules(module: griffe.Module) -> list[griffe.Module]:
    return [module, *(m for child in _own(module.modules) for m in _modules(child))]


def _own(things: dict[str, Any]) -> list[Any]:
    """Without what is imported from elsewhere."""
    return [thing for thing in things.values() if not thing.is_alias]


def _expand(function: griffe.Function, pkg: griffe.Module, name: str) -> None:
    table = pkg[function.module.resolve(name).removeprefix(f"{pkg.path}.")]
    kept = [p for p in function.parameters if p.kind is not griffe.ParameterKind.var_keyword]
    known = {p.name for p in kept}
    options = [
        griffe.Parameter(
            field.name,
            annotation=field.annotation,
            kind=griffe.ParameterKind.keyword_only,
            default=_default(field.value),
        )
        for field in table.attributes.values()
        if field.annotation is not None
        and field.name not in known
        and "property" not in field.labels
    ]
    function.parameters = griffe.Parameters(*kept, *options)


def _default(value: Any) -> Any:
    """`option(4, "help")` stands for 4."""
    if isinstance(value, griffe.ExprCall) and str(value.function) == "option":
        return value.arguments[0]
    return value
