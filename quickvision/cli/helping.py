"""How a command shows its options: in groups, a line each, and the words that one may be below."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

WIDTH = 26  # characters of an option with what it takes
GROUPS = ("Data", "Model", "Training", "Speed and report")
ANY = "Options"


class Grouped(TyperCommand):
    """A command whose `--help` shows options by group, in the order in which groups come."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group."""
        arguments: list[tuple[str, str]] = []
        groups: dict[str, list[tuple[str, str]]] = {}
        param: Any
        for param in self.get_params(ctx):
            if param.param_type_name == "argument":
                arguments.append((str(param.metavar or param.name).upper(), param.help or ""))
            else:
                group = getattr(param, "rich_help_panel", None) or ANY
                groups.setdefault(group, []).append((_name(param), _help(param)))
        if len(groups.get(ANY, ())) > 1:  # beside --help: groups are for long lists alone
            groups = {ANY: [row for rows in groups.values() for row in rows]}
        order = [group for group in GROUPS if group in groups] + [ANY]
        for title, rows in [("Arguments", arguments), *((name, groups[name]) for name in order)]:
            if rows:
                with formatter.section(title):
                    for name, text in rows:
                        _write(formatter, name, text)


def _write(formatter: Any, name: str, text: str) -> None:
    first, *rest = text.split("\n")
    formatter.write(f"{'':>{formatter.current_indent}}{name:<{WIDTH - 2}}  {first}\n")
    for line in rest:
        formatter.write(f"{'':>{formatter.current_indent + WIDTH}}{line}\n")


def _name(param: Any) -> str:
    """Write an option and what it takes: `--bs N`, `--[no-]flip`, `--head WORD`."""
    name = max(param.opts, key=len)
    if param.secondary_opts:
        return f"--[no-]{name[2:]}"
    if param.is_flag or not param.metavar:
        return name
    return f"{name} {'WORD' if '|' in param.metavar else param.metavar}"


def _help(param: Any) -> str:
    """Write its text, its default, and below it its words."""
    text = param.help or ""
    words = (param.metavar or "").split("|")
    default = param.default
    usual = "" if default is None or isinstance(default, bool) else f"  [{_shown(default)}]"
    if param.secondary_opts and default is True:
        usual = "  [on]"
    if len(words) < 2:
        return text + usual
    lines = [""]
    for word in words:
        lines = lines if len(lines[-1]) + len(word) < 46 else [*lines, ""]
        lines[-1] += f"{word}, "
    lines[-1] = lines[-1][:-2] + usual
    return "\n".join([text, *(line.rstrip() for line in lines)])


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)
