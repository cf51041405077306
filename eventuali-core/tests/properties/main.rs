//! Random sequences of every verb: each backend answers as the one in memory does.

mod broken;
mod compare;
#[allow(dead_code)]
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod plan;

use std::sync::Arc;

use eventuali_core::backend::memory::Memory;
use eventuali_core::backend::postgres::Postgres;
use eventuali_core::backend::sqlite::{Durability, Sqlite, Target};
use eventuali_core::storage::Storage;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use broken::{Broken, Fault};
use fixtures::PostgresTable;
use plan::Step;

/// Compares the stores that `make` makes with the oracle. `PROPTEST_CASES` sets how often.
fn run(make: impl Fn() -> Arc<dyn Storage>) {
    run_with(config(), make);
}

fn run_with(config: Config, make: impl Fn() -> Arc<dyn Storage>) {
    let mut runner = TestRunner::new(config);
    if let Err(error) = differs(&mut runner, make) {
        panic!("{error}");
    }
}

fn differs(
    runner: &mut TestRunner,
    make: impl Fn() -> Arc<dyn Storage>,
) -> Result<(), TestError<Vec<Step>>> {
    runner.run(&plan::steps(), |steps| compare::run(&steps, make()).map_err(TestCaseError::fail))
}

fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

#[test]
fn memory_is_like_memory() {
    run(|| Arc::new(Memory::new()));
}

#[test]
fn sqlite_is_like_memory() {
    run(|| Arc::new(Sqlite::open(&Target::Memory, Durability::Full).expect("no file is needed")));
}

#[test]
fn postgres_is_like_memory() {
    // The schema of one sequence goes when the next one begins.
    let table = std::cell::RefCell::new(None);
    // Making the tables of a store takes longer than most sequences.
    let cases = config().cases;
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { cases } else { cases / 4 };
    run_with(Config { cases, ..config() }, || {
        let fresh = PostgresTable::new();
        let store = Postgres::open(fresh.options.clone()).expect("a PostgreSQL for tests");
        table.replace(Some(fresh));
        Arc::new(store)
    });
}

/// The positive control: a store with a fault is told apart, whatever the fault.
#[test]
fn every_fault_is_found() {
    for fault in Fault::ALL {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { max_shrink_iters: 0, ..config() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = differs(&mut runner, || Arc::new(Broken::new(Memory::new(), fault)));
        assert!(matches!(result, Err(TestError::Fail(..))), "{fault:?} is not found: {result:?}");
    }
}
