//! The positive controls: each step of the order that is left out is found out.

use std::process::Command;

/// Runs a test of this file with a fault, until it fails.
fn is_found(fault: &str, test: &str) {
    let own = std::env::current_exe().expect("this test is a program");
    for _ in 0..15 {
        let run = Command::new(&own)
            .args(["--exact", test])
            .env("EVENTUALI_FAULT", fault)
            .output()
            .expect("it runs");
        if !run.status.success() {
            let said = String::from_utf8_lossy(&run.stdout).into_owned();
            assert!(said.contains("1 failed"), "{said}");
            return;
        }
    }
    panic!("{test} does not find {fault}");
}

const ORDER: &str = "late_commit::nobody_steps_over_it";

#[test]
fn a_bound_that_is_not_published() {
    is_found("bound", ORDER);
}

#[test]
fn a_bound_that_is_published_after_the_draw() {
    is_found("late-bound", ORDER);
}

#[test]
fn a_reader_that_does_not_look_for_bounds() {
    is_found("lowest", ORDER);
}

#[test]
fn a_reader_that_looks_for_the_last_position_last() {
    is_found("late-look", ORDER);
}

#[test]
fn a_reader_with_one_snapshot() {
    is_found("snapshot", ORDER);
}

#[test]
fn a_follower_that_takes_the_events_of_its_process_for_all() {
    is_found("recent", ORDER);
}

#[test]
fn a_horizon_that_is_kept_too_high() {
    is_found("kept", ORDER);
}

#[test]
fn a_follower_that_steps_over_a_gap() {
    is_found("gap", ORDER);
}

#[test]
fn a_condition_that_does_not_close_the_gate() {
    is_found("gate", "late_commit::a_condition_sees_everything");
}

#[test]
fn writers_that_do_not_lock_families() {
    is_found("families", "late_commit::an_id_is_stored_once");
}
