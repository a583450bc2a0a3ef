"""The words of the glossary and the facts that pages repeat from the code."""

import re
import tomllib
from pathlib import Path

import pytest

from later_core import errors
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.rpc import transport
from later_core.settings import Settings


@pytest.fixture(scope="module")
def glossary(root: Path) -> str:
    return (root / "docs" / "glossary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("state", list(State))
def test_the_glossary_names_every_state(state: State, glossary: str):
    assert state.value in glossary


@pytest.mark.parametrize(
    "word",
    [
        *("Task", "Instance", "Execution time", "Attempt", "State", "Window", "Claim", "Node"),
        *("Schedule", "Store", "Event"),
    ],
)
def test_the_glossary_explains_the_words_of_the_design(word: str, glossary: str):
    assert f"\n{word}\n: " in glossary


def test_the_glossary_words_stand_once(glossary: str):
    words = re.findall(r"^(.+)\n: ", glossary, re.MULTILINE)
    assert len(words) == len(set(words))


def test_every_reason_that_later_gives_to_a_failed_attempt_is_explained(root: Path):
    text = (root / "docs" / "concepts.md").read_text(encoding="utf-8")
    given = set[str]()
    for folder in ("engine", "stores"):
        for file in (root / "later_core" / folder).rglob("*.py"):
            source = file.read_text(encoding="utf-8")
            given |= set(re.findall(r'(?:_error|_describe)\(\s*"([A-Z_]+)"', source))
            given |= set(re.findall(r'reason="([A-Z_]+)"', source))
    assert given >= {"TASK_FAILED", "TIMEOUT", "MISSED", "NODE_LOST", "SHUTDOWN"}
    assert {reason for reason in given if f"| `{reason}` |" not in text} == set()


SAYINGS = [
    errors.SettingInvalid("--listen", "…"),
    errors.StandaloneServer(),
    errors.ReplicaSetNotInitiated(),
    errors.SchemaTooNew(2, 1),
    errors.DatabaseTooOld("5.0.1", "6.0"),
    errors.ListenFailed("127.0.0.1:9081"),
    errors.ListenUnprotected("0.0.0.0:9081", "nothing is encrypted and nobody is asked who he is"),
    errors.CertificateUnusable("LATER_TLS_CERT", "…"),
    errors.PluginConflict(),
    errors.DataDirectoryInUse("…", 1),
    errors.MongodNotFound(),
    errors.MongodFailed("…"),
]


def test_every_error_that_ends_the_server_is_known_here():
    assert {type(error) for error in SAYINGS} == set(errors.Misconfigured.__subclasses__())


@pytest.mark.parametrize("error", SAYINGS, ids=lambda error: error.reason)
def test_operators_are_told_what_to_do_on_each_error_that_ends_the_server(
    error: errors.Misconfigured, root: Path
):
    page = (root / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {error.reason}\n(.+?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    quoted = re.findall(r"^> (.+)$", found[1], re.MULTILINE)
    for quote in quoted:
        words = str(error).replace("process 1", "process …")
        assert re.fullmatch(".*".join(map(re.escape, quote.split("…"))), words), words
    assert quoted or not str(error)


def test_every_way_in_which_tls_fails_is_explained(root: Path):
    page = (root / "docs" / "security.md").read_text(encoding="utf-8")
    source = (root / "later_core" / "client" / "diagnosis.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'TlsFailed\(\s*"([A-Z_]+)"', source))
    assert reasons == set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    assert len(reasons) == 7


def test_the_bounds_on_connections_are_those_of_the_code(root: Path):
    page = (root / "docs" / "security.md").read_text(encoding="utf-8")
    usual = Settings()
    assert f"`max_connections`, {usual.max_connections} |" in page
    assert f"`max_streams`, {usual.max_streams:,} |" in page
    assert f"`max_watches`, {usual.max_watches:,} |" in page
    assert f"all connections | {transport.MAX_CALLS:,} |" in page
    assert f"| {transport.REQUEST_MAX_BYTES / 2**20:g} MiB |" in page
    assert f"| {transport.HEADERS_MAX_BYTES // 1024} KiB |" in page
    for name in ("idle", "age", "grace"):
        assert getattr(usual, f"connection_{name}") == getattr(transport.Transport(), name)


def test_the_changelog_knows_the_version_of_the_project(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_decision_has_its_number_its_parts_and_one_page(root: Path):
    pages = sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert heads[0].startswith(page.name[:4])
        assert heads[1:] == ["Context", "Decision", "Consequences"], page.name
        assert len(text.splitlines()) <= 60, page.name


def test_files_that_pages_name_exist(root: Path):
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    missing = [
        f"{page.name}: {name}"
        for page in pages
        for name in re.findall(
            r"`((?:later_core|docs|proto|plugins|tests)/[\w./-]*)`",
            page.read_text(encoding="utf-8"),
        )
        if not (root / name).exists()
    ]
    assert missing == []


def test_methods_of_the_store_that_the_tour_names_exist(root: Path):
    tour = (root / "docs" / "tour.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`[Ss]tore\.(\w+)", tour))
    assert {name for name in named if not hasattr(Store, name)} == set()
