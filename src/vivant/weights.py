"""Weight files: which there are, how they get here, and whether they are what they should be.

A registry of models, each made of parts of repositories on the Hugging Face Hub. ``pull``
resolves a part to a commit, streams its files over plain HTTP (resuming where it stopped,
hashing as it goes) and writes a lock file with the commit and the SHA-256 of every file; from
then on the model is those bytes and nothing else. ``verify`` hashes them again. Knows nothing of
torch or of what the numbers mean.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivant.errors import MissingPartError, OptionError, OutputError, WeightsError
from vivant.types import Observer, Progress, ignore_progress

LOCK = "vivant.lock.json"
CHUNK = 4 << 20
LICENCE = (
    "LTX-2 Community License (https://huggingface.co/Lightricks/LTX-2): free below 10 million "
    "US dollars of yearly revenue; clips must be marked as machine-generated"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Files of one repository.

    Attributes:
        revision: a commit, or a branch that the first pull resolves and the lock file then pins.
        patterns: which of the repository's files, as shell patterns.
        sha256: file → hash, where it is known beforehand.
    """

    repo: str
    patterns: tuple[str, ...]
    revision: str = "main"
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the registry.

    Attributes:
        size: bytes to download, about, for the disk check before the Hub is asked.
        single_file: name of the file that holds everything but the text encoder.
        image_crf: H.264 quality the model's training pictures had.
        family: which engine code runs it; ``ltx-2.0`` is the only one today.
        runs: what is known to run; others are the seam for what comes.
    """

    name: str
    parts: tuple[Part, ...]
    size: int
    licence: str = LICENCE
    kind: str = "model"
    single_file: str | None = None
    image_crf: int = 33
    family: str = "ltx-2.0"


_TEXT = ("text_encoder/*", "tokenizer/*")
_LAYOUT = (
    "model_index.json",
    "scheduler/*",
    "transformer/*",
    "connectors/*",
    "vae/*",
    "audio_vae/*",
    *_TEXT,
)
_UPSAMPLER = Part(repo="Lightricks/LTX-2", patterns=("latent_upsampler/*",))

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="ltx-2-19b-distilled",
            parts=(Part(repo="rootonchair/LTX-2-19b-distilled", patterns=_LAYOUT), _UPSAMPLER),
            size=70_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-file",
            parts=(
                Part(
                    repo="Lightricks/LTX-2",
                    patterns=("ltx-2-19b-distilled.safetensors", "latent_upsampler/*", *_TEXT),
                ),
            ),
            size=69_000_000_000,
            single_file="ltx-2-19b-distilled.safetensors",
        ),
        Model(
            name="ltx-2-19b-dev",
            parts=(Part(repo="Lightricks/LTX-2", patterns=(*_LAYOUT, "latent_upsampler/*")),),
            size=70_000_000_000,
        ),
        Model(
            name="ltx-2-19b-distilled-lora-384",
            parts=(
                Part(
                    repo="Lightricks/LTX-2",
                    patterns=("ltx-2-19b-distilled-lora-384.safetensors",),
                ),
            ),
            size=7_670_000_000,
            kind="lora",
            single_file="ltx-2-19b-distilled-lora-384.safetensors",
        ),
    )
}
"""The registry. No hash is known beforehand: the first pull records them in the lock file."""


DEFAULT_MODEL = "ltx-2-19b-distilled"
"""What recipes use where they name no other."""


def find_model(name: str) -> Model:
    """The registry's entry.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in MODELS:
        raise OptionError(
            f"model {name!r} is unknown: choose one of {', '.join(MODELS)}", param="model"
        )
    return MODELS[name]


@dataclass(frozen=True, slots=True)
class State:
    """What is on disk of a model: ``absent``, ``partial`` or ``complete``, and its bytes."""

    model: Model
    folder: Path
    status: str
    size: int
    commits: tuple[str, ...]
    fp8: bool


@dataclass(frozen=True, slots=True)
class _File:
    part: Part
    commit: str
    path: str
    size: int
    sha256: str | None


