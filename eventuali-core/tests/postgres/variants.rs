//! The positive controls: each step of the order that is left out is found out.

use std::fs::File;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long one run may take: ten seconds, and minutes on a very busy machine.
const A_RUN: Duration = Duration::from_mins(5);
/// After so long no other run begins, so that a control ends.
const ALL_RUNS: Duration = Duration::from_mins(8);

/// Runs a test of this file with a fault, until it says one of `complaints`: a test that fails for
/// another reason has not found the fault.
fn is_found(fault: &str, test: &str, complaints: &[&str]) {
    let begun = Instant::now();
    let mut last = String::new();
    for _ in 0..15 {
        if begun.elapsed() > ALL_RUNS {
            break;
        }
        let Some(said) = failure(fault, test) else { continue };
        if complaints.iter().any(|complaint| said.contains(complaint)) {
            return;
        }
        last = said;
    }
    panic!("{test} does not find {fault}: {last}");
}

/// What a test says that fails with a fault; none where it passes. It is stopped where it does not
/// end.
fn failure(fault: &str, test: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("said");
    let own = std::env::current_exe().expect("this test is a program");
    let mut run = Command::new(&own)
        .args(["--exact", test])
        .env("EVENTUALI_FAULT", fault)
        .stdout(File::create(&path).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let begun = Instant::now();
    let ended = loop {
        if let Some(ended) = run.try_wait().expect("it runs") {
            break ended;
        }
        if begun.elapsed() > A_RUN {
            run.kill().expect("it is stopped");
            break run.wait().expect("it ends");
        }
        sleep(Duration::from_millis(20));
    };
    let said = String::from_utf8_lossy(&std::fs::read(path).expect("the file")).into_owned();
    (!ended.success()).then_some(said)
}

/// A fault in the order, by what a reader has missed.
fn is_missed(fault: &str) {
    let complaints = ["skipped or doubled", "a reader sees what is stored"];
    is_found(fault, "late_commit::nobody_steps_over_it", &complaints);
}

#[test]
fn a_bound_that_is_not_published() {
    is_missed("bound");
}

#[test]
fn a_bound_that_is_published_after_the_draw() {
    is_missed("late-bound");
}

#[test]
fn a_reader_that_does_not_look_for_bounds() {
    is_missed("lowest");
}

#[test]
fn a_reader_that_looks_for_the_last_position_last() {
    is_missed("late-look");
}

#[test]
fn a_reader_with_one_snapshot() {
    is_missed("snapshot");
}

#[test]
fn a_follower_that_takes_the_events_of_its_process_for_all() {
    is_missed("recent");
}

#[test]
fn a_horizon_that_is_kept_too_high() {
    is_missed("kept");
}

#[test]
fn a_follower_that_steps_over_a_gap() {
    is_missed("gap");
}

#[test]
fn a_condition_that_does_not_close_the_gate() {
    is_found("gate", "late_commit::a_condition_sees_everything", &["more than there is room for"]);
}

#[test]
fn writers_that_do_not_lock_families() {
    is_found("families", "late_commit::an_id_is_stored_once", &["one of two is refused"]);
}
