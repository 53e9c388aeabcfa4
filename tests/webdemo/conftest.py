"""A small untrained network for the tests of the server; one browser for all tests of the page, a visit for each."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from nncore.data.idx import write_idx
from nncore.data.mnist import FILES
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.machine import available_threads, use_threads
from nncore.network.models import compact
from tests.webdemo.browser import Page, Server, missing, start_chromium
from tests.webdemo.made_runs import make_run
from webdemo.app import create_app
from webdemo.server.http_server import make_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server(create_app())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    driver = start_chromium()
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium: Any, server: Server) -> Iterator[Page]:
    """The page as somebody finds it who was never there. At the end the console must be free of complaints."""
    page = Page(chromium, server)
    page.look()
    page.forget()
    page.open()
    page.errors()  # of the test before
    yield page
    errors = page.errors()
    for other in chromium.window_handles[1:]:
        chromium.switch_to.window(other)
        chromium.close()
    chromium.switch_to.window(chromium.window_handles[0])
    assert not errors


@pytest.fixture(scope="session", autouse=True)
def all_threads() -> Iterator[None]:
    """The server tells BLAS, for the whole process, to compute with one thread: undo that for the tests to come."""
    yield
    use_threads(available_threads())


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    compact(seed=3).save(path, {"seed": 3})
    return path


@pytest.fixture(scope="session")
def client(weights: Path) -> FlaskClient:
    """A client of an application that serves it."""
    return create_app(weights).test_client()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder for the runs of trainings."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def training_client(weights: Path, runs: Path) -> FlaskClient:
    """A client of an application that shows these runs and starts trainings."""
    return create_app(weights, runs=runs, trainings=True).test_client()


@pytest.fixture(scope="session")
def port(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a real server of that application, in a thread of its own, with the run that the API's examples name."""
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs, "compact-20261121-120000")
    server = make_server(create_app(weights, runs=runs), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield int(server.effective_port)
    server.trigger.pull_trigger(server.close)  # in the server's own thread, which ends when nothing is left open
    thread.join(10)
    server.task_dispatcher.shutdown()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(port: int) -> str:
    """The server's URL."""
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for NNCORE_DATA: MNIST's four files, with so few digits that 50 epochs take some 15 seconds."""
    folder = tmp_path_factory.mktemp("data")
    arrays = [*synthetic_digits(12_000, seed=3), *synthetic_digits(100, seed=4)]
    for name, array in zip(FILES, arrays, strict=True):
        write_idx(folder / name.removesuffix(".gz"), array)
    return folder
