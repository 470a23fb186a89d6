"""Where finished files go on disk: they appear whole or not at all.

They are written in a hidden folder beside the target, then renamed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vivant.errors import OptionError, OutputError, OutputExistsError


@dataclass(frozen=True, slots=True)
class Target:
    """Where a clip and its companions go: ``clip.mp4``, ``clip.thumbnail.jpg``, ….

    Attributes:
        clip: absolute path of the MP4.
        force: existing files may be replaced.
    """

    clip: Path
    force: bool = False

    def companion(self, suffix: str) -> Path:
        """``clip.mp4`` → ``clip.<suffix>``, beside it."""
        return self.clip.with_name(f"{self.clip.stem}.{suffix}")

    @property
    def files(self) -> dict[str, str]:
        """Role → file name: ``clip`` and the roles of :data:`COMPANIONS`."""
        companions = {role: self.companion(suffix).name for role, suffix in COMPANIONS.items()}
        return {"clip": self.clip.name, **companions}

    @property
    def title(self) -> str:
        """Heading of the report page."""
        return self.clip.stem

    @property
    def href(self) -> str:
        """Link from the report page to the clip."""
        return self.clip.name


CLIP = "clip.mp4"
"""The clip's name in the folder where it is made."""

COMPANIONS: Mapping[str, str] = {
    "thumbnail": "thumbnail.jpg",
    "contact_sheet": "contact_sheet.jpg",
    "page": "report.html",
    "report": "report.json",
}
"""Role → what stands after the clip's stem; the file's name in the folder where it is made."""


def check_target(output: Path, *, force: bool) -> Target:
    """Find out before hours of work whether the result can be put where it should go.

    Raises:
        OptionError: not an ``.mp4`` name, or a directory.
        OutputExistsError: something is there already.
        OutputError: the directory does not exist or cannot be written to.
    """
    try:
        return _checked(output, force)
    except PermissionError as error:
        raise OutputError(
            f"no permission to look into {error.filename}: choose another place with -o"
        ) from error
    except (ValueError, OSError) as error:
        raise OptionError(f"output {str(output)[:80]!r} cannot be a file: {error}") from error


def _checked(output: Path, force: bool) -> Target:
    clip = Path(os.path.abspath(output.expanduser()))  # noqa: PTH100 - links stay links
    if "\0" in str(clip):
        raise ValueError("it contains a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in str(clip)):
        raise ValueError("its name is not UTF-8, choose another with -o")
    if clip.is_dir():
        raise OptionError(
            f"output {output} is a directory: name a file in it, e.g. {output / 'clip.mp4'}",
            param="output",
        )
    if clip.suffix.lower() != ".mp4":
        raise OptionError(
            f"output {output.name!r} does not end in .mp4: Vivant writes MP4 files",
            param="output",
        )
    target = Target(clip, force)
    if not clip.parent.is_dir():
        raise OutputError(f"directory {clip.parent} does not exist: create it first")
    _refuse_existing(target)
    effective = os.access in os.supports_effective_ids
    if not os.access(clip.parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise OutputError(f"no permission to write in {clip.parent}: choose another place with -o")
    return target


def _refuse_existing(target: Target) -> None:
    if target.force:
        return
    for path in (target.clip, *(target.companion(suffix) for suffix in COMPANIONS.values())):
        if path.exists():
            raise OutputExistsError(
                f"{path} exists: add --force to replace it, or choose another name with -o",
                param="output",
            )


@contextmanager
def workspace(target: Target) -> Iterator[Path]:
    """A hidden directory beside the target, gone afterwards whatever happens.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=".vivant-", dir=target.clip.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write in {target.clip.parent}: {error.strerror}; choose another place with -o"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Target) -> None:
    """Move ``folder``'s files to the target, the clip last: where it is, everything is.

    The files in ``folder`` are :data:`CLIP` and the values of :data:`COMPANIONS`.

    Raises:
        OutputExistsError: somebody else wrote there meanwhile.
        OutputError: the move failed; what was moved is taken back.
    """
    _refuse_existing(target)
    moves = [(folder / suffix, target.companion(suffix)) for suffix in COMPANIONS.values()]
    moves.append((folder / CLIP, target.clip))
    done: list[Path] = []
    try:
        for source, destination in moves:
            fresh = not destination.exists()
            source.replace(destination)
            if fresh:
                done.append(destination)
    except OSError as error:
        for path in done:
            path.unlink(missing_ok=True)
        raise OutputError(f"cannot write {target.clip}: {error.strerror}") from error
