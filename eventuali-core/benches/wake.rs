//! When a process hears of what another one committed, for `make bench`.
//!
//! `wake URL SECONDS` opens the store, says `ready`, waits for its signals for so long, and then
//! says when each came: seconds since 1970, one a line. `wake URL SECONDS CHANNEL` does the same
//! with a bare LISTEN.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use eventuali_core::backend::postgres::{Postgres, PostgresOptions};
use eventuali_core::storage::Storage;
use eventuali_core::url::Location;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds, channel @ ..] = arguments.as_slice() else {
        // What `cargo test` and `cargo bench` run.
        return Ok(());
    };
    let lasting = Duration::from_secs_f64(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let heard = match channel {
        [] => {
            let Location::Postgres(place) = Location::parse(url)? else {
                return Err("not the URL of a PostgreSQL".into());
            };
            let store = Postgres::open(PostgresOptions::new(place))?;
            runtime.block_on(signals(&store, lasting))?
        }
        [channel, ..] => runtime.block_on(bare(url, channel, lasting))?,
    };
    for at in heard {
        writeln!(std::io::stdout(), "{:.9}", at.duration_since(UNIX_EPOCH)?.as_secs_f64())?;
    }
    Ok(())
}

async fn signals(store: &Postgres, lasting: Duration) -> Result<Vec<SystemTime>> {
    let mut signals = store.appended();
    let (mut heard, until) = (Vec::new(), begin(lasting)?);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(Ok(())) = timeout(left, signals.changed()).await {
            heard.push(SystemTime::now());
        }
    }
    Ok(heard)
}

async fn bare(url: &str, channel: &str, lasting: Duration) -> Result<Vec<SystemTime>> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(channel).await?;
    let (mut heard, until) = (Vec::new(), begin(lasting)?);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(notified) = timeout(left, listener.recv()).await {
            notified?;
            heard.push(SystemTime::now());
        }
    }
    Ok(heard)
}

/// Says that it listens; until when.
fn begin(lasting: Duration) -> Result<Instant> {
    writeln!(std::io::stdout(), "ready")?;
    Ok(Instant::now() + lasting)
}
