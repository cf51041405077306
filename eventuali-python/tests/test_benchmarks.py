"""The benchmark runs, measures what its table names, and says so where a target is missed."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from postgres_server import server_url

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.svg"]
DATA = ROOT / "target" / "bench"
LIMIT = 120  # seconds: a benchmark that hangs fails


@pytest.fixture(autouse=True)
def _package(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(autouse=True)
def _server(monkeypatch):
    """A server of the tests that does not flush is refused: another one is found or started."""
    with psycopg.connect(server_url()) as connection:
        if connection.execute("SHOW fsync").fetchone() == ("off",):
            monkeypatch.delenv("EVENTUALI_TEST_POSTGRES_URL")


def test_a_smoke_run_measures_every_row_and_leaves_no_trace():
    from benchmarks.rows import GROUPS, ON_POSTGRES

    before = [page.read_bytes() for page in PAGES if page.exists()]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--smoke"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    printed, complaints = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, complaints
    medians = printed.partition("medians of")[2].partition("How many times")[0]
    for row in (row for group in (*GROUPS, *ON_POSTGRES) for row in group.rows):
        line = next(line for line in medians.splitlines() if line.startswith(row.title))
        assert line.removeprefix(row.title).split()[1] in {"s", "ms", "µs", "ns"}
    assert before == [page.read_bytes() for page in PAGES if page.exists()]
    assert list(DATA.glob(f"data-{process.pid}-*")) == []


def test_every_operation_of_the_table_exists():
    from benchmarks.rows import FLUSH, GROUPS, ON_POSTGRES, OURS, PG

    files = {
        OURS: ["benchmarks/subjects/ours.py"],
        "s": ["benchmarks/subjects/sourcing.py"],
        "uma": ["benchmarks/subjects/uma.py"],
        "plain": ["benchmarks/subjects/plain.py"],
        "raw": ["eventuali-core/benches/raw_sqlite/raw.rs"],
        "core": ["eventuali-core/benches/raw_sqlite/core_alone.rs"],
        PG: ["benchmarks/subjects/ours.py", "benchmarks/subjects/ours_postgres.py"],
        "pg_s": ["benchmarks/subjects/sourcing.py", "benchmarks/subjects/sourcing_postgres.py"],
        "pg_raw": ["benchmarks/subjects/raw_postgres.py"],
    }
    sources = {
        name: "".join((ROOT / path).read_text() for path in paths) for name, paths in files.items()
    }
    for group in (FLUSH, *GROUPS, *ON_POSTGRES):
        asked = [(group.ours, row.op) for row in group.rows] + list(group.peers.items())
        for subject, op in asked:
            assert f"def op_{op}(" in sources[subject] or f'"{op}" =>' in sources[subject]
        targets = {peer for row in group.rows for peer in row.targets}
        assert {group.bound[0], *targets} <= {*group.peers, ""}


@pytest.mark.parametrize(
    ("ours", "theirs", "met"),
    [([1.0, 1.0, 9.0], [2.0, 2.0, 2.0], True), ([1.0, 2.0, 2.0], [2.0, 2.0, 2.0], False)],
)
def test_a_target_is_met_where_the_median_of_the_rounds_reaches_it(ours, theirs, met):
    from benchmarks import page, report
    from benchmarks.rounds import Results
    from benchmarks.rows import Group, Row

    row = Row("save", "save", {"s": 1.5})
    group = Group((row,), {"s": "save"}, 1, 1, (1, 1), ("s", "a peer"))
    results = Results([group], 3, {"ours": {}, "s": {}})
    results.seconds = {(0, "ours", "save"): ours, (0, "s", "save"): theirs}
    (verdict,) = report.verdicts(results)
    assert verdict.met is met
    assert verdict.line()[-1] == ("met" if met else "missed")
    assert ("Missed: save beside eventsourcing" in page.summary(results)) is not met


def figures(groups, seconds):
    """Results of made-up figures, by group, subject and operation."""
    from benchmarks.rounds import Results

    about = {subject: {} for _, subject, _ in seconds}
    results = Results(groups, 3, about)
    results.seconds = {key: [value] * 3 for key, value in seconds.items()}
    return results


def test_the_page_opens_with_what_a_user_wants_to_know():
    from benchmarks import page
    from benchmarks.rows import Group, Row

    bound = ("raw", "one row and one flush")
    one = Row("save 1 event a commit, sync", "save_sync", {"s": 1.4, "raw": 0.5})
    many = Row("load an aggregate of 1,000 events", "load", {"s": 2})
    peers = {"s": "save", "uma": "save", "raw": "save"}
    groups = [
        Group((one,), peers, 1, 1, (1, 1), bound),
        Group((many,), {"s": "load"}, 1000, 1, (1, 1), ("", "")),
    ]
    times = {
        (0, "ours", "save_sync"): 282e-6,
        (0, "s", "save"): 300e-6,
        (0, "uma", "save"): 141e-6,
        (0, "raw", "save"): 225.6e-6,
        (1, "ours", "load"): 2.2e-3,
        (1, "s", "load"): 22e-3,
    }
    text = page.markdown(figures(groups, times), {}, [], "plot.svg")
    opening, _, rest = text.partition("## Where it is slower than we want")
    assert opening.startswith(
        "# Benchmarks\n\nOn SQLite, saving one event with a flush to disk takes 282 µs, so about "
        "3,500 commits a second from one caller. Loading an aggregate of 1,000 events takes "
        "2.20 ms.\n\n"
    )
    assert "PostgreSQL" not in opening, "what was not measured is not told of"
    assert (
        "Compared with eventsourcing it is 1.06x (save 1 event a commit, sync) to 10.00x (load an "
        "aggregate of 1,000 events) as fast. Compared with umadb it is 0.50x as fast (save 1 event "
        "a commit, sync). Saving one event on SQLite reaches 80% of the speed of raw rusqlite, "
        "the limit." in opening
    )
    slower, _, rest = rest.partition("## Compared with the targets")
    assert slower.strip().splitlines() == [
        "- **save 1 event a commit, sync**: 282 µs, 1.06x as fast as eventsourcing; the target is "
        "1.4x. It reaches 80% of its limit, raw rusqlite (one row and one flush).",
        "- **save 1 event a commit, sync**: 282 µs, 0.50x as fast as umadb; there is no target "
        "for it.",
    ]
    assert rest.startswith("\n\n2 of 3 targets met.\n\n| ")


def test_a_page_without_a_miss_says_so():
    from benchmarks import page
    from benchmarks.rows import Group, Row

    group = Group((Row("save", "save", {"s": 2}),), {"s": "save"}, 1, 1, (1, 1), ("", ""))
    results = figures([group], {(0, "ours", "save"): 1.0, (0, "s", "save"): 2.0})
    text = page.markdown(results, {}, [], "plot.svg")
    assert "## Where it is slower than we want\n\nEvery target is met.\n\n" in text


def test_the_opening_speaks_of_rows_that_exist():
    from benchmarks.opening import POSTGRES_FACTS, SQLITE_FACTS
    from benchmarks.rows import GROUPS, ON_POSTGRES

    titles = {row.title for group in (*GROUPS, *ON_POSTGRES) for row in group.rows}
    assert {fact.title for fact in (*SQLITE_FACTS, *POSTGRES_FACTS)} <= titles


def test_two_commits_are_compared_round_by_round():
    from benchmarks import comparison
    from benchmarks.rounds import Results
    from benchmarks.rows import Group, Row

    group = Group((Row("save", "save"), Row("new", "new")), {}, 1, 1, (1, 1), ("s", ""))
    results = Results([group], 5, {})
    results.seconds = {
        (0, "ours@a", "save"): [2e-3, 4e-3, 3e-3, 3e-3, 3e-3],
        (0, "ours@b", "save"): [1e-3] * 5,
        (0, "ours@b", "new"): [1e-3] * 5,
    }
    table = comparison.table(results, "ours@a", "ours@b", {})
    (saved,) = [line.split() for line in table.splitlines() if line.startswith("save")]
    assert saved == ["save", "3.00", "ms", "1.00", "ms", "3.00x", "2.00–4.00", "faster"]
    assert "not in both" in next(line for line in table.splitlines() if line.startswith("new"))


def test_a_commit_is_built_from_its_own_sources(tmp_path):
    from benchmarks.commits import sources_of

    begun = time.time()
    sources = sources_of("HEAD", tmp_path)
    files = [sources / "Cargo.toml", sources / "eventuali-core" / "src" / "lib.rs"]
    assert all(file.stat().st_mtime > begun - 2 for file in files)  # coarse clocks of file systems


def test_without_a_server_the_page_says_so(monkeypatch, tmp_path):
    from contextlib import ExitStack

    from benchmarks.__main__ import chosen, peers

    monkeypatch.setenv("EVENTUALI_TEST_POSTGRES_URL", "postgresql://u@127.0.0.1:1/none")
    groups = chosen("postgres")
    assert len(groups) > 2
    with ExitStack() as stack:
        workers, absent = peers(stack, groups, tmp_path, smoke=True)
        assert [worker.name for worker in workers] == ["plain"]
    assert "PostgreSQL could not be had here" in absent[0]


@pytest.mark.parametrize("server", [True, False])
def test_queries_and_conditions_have_a_page(server, monkeypatch, tmp_path, capsys):
    from benchmarks import queries

    if not server:
        monkeypatch.setenv("EVENTUALI_TEST_POSTGRES_URL", "postgresql://u@127.0.0.1:1/none")
    page = tmp_path / "page.md"
    queries.run(tmp_path, page, queries.Sizes(1000, 5000, commits=2, reads=1, rounds=2))
    printed = capsys.readouterr()
    assert printed.out == page.read_text() + "\n"
    assert ("PostgreSQL is left out" in printed.err) is not server
    assert list(tmp_path.iterdir()) == [page]
    backends = ["SQLite file", "PostgreSQL"] if server else ["SQLite file"]
    limits = ["≥ 8x", "≥ 8x", "≤ 2x", "≤ 2x", ""]
    rows = [line.split(" | ") for line in page.read_text().splitlines() if "x |" in line]
    assert [row[0].removeprefix("| ").partition(":")[0] for row in rows] == [
        backend for backend in backends for _ in limits
    ]
    assert [row[3] for row in rows] == limits * len(backends)


@pytest.mark.parametrize(
    ("seconds", "verdicts"),
    [
        (1.5, ["missed", "missed", "met", "met"]),
        (7.0, ["missed"] * 4),
        (9.0, ["met", "met", "missed", "missed"]),
    ],
)
def test_a_row_is_met_where_the_median_of_the_rounds_reaches_it(seconds, verdicts):
    from benchmarks import acceptance, queries

    names = ["correlation id", "aggregate type", "stream", "small", "time", "position"]
    figures = {name: [1.0, 1.0, 1.0] for name in names}
    figures |= {name: [seconds, seconds, 1.0] for name in ("all", "tag", "large")}
    rows = queries.lines("SQLite file", figures, queries.SIZES)
    assert [row[-1] for row in rows] == [*verdicts, ""]
    assert [row[2] for row in rows] == [f"{seconds:.2f}x"] * 4 + ["1.00x"]
    page = acceptance.markdown("queries", "queries", "How.", rows, {"disk": "none"})
    row = f"| 1.00 s; reading all {seconds:.2f} s | {seconds:.2f}x | ≥ 8x | {verdicts[0]} |"
    assert row in page
    assert "| disk | none |" in page


READ_MODEL_LIMITS = [
    *("≥ 0.3x", "", "≥ 5x", "≥ 0.4x", "", "≥ 2x"),
    *("", "0.8x to 1.2x", "≤ 1.5x", "", "≤ 1.5x", ""),
    *("≤ 2x", "≤ 2x", "≤ 3x"),
    *["≤ 1.03x"] * 8,
]
"""The targets of the rows of a backend; those beside eventsourcing are the third and the fifth."""


@pytest.mark.parametrize("server", [True, False])
def test_read_models_have_a_page(server, monkeypatch, tmp_path, capsys):
    from benchmarks import read_models

    if not server:
        monkeypatch.setenv("EVENTUALI_TEST_POSTGRES_URL", "postgresql://u@127.0.0.1:1/none")
    monkeypatch.setattr(read_models, "peer", lambda kind, place: None)  # of `make bench` alone
    page = tmp_path / "page.md"
    sizes = read_models.Sizes(
        events=2_000, large=3_000, keys=20, finds=2, commits=4, quiet=0.1, rounds=1
    )
    read_models.run(tmp_path, page, sizes)
    printed = capsys.readouterr()
    assert printed.out == page.read_text() + "\n"
    assert ("PostgreSQL is left out" in printed.err) is not server
    assert list(tmp_path.iterdir()) == [page]
    backends = ["SQLite file", "PostgreSQL"] if server else ["SQLite file"]
    limits = [limit for number, limit in enumerate(READ_MODEL_LIMITS) if number not in (2, 4)]
    rows = [line.split(" | ") for line in page.read_text().splitlines()[5:] if ": " in line]
    assert [row[0].removeprefix("| ").partition(":")[0] for row in rows] == [
        backend for backend in backends for _ in limits
    ]
    assert [row[3] for row in rows] == limits * len(backends)


def test_consumer_groups_have_a_page(monkeypatch, tmp_path, capsys):
    from benchmarks import consumer_groups

    sizes = {"EVENTS": 200, "MANY": 200, "COMMIT": 150, "ROUNDS": 1, "MEMBERS": (1, 2)}
    for name, value in sizes.items():
        monkeypatch.setattr(consumer_groups, name, value)
    page = tmp_path / "page.md"
    consumer_groups.run(tmp_path, page)
    assert capsys.readouterr().out == page.read_text() + "\n"
    rows = [line.split(" | ") for line in page.read_text().splitlines()[5:] if ": " in line]
    assert [row[3] for row in rows] == ["≥ 0.8x", "", "≥ 2.0x", "", "≤ 0.6x", ""] * 2


@pytest.mark.parametrize(("seconds", "verdict"), [(6.0, "met"), (6.1, "missed")])
def test_a_row_of_consumer_groups_is_met_at_its_limit(seconds, verdict):
    from benchmarks import consumer_groups

    figures = {("keeps", members): [10.0] * 3 for members in (1, 2, 4)}
    figures |= {("keeps", 8): [seconds] * 3, ("waits", 1): [1.0]}
    figures |= {("nothing", 1): [1.0], ("nothing", 4): [0.5]}
    figures |= {("named", 0): [1.0], ("here", 1): [1.25], ("here", 8): [2.0]}
    rows = consumer_groups.lines("SQLite file", figures)
    assert [row[-1] for row in rows[:3]] == ["met", "", "met"]
    assert [row[-1] for row in rows[3:]] == ["", "missed", "missed", verdict, ""]
    assert rows[3][1] == "10.00 s, 2,000 events/s"


@pytest.mark.parametrize(
    ("seconds", "others_take", "verdict"),
    [
        (1.0, 5.0, "met"),
        (4.0, 1.0, "missed"),
    ],
)
def test_a_row_of_read_models_is_met_at_its_limit(seconds, others_take, verdict):
    from benchmarks import read_model_rows, saving

    ours = ["fold", "by hand", "distinct", "rebuild", "foretold", "equal", "range", "shown"]
    others = ["plain", "objects", "theirs", "upserts", "free", "theirs in memory"]
    figures = {name: [seconds] * 3 for name in ours} | {name: [others_take] * 3 for name in others}
    for name in ("rest", "raw equal", "raw range", "commit"):
        figures[name] = [1.0] * 3
    for kind in ("get", "find"):
        figures |= {f"{kind} {when}": [1.0] * 3 for when in ("alone", "crowded")}
        figures[f"{kind} meanwhile"] = [seconds] * 3
    for events in (1, 100):
        for kind in saving.KINDS:
            figures[f"save {events}, {kind}"] = [1.0 if kind == "alone" else seconds] * 3
    rows = read_model_rows.lines("SQLite file", figures, read_model_rows.SIZES)
    assert [row[3] for row in rows] == READ_MODEL_LIMITS
    assert [row[-1] for row in rows] == [verdict if limit else "" for limit in READ_MODEL_LIMITS]
    assert rows[6][1] == f"{seconds:.2f} s; {1_000_000 / seconds:,.0f} events a second"
