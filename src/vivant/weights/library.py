"""Weights on disk.

``pull`` resolves a part to a commit, streams its files (resuming where it stopped, hashing as it
goes; what another model has already is linked) and writes a lock file with the commit and the
SHA-256 of every file; from then on the model is those bytes and nothing else. ``verify`` hashes
them again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from vivant.errors import MissingPartError, OptionError, OutputError, WeightsError
from vivant.types import Observer, Progress, ignore_progress
from vivant.weights.download import fetch, hash_file, unfinished
from vivant.weights.hub import Hub, RemoteFile
from vivant.weights.registry import DEFAULT_MODELS, Model, Part, find_model

LOCK = "vivant.lock.json"
FP8_FOLDER = "transformer-fp8"
"""Of a model: its transformer rounded to fp8, written here, not pulled."""

SUMS = "sha256.json"
"""Hashes of the files of that folder."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is on disk of a model: ``absent``, ``partial`` or ``complete``, and its bytes."""

    model: Model
    folder: Path
    status: str
    size: int
    commits: tuple[str, ...]
    fp8: bool


class Library:
    """Weights on disk: one folder per model under ``root``."""

    def __init__(self, root: Path, hub: Hub | None = None) -> None:
        self.root = root
        self.hub = hub

    def folder(self, name: str) -> Path:
        """Where the model lies, or would."""
        return self.root / find_model(name).name.replace("/", "--")

    def lock(self, name: str) -> dict[str, Any]:
        """The lock file, empty where the model was never pulled.

        Raises:
            WeightsError: it cannot be read.
        """
        path = self.folder(name) / LOCK
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            raise WeightsError(
                f"{path} cannot be read: delete it and run `vivant weights pull {name}`"
            ) from None
        entries = content.get("files", {}) if isinstance(content, dict) else None
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) and {"repo", "commit", "size"} <= entry.keys()
            for entry in entries.values()
        ):
            raise WeightsError(
                f"{path} is not a lock file: delete it and run `vivant weights pull {name}`"
            )
        return dict(content)

    def state(self, name: str) -> ModelState:
        """What is there, by name and size, without hashing."""
        folder, lock = self.folder(name), self.lock(name)
        files = lock.get("files", {})
        there = [
            entry["size"]
            for path, entry in files.items()
            if (folder / path).is_file() and (folder / path).stat().st_size == entry["size"]
        ]
        if not folder.is_dir() or not any(folder.iterdir()):
            status = "absent"
        else:
            status = "complete" if files and len(there) == len(files) else "partial"
        return ModelState(
            find_model(name),
            folder,
            status,
            sum(there),
            tuple(dict.fromkeys(entry["commit"] for entry in files.values())),
            (folder / FP8_FOLDER).is_dir(),
        )

    def need(self, name: str) -> Path:
        """The model's folder, complete.

        Raises:
            MissingPartError: it is not there, or not all of it.
        """
        state = self.state(name)
        if state.status != "complete":
            what = "is not here" if state.status == "absent" else "is only partly here"
            size = f" (about {state.model.size / 1e9:.0f} GB)" if state.model.size else ""
            raise MissingPartError(
                f"{state.model.kind} {name} {what} ({state.folder}): run "
                f"`vivant weights pull {name}`{size}"
            )
        return state.folder

    def default_model(self) -> str:
        """The newest of the registry's default models that is complete, or else the last."""
        for name in DEFAULT_MODELS:
            with suppress(WeightsError):
                if self.state(name).status == "complete":
                    return name
        return DEFAULT_MODELS[-1]

    def adapters(self) -> list[str]:
        """Adapters here that the registry does not name, by their repositories."""
        names = []
        for lock in sorted(self.root.glob(f"*--*/{LOCK}")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                names.append(str(json.loads(lock.read_text("utf-8"))["model"]))
        return names

    def pull(self, name: str, observe: Observer = ignore_progress) -> ModelState:
        """Fetch what is missing of a model, resuming; the lock file's bytes, once it exists.

        Raises:
            MissingPartError: offline, or the Hub cannot be reached.
            OutputError: not enough disk.
            WeightsError: a file is not the pinned one.
        """
        model, folder = find_model(name), self.folder(name)
        if self.hub is None:
            if self.state(name).status == "complete":
                return self.state(name)
            raise MissingPartError(
                f"model {name} is not complete in {folder}, and offline mode is on: unset "
                "VIVANT_OFFLINE, or copy the folder from another machine"
            )
        lock = self.lock(name)
        files = self._plan(model, lock)
        self._check_disk(folder, files)
        folder.mkdir(parents=True, exist_ok=True)
        if not lock:
            # it was rounded from files of unknown content
            shutil.rmtree(folder / FP8_FOLDER, ignore_errors=True)
            self._write_lock(folder, model, files, {})
        total = sum(file.size for file in files)
        done = 0
        hashes: dict[str, str] = {
            path: entry["sha256"]
            for path, entry in lock.get("files", {}).items()
            if entry.get("sha256")
        }
        for file in files:

            def tell(count: int, base: int = done) -> None:
                observe(Progress("load", base + count, total, "byte"))

            hashes[file.path] = fetch(
                self.hub, file, folder / file.path, tell,
                known=hashes.get(file.path), link=partial(self._link, folder, file, tell=tell),
            )  # fmt: skip
            done += file.size
            self._write_lock(folder, model, files, hashes)
        observe(Progress("load", total, total, "byte"))
        return self.state(name)

    def verify(self, name: str, observe: Observer = ignore_progress) -> int:
        """Hash every file of a model against its lock; the number of files.

        Raises:
            MissingPartError: the model was never pulled, or a file is gone.
            WeightsError: a file is not what was pulled.
        """
        folder, files = self.folder(name), self.lock(name).get("files", {})
        if not files:
            raise MissingPartError(
                f"model {name} is not here ({folder}): run `vivant weights pull {name}`"
            )
        wanted = {path: str(entry["sha256"]) for path, entry in files.items()}
        wanted |= self._rounded(folder)
        missing = [path for path in wanted if not (folder / path).is_file()]
        if missing:
            raise MissingPartError(
                f"{folder / missing[0]} is gone: run `vivant weights {_remedy(missing[0], name)}`"
            )
        total = sum((folder / path).stat().st_size for path in wanted)
        done = 0
        for path, expected in wanted.items():
            target = folder / path

            def tell(count: int, base: int = done) -> None:
                observe(Progress("load", base + count, total, "byte"))

            found = hash_file(target, tell)
            if found != expected:
                raise WeightsError(
                    f"{target} is not the file that was pulled or written (SHA-256 "
                    f"{found[:12]}…, not {expected[:12]}…): delete it and run "
                    f"`vivant weights {_remedy(path, name)}`"
                )
            done += target.stat().st_size
        return len(wanted)

    @staticmethod
    def _rounded(folder: Path) -> dict[str, str]:
        """Files of the fp8 checkpoint, and their hashes."""
        sums = folder / FP8_FOLDER / SUMS
        if not sums.is_file():
            return {}
        try:
            hashes = json.loads(sums.read_text("utf-8"))
            return {f"{FP8_FOLDER}/{name}": str(value) for name, value in hashes.items()}
        except (ValueError, AttributeError):
            raise WeightsError(f"{sums} cannot be read: quantize the model again") from None

    def _plan(self, model: Model, lock: Mapping[str, Any]) -> list[RemoteFile]:
        """Files to have: the lock's where there is one, else the Hub's as of now."""
        assert self.hub is not None  # noqa: S101 - the caller looked
        if lock.get("files"):
            parts = {part.repo: part for part in model.parts}
            planned = []
            for path, entry in lock["files"].items():
                part = parts.get(entry["repo"]) or Part(repo=entry["repo"], patterns=())
                # what the registry knows holds, whatever an earlier pull has recorded
                known = part.sha256.get(path) or entry.get("sha256")
                planned.append(RemoteFile(part, entry["commit"], path, entry["size"], known))
            return planned + self._added(model, lock["files"])
        files: list[RemoteFile] = []
        for part in model.parts:
            found = list(self.hub.files(part, self.hub.commit(part.repo, part.revision)))
            if not found:
                raise MissingPartError(
                    f"repository {part.repo} has none of {', '.join(part.patterns)}: "
                    "its layout has changed"
                )
            files += found
        if model.kind == "lora" and len(files) != 1:
            names = ", ".join(file.path for file in files[:5])
            raise OptionError(
                f"repository {files[0].part.repo} has {len(files)} safetensors files, not one "
                f"({names}{', …' if len(files) > 5 else ''}): name the one you want as "
                f"{files[0].part.repo}/FILE",
                param="loras",
            )
        return files

    def _added(self, model: Model, locked: Mapping[str, Any]) -> list[RemoteFile]:
        """Files of patterns that the registry got after the pull, of the commits pulled then."""
        assert self.hub is not None  # noqa: S101 - the caller looked
        files: list[RemoteFile] = []
        for part in model.parts:
            own = {path: entry for path, entry in locked.items() if entry["repo"] == part.repo}
            patterns = tuple(
                pattern
                for pattern in part.patterns
                if not any(fnmatchcase(path, pattern) for path in own)
            )
            if own and patterns:
                commit = next(iter(own.values()))["commit"]
                files += self.hub.files(replace(part, patterns=patterns), commit)
        return files

    def _check_disk(self, folder: Path, files: list[RemoteFile]) -> None:
        place = folder
        while not place.exists():
            place = place.parent
        here = sum(
            path.stat().st_size
            for file in files
            for path in (folder / file.path, unfinished(folder / file.path))
            if path.is_file()
        )
        linked = sum(
            file.size
            for file in files
            if not (folder / file.path).is_file() and self._elsewhere(folder, file) is not None
        )
        needed = sum(file.size for file in files) - here - linked
        free = shutil.disk_usage(place).free
        if needed > free:
            raise OutputError(
                f"{needed / 1e9:.1f} GB are to be downloaded to {place}, and {free / 1e9:.1f} GB "
                "are free: free some, or set VIVANT_WEIGHTS_DIR to a larger disk"
            )

    def _elsewhere(self, folder: Path, file: RemoteFile) -> Path | None:
        """The same file, by size and hash, in another model's folder."""
        if not file.sha256:
            return None
        for lock in self.root.glob(f"*/{LOCK}"):
            if lock.parent == folder:
                continue
            try:
                entries = json.loads(lock.read_text("utf-8"))["files"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            for path, entry in entries.items():
                there = lock.parent / str(path)
                if (
                    entry.get("sha256") == file.sha256
                    and there.is_file()
                    and there.stat().st_size == file.size
                ):
                    return there
        return None

    def _link(
        self, folder: Path, file: RemoteFile, target: Path, tell: Callable[[int], None]
    ) -> bool:
        """Take the file from another model: the text encoder is the same 49 GB in all of them."""
        there = self._elsewhere(folder, file)
        if there is None:
            return False
        try:
            os.link(there, target)
        except OSError:  # another disk, or one without links
            return False
        if hash_file(target, tell) == file.sha256:
            return True
        target.unlink()
        return False

    def _write_lock(
        self, folder: Path, model: Model, files: list[RemoteFile], hashes: Mapping[str, str]
    ) -> None:
        content = {
            "model": model.name,
            "licence": model.licence,
            "files": {
                file.path: {
                    "repo": file.part.repo,
                    "commit": file.commit,
                    "size": file.size,
                    "sha256": hashes.get(file.path) or file.sha256,
                }
                for file in files
            },
        }
        draft = folder / (LOCK + ".part")
        draft.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        draft.replace(folder / LOCK)


def _remedy(path: str, name: str) -> str:
    """What brings a file of a model back."""
    return f"{'quantize' if path.startswith(FP8_FOLDER) else 'pull'} {name}"
