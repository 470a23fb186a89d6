from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vivant.errors import OptionError, OutputError, OutputExistsError
from vivant.video.files import COMPANIONS, Target, check_target, publish, workspace


def fill(folder: Path, text: str = "new") -> None:
    for name in (*COMPANIONS.values(), "clip.mp4"):
        (folder / name).write_text(text)


def test_everything_appears_together(tmp_path: Path) -> None:
    target = check_target(tmp_path / "me.mp4", force=False)
    with workspace(target) as folder:
        fill(folder)
        publish(folder, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "me.contact_sheet.jpg",
        "me.mp4",
        "me.report.html",
        "me.report.json",
        "me.thumbnail.jpg",
    ]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    target = check_target(tmp_path / "me.mp4", force=False)
    with pytest.raises(RuntimeError), workspace(target) as folder:
        fill(folder)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_half_failed_move_is_taken_back(tmp_path: Path) -> None:
    target = check_target(tmp_path / "me.mp4", force=False)
    with pytest.raises(OutputError), workspace(target) as folder:
        fill(folder)
        (folder / "clip.mp4").unlink()
        publish(folder, target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["me.mp4", "me.report.json", "me.thumbnail.jpg"])
def test_existing_files_are_kept_unless_forced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(OutputExistsError, match="--force"):
        check_target(tmp_path / "me.mp4", force=False)
    target = check_target(tmp_path / "me.mp4", force=True)
    with workspace(target) as folder:
        fill(folder)
        publish(folder, target)
    assert (tmp_path / name).read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = check_target(tmp_path / "me.mp4", force=False)
    with pytest.raises(OutputExistsError), workspace(target) as folder:
        fill(folder)
        (tmp_path / "me.mp4").write_text("somebody else's")
        publish(folder, target)
    assert (tmp_path / "me.mp4").read_text() == "somebody else's"


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="directory"):
        check_target(tmp_path, force=False)
    with pytest.raises(OptionError, match=r"\.mp4"):
        check_target(tmp_path / "clip.avi", force=False)
    with pytest.raises(OutputError, match="create it first"):
        check_target(tmp_path / "no" / "clip.mp4", force=False)


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder this process may look into but not write to, also when tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(was)
            folder.chmod(0o755)


def test_no_permission(locked_folder: Path) -> None:
    with pytest.raises(OutputError, match="permission"):
        check_target(locked_folder / "clip.mp4", force=False)


def test_no_permission_to_look() -> None:
    with tempfile.TemporaryDirectory() as name:
        hidden = Path(name) / "hidden"
        hidden.mkdir(mode=0o000)
        was = os.geteuid()
        if was == 0:
            Path(name).chmod(0o755)
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="permission"):
                check_target(hidden / "clips" / "clip.mp4", force=False)
        finally:
            os.seteuid(was)
            hidden.chmod(0o755)


def test_names_that_no_file_has(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be a file"):
        check_target(tmp_path / "a\0.mp4", force=False)
    with pytest.raises(OptionError, match="cannot be a file"):
        check_target(tmp_path / ("a" * 300 + ".mp4"), force=False)


def test_companions_share_the_stem() -> None:
    assert Target(Path("/a/b.c.mp4")).companion("report.json") == Path("/a/b.c.report.json")