class Hub:
    """The Hub's HTTP interface, as little of it as is needed.

    Args:
        url: e.g. ``https://huggingface.co``, or a mirror.
        token: sent to ``url`` only, never to where it redirects.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.token = token

    def _open(self, url: str, start: int = 0) -> Any:
        request = urllib.request.Request(url)  # noqa: S310 - the scheme is the setting's
        if start:
            request.add_header("Range", f"bytes={start}-")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return urllib.request.urlopen(request, timeout=60)  # noqa: S310
        except urllib.error.HTTPError as error:
            reason = {
                401: "it needs a token: log in with `hf auth login`",
                403: "its licence must be accepted on its page first",
                404: "it is not there",
            }.get(error.code, f"the server says {error.code}")
            error.close()
            raise MissingPartError(f"{url} cannot be read: {reason}") from None
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            raise MissingPartError(
                f"{url} cannot be reached ({getattr(error, 'reason', error)}): check the "
                "network, or point VIVANT_HUB_URL at a mirror"
            ) from None

    def _json(self, url: str) -> Any:
        with closing(self._open(url)) as response:
            return json.loads(response.read())

    def commit(self, repo: str, revision: str) -> str:
        """The commit that ``revision`` names now."""
        return str(self._json(f"{self.url}/api/models/{repo}/revision/{revision}")["sha"])

    def files(self, part: Part, commit: str) -> Iterator[_File]:
        """The part's files at ``commit``."""
        listing = self._json(
            f"{self.url}/api/models/{part.repo}/tree/{commit}?recursive=true&limit=1000"
        )
        for entry in listing:
            path = str(entry["path"])
            if entry["type"] != "file" or not any(
                fnmatch.fnmatchcase(path, pattern) for pattern in part.patterns
            ):
                continue
            known = part.sha256.get(path) or (entry.get("lfs") or {}).get("oid")
            yield _File(part, commit, path, int(entry["size"]), known)

    def stream(self, file: _File, start: int) -> tuple[Any, bool]:
        """The file's bytes from ``start``; False where the server begins at 0 regardless."""
        response = self._open(
            f"{self.url}/{file.part.repo}/resolve/{file.commit}/{file.path}", start
        )
        return response, response.status == 206 if start else True


