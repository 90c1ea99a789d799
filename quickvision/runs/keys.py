"""What a thing is, as a key: functions by their code, objects by their state, files by contents.

`compare` finds its rows by such keys. A name is not enough: a cell of a notebook that is run again
defines another function of the same name. It is the other way round with an object's address.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.vision.augment import RandTransform

CONTENTS = 128 * 2**20  # bytes of files that are read for a key

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...), type(NotImplemented))
_BY_PYTHON = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__"}
_BY_PYTHON |= {"__static_attributes__", "__abstractmethods__", "_abc_impl", "__slotnames__"}
# What a loader does not have from its maker: where it is in its pictures, what it has seen.
_MOVING = {"rng", "fake_l", "_DataLoader__idxs", "_types", "_n_inp", "_one_pass"}
_PLACES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def identify(*values: Any) -> tuple[str, str]:
    """Name values by what decides how they work.

    Args:
        *values: Anything. Functions and classes that are not of an installed package are told by
            their bytecode, constants, defaults, closures and the globals that they use; objects by
            their class and all that they hold, tensors in full; `DataLoaders` by their pictures,
            labels and transforms. Text and paths that name files: see `stamp`.

    Returns:
        A hash, the same in each process; and what of them cannot be told (a lock, a generator, an
        object of a C library), empty where all can. The hash says little then.
    """
    reader = _Reader()
    try:
        told = reader.tell(values)
    except _Untold as untold:
        return "", str(untold)
    except Exception as error:  # objects that are told run code of their own
        return "", f"{type(error).__name__}: {error}"
    return hashed(told, stamp(reader.files)), ""


def hashed(*texts: str) -> str:
    """Hash texts, twelve characters."""
    whole = "\n".join(texts).encode("utf-8", "surrogateescape")
    return hashlib.sha256(whole).hexdigest()[:12]


def stamp(files: Iterable[str | Path]) -> str:
    """Tell files from what they were before, whatever their names.

    By their contents, where they have at most 128 MiB together: 10,000 files take half a second or
    so. Of more, by their sizes and the times of their change (of contents, and of what the file
    system knows of them): 10,000 files take a tenth of a second, and one that was merely touched
    is another.
    """
    found = [(file, _status(file)) for file in dict.fromkeys(str(file) for file in files)]
    in_full = sum(status.st_size for _, status in found if status) <= CONTENTS
    digest = hashlib.sha256()
    for file, status in found:
        told = "nothing"
        if status:
            times = (status.st_mtime_ns, status.st_ctime_ns)
            told = f"{status.st_size} {_contents(file) if in_full else times}"
        digest.update(f"{file}\0{told}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _status(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def _contents(file: str) -> str:
    try:
        with open(file, "rb", buffering=0) as opened:
            return hashlib.sha256(opened.read()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


class _Untold(Exception):
    """Something whose state cannot be told."""


class _Reader:
    """Says what values are made of, each object once, and gathers the files that they name."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # or another object could get the number of one that is gone

    def tell(self, value: Any) -> str:
        """Say what a value is."""
        kind = type(value)
        if kind in _PLAIN:
            if kind is str and len(value) < 1000:
                self._name_file(value)
            return f"{kind.__name__} {value!r}"
        if isinstance(value, os.PathLike):
            self._name_file(os.fspath(value))
            return f"path {os.fspath(value)!r}"
        if id(value) in self.seen:
            return f"#{self.seen[id(value)]}"
        if kind not in (tuple, frozenset, CodeType):  # of those equal ones may be one object
            self.seen[id(value)] = len(self.kept)
            self.kept.append(value)
        return f"{kind.__name__}({', '.join(self._parts(value))})"

    def _name_file(self, path: str) -> None:
        path = os.path.expanduser(path)
        if os.path.isfile(path):
            self.files.append(path)

    def _parts(self, value: Any) -> Iterator[str]:
        kind = type(value)
        if kind in (list, tuple):
            yield from map(self.tell, value)
        elif kind is dict:
            for key, held in value.items():
                yield f"{self.tell(key)}: {self.tell(held)}"
        elif kind in (set, frozenset):
            yield from sorted(map(self.tell, value))
        elif isinstance(value, ModuleType):
            yield from self._module(value)
        elif isinstance(value, CodeType):
            yield from self._code(value)
        elif isinstance(value, FunctionType | type | BuiltinFunctionType) and _is_known(value):
            module = value.__module__ or "builtins"
            yield f"{module}.{value.__qualname__} {_version(module)}"
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, MethodType):
            yield from map(self.tell, (value.__func__, value.__self__))
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, np.ndarray | torch.Tensor):
            yield from self._array(value)
        elif isinstance(value, DataLoaders):
            yield from map(self.tell, (value.path, str(value.device), value.loaders))
        elif isinstance(value, DataLoader):
            held = {name: part for name, part in vars(value).items() if name not in _MOVING}
            yield from map(self.tell, (kind, value.fake_l.num_workers, held))
        elif kind.__module__ == "fastai.vision.augment" or (
            isinstance(value, RandTransform) and _is_known(kind)
        ):
            yield from map(self.tell, (kind, _given(value)))
        else:
            yield from self._object(value)

    def _module(self, module: ModuleType) -> Iterator[str]:
        yield f"{module.__name__} {_version(module.__name__)}"
        if not _is_installed(module.__name__):
            for name, value in vars(module).items():
                if not name.startswith("__"):
                    yield f"{name}: {self.tell(value)}"

    def _function(self, function: FunctionType) -> Iterator[str]:
        yield self.tell(function.__code__)
        yield self.tell(function.__defaults__)
        yield self.tell(function.__kwdefaults__)
        yield self.tell(function.__annotations__)  # fastai dispatches on them
        yield self.tell({k: v for k, v in vars(function).items() if k != "__wrapped__"})
        for cell in function.__closure__ or ():
            try:
                yield self.tell(cell.cell_contents)
            except ValueError:
                yield "an empty cell"
        if not _is_installed(function.__module__):
            for name, value in _used(function.__code__, function.__globals__):
                yield f"{name}: {self.tell(value)}"

    def _code(self, code: CodeType) -> Iterator[str]:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        yield f"{code.co_code.hex()} {counts} {names} {code.co_exceptiontable.hex()}"
        yield from map(self.tell, code.co_consts)

    def _class(self, cls: type) -> Iterator[str]:
        yield cls.__qualname__
        yield from map(self.tell, (type(cls), *cls.__bases__))
        for name, value in vars(cls).items():
            slot = inspect.ismemberdescriptor(value) or inspect.isgetsetdescriptor(value)
            if name in _BY_PYTHON or slot:
                continue
            if isinstance(value, property):
                value = (value.fget, value.fset, value.fdel)
            elif isinstance(value, staticmethod | classmethod):
                value = (type(value), value.__func__)
            yield f"{name}: {self.tell(value)}"

    def _array(self, value: np.ndarray | torch.Tensor) -> Iterator[str]:
        yield f"{value.dtype} {tuple(value.shape)}"
        if isinstance(value, np.ndarray) and value.dtype == object:
            yield self.tell(value.tolist())
            return
        try:
            if isinstance(value, torch.Tensor):
                yield f"{value.device} {value.requires_grad}"
                plain = value.detach().as_subclass(torch.Tensor).cpu().contiguous().flatten()
                value = plain.view(torch.uint8).numpy()
            yield hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
        except (RuntimeError, TypeError, ValueError, BufferError) as error:
            raise _Untold(f"a {type(value).__name__}: {error}") from error

    def _object(self, value: Any) -> Iterator[str]:
        """What pickle would write, which is all that an object is."""
        if type(value) is type(functools.cache(len)):
            yield self.tell(value.__wrapped__)
            return
        reduced = copyreg.dispatch_table.get(type(value))
        try:
            made = reduced(value) if reduced else value.__reduce_ex__(4)
        except Exception as error:  # objects raise what they like here
            name = f"{type(value).__module__}.{type(value).__qualname__}"
            raise _Untold(f"a {name.removeprefix('builtins.')}") from error
        if isinstance(made, str):
            yield f"{getattr(value, '__module__', '')}.{made}"
            return
        for part in made:
            yield self.tell(list(part) if isinstance(part, Iterator) else part)


