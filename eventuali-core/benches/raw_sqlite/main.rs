//! What bounds the SQLite backend, for `make bench`: the very inserts of its schema without a
//! check (`raw`), and the backend itself without Python (`core`).
//!
//! A request a line in, an answer a line out, as JSON, like `benchmarks/serve.py`.

mod core_alone;
mod raw;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many save at the same time.
const SAVERS: usize = 64;
/// How many streams the whole log is about.
const STREAMS: usize = 100;

/// Something that can be measured.
trait Subject {
    /// Starts over with an empty database in `folder`.
    fn fresh(&mut self, folder: &Path) -> Result<()>;

    /// Runs an operation and returns the seconds that a unit of it took.
    fn measure(&mut self, op: &str, events: usize, repeat: usize) -> Result<f64>;
}

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "raw" => serve(&mut raw::Raw::default()),
        "core" => serve(&mut core_alone::Core::default()),
        // What `cargo test` and `cargo bench` run.
        _ => check(&mut raw::Raw::default()).and(check(&mut core_alone::Core::default())),
    }
}

/// Does every operation once, so that a change of the schema cannot break `make bench` unseen.
fn check(subject: &mut dyn Subject) -> Result<()> {
    let folder = tempfile::tempdir()?;
    subject.fresh(folder.path())?;
    for op in ["save", "savers", "load", "read"] {
        subject.measure(op, 200, 1)?;
    }
    Ok(())
}

fn serve(subject: &mut dyn Subject) -> Result<()> {
    say(&json!({ "about": { "SQLite of Rust": rusqlite::version() } }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = match answer(subject, &request) {
            Ok(seconds) => json!({ "seconds": seconds }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        say(&answer)?;
    }
    Ok(())
}

fn answer(subject: &mut dyn Subject, request: &Value) -> Result<f64> {
    let op = request["op"].as_str().ok_or("a request has an op")?;
    if op == "fresh" {
        let folder = request["folder"].as_str().ok_or("fresh has a folder")?;
        subject.fresh(&PathBuf::from(folder))?;
        return Ok(0.0);
    }
    let number = |name: &str| request[name].as_u64().ok_or("a request has numbers");
    subject.measure(op, number("events")? as usize, number("repeat")? as usize)
}

fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

/// The seconds that a unit of `work` takes.
fn timed(units: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() / f64::from(units as u32))
}

/// The two fields of an event as JSON, as Python's are stored.
fn payload(number: usize) -> Vec<u8> {
    format!(r#"{{"amount":{number},"note":"account-{:02}"}}"#, number % STREAMS).into_bytes()
}