class Library:
    """Weights on disk: one folder per model under ``root``."""

    def __init__(self, root: Path, hub: Hub | None = None) -> None:
        self.root = root
        self.hub = hub

    def folder(self, name: str) -> Path:
        """Where the model lies, or would."""
        return self.root / find_model(name).name

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
        if not isinstance(content, dict):
            raise WeightsError(
                f"{path} is not a lock file: delete it and run `vivant weights pull {name}`"
            )
        return content

    def state(self, name: str) -> State:
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
        return State(
            find_model(name),
            folder,
            status,
            sum(there),
            tuple(dict.fromkeys(entry["commit"] for entry in files.values())),
            (folder / "transformer-fp8").is_dir(),
        )

    def need(self, name: str) -> Path:
        """The model's folder, complete.

        Raises:
            MissingPartError: it is not there, or not all of it.
        """
        state = self.state(name)
        if state.status != "complete":
            what = "is not here" if state.status == "absent" else "is only partly here"
            raise MissingPartError(
                f"model {name} {what} ({state.folder}): run `vivant weights pull {name}` "
                f"(about {state.model.size / 1e9:.0f} GB)"
            )
        return state.folder

    def pull(self, name: str, observe: Observer = ignore_progress) -> State:
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

            hashes[file.path] = self._fetch(folder, file, hashes.get(file.path), tell)
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
        total = sum(entry["size"] for entry in files.values())
        done = 0
        for path, entry in files.items():
            target = folder / path
            if not target.is_file():
                raise MissingPartError(
                    f"{target} is gone: run `vivant weights pull {name}` to fetch it again"
                )

            def tell(count: int, base: int = done) -> None:
                observe(Progress("load", base + count, total, "byte"))

            found = hash_file(target, tell)
            if found != entry["sha256"]:
                raise WeightsError(
                    f"{target} is not the file that was pulled (SHA-256 {found[:12]}…, not "
                    f"{str(entry['sha256'])[:12]}…): delete it and run "
                    f"`vivant weights pull {name}`"
                )
            done += entry["size"]
        return len(files)

    def _plan(self, model: Model, lock: Mapping[str, Any]) -> list[_File]:
        """Files to have: the lock's where there is one, else the Hub's as of now."""
        assert self.hub is not None  # noqa: S101 - the caller looked
        if lock.get("files"):
            parts = {part.repo: part for part in model.parts}
            return [
                _File(
                    parts[entry["repo"]],
                    entry["commit"],
                    path,
                    entry["size"],
                    # what the registry knows holds, whatever an earlier pull has recorded
                    parts[entry["repo"]].sha256.get(path) or entry.get("sha256"),
                )
                for path, entry in lock["files"].items()
            ]
        files: list[_File] = []
        for part in model.parts:
            found = list(self.hub.files(part, self.hub.commit(part.repo, part.revision)))
            if not found:
                raise MissingPartError(
                    f"repository {part.repo} has none of {', '.join(part.patterns)}: "
                    "its layout has changed"
                )
            files += found
        return files

    def _check_disk(self, folder: Path, files: list[_File]) -> None:
        place = folder
        while not place.exists():
            place = place.parent
        here = sum(
            path.stat().st_size
            for file in files
            for path in (folder / file.path, _partial(folder / file.path))
            if path.is_file()
        )
        needed = sum(file.size for file in files) - here
        free = shutil.disk_usage(place).free
        if needed > free:
            raise OutputError(
                f"{needed / 1e9:.1f} GB are to be downloaded to {place}, and {free / 1e9:.1f} GB "
                "are free: free some, or set VIVANT_WEIGHTS_DIR to a larger disk"
            )

    def _fetch(
        self, folder: Path, file: _File, known: str | None, tell: Callable[[int], None]
    ) -> str:
        """One file, complete and hashed; its SHA-256."""
        assert self.hub is not None  # noqa: S101
        target = folder / file.path
        wanted = file.sha256 or known
        if known != wanted:
            known = None  # pulled before the registry knew better: hash it again
        if target.is_file() and target.stat().st_size == file.size and known:
            tell(file.size)
            return known
        partial = _partial(target)
        partial.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            target.replace(partial)
        start = partial.stat().st_size if partial.is_file() else 0
        if start > file.size:
            partial.unlink()
            start = 0
        digest = hashlib.sha256()
        if start:
            _feed(partial, digest)
        if start < file.size:
            response, resumed = self.hub.stream(file, start)
            with closing(response):
                if not resumed:
                    digest, start = hashlib.sha256(), 0
                try:
                    with partial.open("ab" if start else "wb") as out:
                        while block := response.read(CHUNK):
                            out.write(block)
                            digest.update(block)
                            start += len(block)
                            tell(start)
                except OSError as error:
                    raise OutputError(f"{partial} cannot be written: {error.strerror}") from None
        if start != file.size:
            raise MissingPartError(
                f"{file.path} broke off at {start} of {file.size} bytes: pull again to resume"
            )
        found = digest.hexdigest()
        if wanted and found != wanted:
            partial.unlink()
            raise WeightsError(
                f"{file.path} of {file.part.repo} has SHA-256 {found[:12]}…, not the pinned "
                f"{wanted[:12]}…: it was deleted; pull again"
            )
        partial.replace(target)
        return found

    def _write_lock(
        self, folder: Path, model: Model, files: list[_File], hashes: Mapping[str, str]
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


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _feed(path: Path, digest: Any, tell: Callable[[int], None] | None = None) -> None:
    done = 0
    with path.open("rb") as source:
        while block := source.read(CHUNK):
            digest.update(block)
            done += len(block)
            if tell is not None:
                tell(done)


def hash_file(path: Path, tell: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    _feed(path, digest, tell)
    return digest.hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """Names, dtypes and shapes in a safetensors file, after checking that it is whole.

    Costs one small read, whatever the file's size: done before anything is loaded.

    Raises:
        MissingPartError: there is no such file.
        WeightsError: it is no safetensors file, or truncated, or has bytes too many.
    """
    if not path.is_file():
        raise MissingPartError(f"weight file {path} is not there")
    size = path.stat().st_size
    with path.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, 100_000_000):
            raise WeightsError(f"{path} is not a safetensors file, or was cut off: fetch it again")
        try:
            header = json.loads(source.read(length))
            end = max(
                (entry["data_offsets"][1] for n, entry in header.items() if n != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise WeightsError(
                f"{path} has no readable safetensors header: fetch it again"
            ) from None
    if size != 8 + length + end:
        raise WeightsError(
            f"{path} has {size} bytes where its header promises {8 + length + end}: "
            "it was cut off or overwritten, fetch it again"
        )
    return dict(header)