def _used(code: CodeType, known: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name the globals that code uses; of modules that are not installed, what it takes of them."""
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        name = step.argval
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and name in known:
            value = known[name]
            own = isinstance(value, ModuleType) and not _is_installed(value.__name__)
            if own and after and after.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                name, value = f"{name}.{after.argval}", getattr(value, after.argval, None)
            yield name, value
        elif step.opname == "IMPORT_NAME":
            yield name, _imported(name)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _used(constant, known)


def _imported(name: str) -> Any:
    """The module that a function imports; the name of an installed one that is not loaded yet."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a relative name
        spec = None
    if spec is None or not spec.origin or not _is_in_place(spec.origin):
        raise _Untold(f"the module {name}, which is not loaded yet")
    return name


def _given(tfm: Any) -> dict[str, Any]:
    """What fastai's transform was made with; the rest it draws anew for each batch."""
    inits = [vars(cls)["__init__"] for cls in type(tfm).__mro__ if "__init__" in vars(cls)]
    codes = [init.__code__ for init in inits if isinstance(init, FunctionType)]
    names = {name for code in codes for name in code.co_varnames[: code.co_argcount]}
    return {n: v for n, v in sorted(vars(tfm).items()) if n in names - {"split_idx"}}


def _is_known(value: Any) -> bool:
    """Say whether an installed package has this under its name."""
    found: Any = sys.modules.get(value.__module__ or "builtins")
    if found is None or not _is_installed(found.__name__):
        return False
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _is_installed(module: str) -> bool:
    """Say whether a module is Python's, an installed package's or ours: its version tells it."""
    top = module.partition(".")[0]
    if top == "quickvision" or top in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return top != "__main__" and top in sys.stdlib_module_names
    return _is_in_place(file)


def _is_in_place(file: str) -> bool:
    return any(Path(file).is_relative_to(place) for place in _PLACES)


def _version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))
