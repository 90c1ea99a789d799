"""Weights as the world writes them, read without running what is in them: files, folders, the Hub.

What a file means for a model, `fitting` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from quickvision.base.errors import ModelError, as_path, did_you_mean, some

State = Mapping[str, torch.Tensor]

# Where the weights are in a folder: of a run, its last stage's; of an export, and on the Hub.
STAGES = "checkpoints/stage-*.pth"
EXPORTS = ("model.safetensors", "pytorch_model.bin")
CONFIG = "config.json"
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar")  # that weights are called by
_HUB = re.compile(r"hf[-_]hub:(?:/*)(?P<repository>[^@]*)(?:@(?P<revision>.+))?")
_DEEP = 4  # keys that lead to a state dict, at most
_ALONE = (
    "in the program that made it, save the tensors alone: torch.save(checkpoint['state_dict'],"
    " file) or torch.save(model.state_dict(), file)"
)


@dataclass(frozen=True)
class Stored:
    """What was read.

    Attributes:
        file: Where from.
        states: The state dicts in it, in its order, by the code of the keys that lead there: "" is
            what the file holds itself, `['model']` what it holds under that key.
        config: What the `config.json` that goes with it says; empty without one.
        unread: Other objects in it, by the names of what makes them, such as `argparse.Namespace`.
            None of them was made.
    """

    file: Path
    states: Mapping[str, State]
    config: Mapping[str, Any]
    unread: tuple[str, ...] = ()

    @property
    def arch_of_run(self) -> str | None:
        """The architecture that a run was asked for, without its library and its tag."""
        name = self.config.get("arch")
        return name.rpartition("/")[2].partition(".")[0] if isinstance(name, str) else None

    @property
    def arch(self) -> str | None:
        """The architecture that the `config.json` names."""
        export = self.config.get("quickvision")  # of a run it is the version
        network = export.get("network") if isinstance(export, Mapping) else None
        told = network.get("arch") if isinstance(network, Mapping) else None
        names = (told, self.config.get("arch"), self.config.get("architecture"))
        return next((name for name in names if isinstance(name, str)), None)


def read_weights(weights: str | Path) -> Stored:
    """Read a file of weights, and the settings that lie with it.

    Args:
        weights: A file that `torch.load(weights_only=True)` reads, or `.safetensors`; the folder of
            a run (the end of its last stage), or of an exported model; or
            `hf_hub:OWNER/NAME` or `hf_hub:OWNER/NAME@REVISION`, downloaded once.

    Raises:
        ModelError: There is nothing, or no state dict that can be read safely.
        OSError: It cannot be downloaded.
    """
    file, folder = find_file(weights)
    found, unread = _load(file)
    states = dict(_states(found))
    if not states:
        holds = f"other objects: {some(unread)}; {_ALONE}" if unread else "other things"
        raise ModelError(f"expected a state dict (names and tensors) in {file}, got {holds}")
    return Stored(file, states, _config(folder / CONFIG), unread)


def is_on_hub(weights: object) -> bool:
    """Say whether text names weights on the Hugging Face Hub: `hf_hub:timm/resnet18.a1_in1k`."""
    return isinstance(weights, str | Path) and bool(_HUB.fullmatch(str(weights)))


def find_file(weights: str | Path) -> tuple[Path, Path]:
    """Find the file, and the folder that has its `config.json`, if there is one.

    Raises:
        ModelError: There is none; files of near names are named.
        OSError: It cannot be downloaded.
    """
    if is_on_hub(weights):
        file = _download(str(weights))
        return file, file.parent
    path = as_path(weights, "weights")
    if path.is_file():
        return path, path.parent.parent if path.parent.name == "checkpoints" else path.parent
    if not path.is_dir():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        near = did_you_mean(str(path), [str(file) for file in beside if file.suffix in SUFFIXES])
        raise ModelError(
            f"weights: expected 'default', None or a file, got nothing at {path}{near}"
        )
    stages = sorted(path.glob(STAGES), key=lambda file: (len(file.name), file.name), reverse=True)
    files = [*stages, *(path / name for name in EXPORTS)]
    if there := [file for file in files if file.is_file()]:
        return there[0], path
    runs = sorted((p.parent for p in path.glob(f"*/{CONFIG}")), key=lambda p: p.stat().st_mtime)
    newest = f"; the newest of those in it is {runs[-1]}" if runs else ""
    if (path / "checkpoints").is_dir():
        newest = "; this run has finished no stage: name one of the files in its checkpoints"
    raise ModelError(
        f"weights: expected a file, the folder of a run (with {STAGES}) or of an exported model"
        f" (with {EXPORTS[0]}), got {path}, a folder that has neither{newest}"
    )


def hub_parts(weights: str | Path) -> tuple[str, str | None]:
    """Take `hf_hub:OWNER/NAME@REVISION` apart: the repository, and the revision or None."""
    found = _HUB.fullmatch(str(weights))
    return (found["repository"], found["revision"]) if found else ("", None)


def _download(weights: str) -> Path:
    """Get a file from the Hub or from its cache, and its `config.json` beside it."""
    repository, revision = hub_parts(weights)
    try:
        huggingface_hub.hf_hub_download(repository, CONFIG, revision=revision)
    except LocalEntryNotFoundError:
        raise  # offline
    except EntryNotFoundError:
        pass
    except ValueError as error:
        raise ModelError(
            f"weights: expected hf_hub:OWNER/NAME, as hf_hub:timm/resnet18.a1_in1k, got"
            f" {weights!r}: {error}"
        ) from error
    for name in EXPORTS:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            continue
    raise ModelError(f"expected {EXPORTS[0]} in {weights}, got a repository without")


def _config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class _Unread:
    """Stands where a file asks for an object of some class: does nothing, whatever is asked."""

    def __new__(cls, *_: Any, **__: Any) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def _load(file: Path) -> tuple[Any, tuple[str, ...]]:
    """Read a file; what is no tensor and no plain value in it is an `_Unread`, and named."""
    unread: tuple[str, ...] = ()
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file), ()
        unread = _others(file)
        # torch's reader calls what stands under a name here, and never looks the name up.
        with torch.serialization.safe_globals([(_Unread, name) for name in unread]):
            return torch.load(file, map_location="cpu", weights_only=True), unread
    except Exception as error:  # pickle, zip, EOF and safetensors errors have no common parent
        raise ModelError(
            f"expected a state dict in {file}, as torch.save(model.state_dict(), file) writes it,"
            f" got {_why(error, unread)}"
        ) from error


def _others(file: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file))))
    except (ValueError, RuntimeError, OSError):  # no zip: torch wrote others until 1.6
        return ()


def _why(error: Exception, unread: tuple[str, ...]) -> str:
    """Say why a file is not read; torch's own text says how to run what is in it."""
    text = str(error)
    blocked = re.findall(r"GLOBAL (\S+)", text)
    if "TorchScript" in text:
        return f"a TorchScript archive, which is a program: {_ALONE}"
    if unread or blocked:
        made = some(unread or blocked)
        return f"a file with objects that only code of their own can make ({made}): {_ALONE}"
    if "weights_only" in text or not text:
        return f"a damaged file, or one of another kind ({type(error).__name__})"
    return f"a file that cannot be read safely: {text}"


def _states(found: object, keys: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Find the state dicts in what was read: mappings from names to tensors, however deep."""
    if not isinstance(found, Mapping) or depth > _DEEP:
        return
    named = {key: value for key, value in found.items() if isinstance(key, str)}
    if tensors := {key: value for key, value in named.items() if torch.is_tensor(value)}:
        yield keys, tensors
    for key, value in named.items():
        yield from _states(value, f"{keys}[{key!r}]", depth + 1)
