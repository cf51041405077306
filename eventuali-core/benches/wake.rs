//! When a store hears of what another process committed, for `make bench`.
//!
//! `wake URL SECONDS` says `ready`, waits for signals for so long, and then says when each came:
//! seconds since 1970, one a line.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::contract::block_on;
use eventuali_core::storage::Storage;
use tokio::time::timeout;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds] = arguments.as_slice() else {
        // What `cargo test` and `cargo bench` run.
        return Ok(());
    };
    let store = Postgres::open(PostgresOptions::new(url))?;
    let mut signals = store.appended();
    let until = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
    println!("ready");
    let mut heard = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if let Ok(Ok(())) = timeout(left, signals.changed()).await {
                heard.push(SystemTime::now());
            }
        }
    });
    block_on(store.close())?;
    for at in heard {
        println!("{:.9}", at.duration_since(UNIX_EPOCH)?.as_secs_f64());
    }
    Ok(())
}
