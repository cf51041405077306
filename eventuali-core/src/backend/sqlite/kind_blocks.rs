//! In which blocks of 64 positions events of a kind stand. Each block names the one before it, and
//! `kind_ends` the last one, so that a damaged entry is noticed by who passes it.

use rusqlite::{Connection, OptionalExtension};

use super::connection::{Session, damaged, is_checked};
use super::reader::clamp;
use crate::error::Result;
use crate::query::ReadRange;
use crate::span::Span;

/// What the first block of a kind names as the one before it.
const NONE: i64 = -1;

/// Notes that events of `kind` stand in a block, the last of the log.
pub(super) fn note(conn: &Connection, kind: i64, block: i64) -> Result<()> {
    let last = last(conn, kind)?;
    if last == block {
        return Ok(());
    }
    if last > block || (last == NONE && stands_anywhere(conn, kind)?) {
        return Err(broken());
    }
    conn.prepare_cached(include_str!("sql/insert_kind_block.sql"))?.execute([kind, block, last])?;
    let end = if last == NONE {
        include_str!("sql/insert_kind_end.sql")
    } else {
        include_str!("sql/update_kind_end.sql")
    };
    conn.prepare_cached(end)?.execute([kind, block])?;
    Ok(())
}

fn last(conn: &Connection, kind: i64) -> Result<i64> {
    let mut statement = conn.prepare_cached(include_str!("sql/kind_end.sql"))?;
    Ok(statement.query_row([kind], |row| row.get(0)).optional()?.unwrap_or(NONE))
}

fn stands_anywhere(conn: &Connection, kind: i64) -> Result<bool> {
    let mut statement = conn.prepare_cached(include_str!("sql/kind_blocks_forward.sql"))?;
    Ok(statement.exists([kind, 0, 1])?)
}

/// The first `most` blocks of a kind that lie in `range`, in its direction, and whether these are all.
pub(super) fn within(
    session: &Session,
    kind: i64,
    range: ReadRange,
    most: usize,
) -> Result<(Vec<Span>, bool)> {
    let whole = (clamp(range.after + 1) >> 6, clamp(range.until) >> 6);
    let mut spans = Vec::new();
    let add = |block: i64| {
        spans.push(((block << 6) as u64, (block << 6) as u64 + 63));
        spans.len() < most
    };
    let complete = if range.backwards {
        backward(session, kind, whole, most, add)?
    } else {
        forward(session, kind, whole, most, add)?
    };
    Ok((spans, complete))
}

/// Gives the blocks between two to `add` until that says no; whether these were all.
fn forward(
    session: &Session,
    kind: i64,
    (first, last_wanted): (i64, i64),
    most: usize,
    mut add: impl FnMut(i64) -> bool,
) -> Result<bool> {
    let mut statement = session.statement(include_str!("sql/kind_blocks_forward.sql"))?;
    // One that lies behind what is wanted, and another that says that it does.
    let mut rows = statement.query([kind, first, most as i64 + 2])?;
    let (mut before, mut full, mut beyond) = (None, false, false);
    while let Some(row) = rows.next()? {
        let (block, prior): (i64, i64) = (row.get(0)?, row.get(1)?);
        hold(before.map_or(prior < first, |before| prior == before && block > before))?;
        if full || beyond {
            return Ok(beyond);
        }
        before = Some(block);
        beyond = block > last_wanted;
        full = !beyond && !add(block);
    }
    let last = last(&session.conn, kind)?;
    hold(before.map_or(last < first, |before| last == before))?;
    Ok(!full)
}

/// The same from the last to the first.
fn backward(
    session: &Session,
    kind: i64,
    (first_wanted, from): (i64, i64),
    most: usize,
    mut add: impl FnMut(i64) -> bool,
) -> Result<bool> {
    let behind = session
        .statement(include_str!("sql/kind_blocks_forward.sql"))?
        .query_row([kind, from + 1, 1], |row| row.get(1))
        .optional()?;
    let mut due = match behind {
        Some(prior) => prior,
        None => last(&session.conn, kind)?,
    };
    let mut statement = session.statement(include_str!("sql/kind_blocks_backward.sql"))?;
    let mut rows = statement.query([kind, from, most as i64])?;
    while let Some(row) = rows.next()? {
        let block: i64 = row.get(0)?;
        hold(block == due)?;
        if block < first_wanted {
            return Ok(true);
        }
        if !add(block) {
            return Ok(false);
        }
        due = row.get(1)?;
    }
    hold(due == NONE)?;
    Ok(true)
}

/// Refuses to go on where an entry is not what the one beside it says.
fn hold(right: bool) -> Result<()> {
    if right || !is_checked() { Ok(()) } else { Err(broken()) }
}

fn broken() -> crate::error::Error {
    damaged("the index of event types is not what was written; verify() tells more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sqlite::connection::Epoch;
    use crate::backend::sqlite::{Durability, Target};

    /// Kind 1 stands in every third block, kind 2 in few.
    fn noted() -> (Session, [Vec<i64>; 2]) {
        let session = Session::writer(&Target::Memory, Durability::Full, Epoch::default());
        let session = session.expect("it opens");
        let stands = [(0..300).map(|n| n * 3).collect(), vec![0, 1, 700]];
        for (kind, blocks) in [1, 2].into_iter().zip(&stands) {
            let blocks: &Vec<i64> = blocks;
            for block in blocks {
                note(&session.conn, kind, *block).expect("it is noted");
                note(&session.conn, kind, *block).expect("it is noted already");
            }
        }
        (session, stands)
    }

    fn range(first: i64, last: i64, backwards: bool) -> ReadRange {
        let (after, until) = ((first as u64 * 64).saturating_sub(1), last as u64 * 64 + 63);
        ReadRange { after, until, backwards, ..ReadRange::default() }
    }

    #[test]
    fn each_block_is_found_in_its_order() {
        let (session, stands) = noted();
        for (kind, blocks) in [1, 2].into_iter().zip(&stands) {
            for (first, last) in [(0, 900), (1, 700), (2, 2), (300, 310), (701, 900)] {
                for most in [1, 2, 7, 1000] {
                    for backwards in [false, true] {
                        let inside = |block: &&i64| (first..=last).contains(*block);
                        let mut due: Vec<_> = blocks.iter().filter(inside).copied().collect();
                        if backwards {
                            due.reverse();
                        }
                        let asked = range(first, last, backwards);
                        let (found, all) =
                            within(&session, kind, asked, most).expect("it is whole");
                        let found: Vec<_> = found.iter().map(|span| span.0 as i64 >> 6).collect();
                        assert_eq!(found, due[..due.len().min(most)], "{asked:?}");
                        assert_eq!(all, due.len() < most, "{asked:?} of {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_migrated_index_says_the_same() {
        let (session, _) = noted();
        let all = |sql| -> Vec<(i64, i64)> {
            let mut statement = session.conn.prepare(sql).expect("it is SQL");
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            rows.expect("it runs").collect::<rusqlite::Result<_>>().expect("it is read")
        };
        let tables = || {
            let blocks = all("SELECT kind * 10000 + block, prior FROM kind_blocks ORDER BY 1");
            (blocks, all("SELECT kind, block FROM kind_ends ORDER BY 1"))
        };
        let written = tables();
        let before = "CREATE TABLE ends (stream, version); DROP TABLE kind_ends;
            ALTER TABLE kind_blocks DROP COLUMN prior";
        session.conn.execute_batch(before).expect("it is as it was in the format before");
        session.conn.execute_batch(include_str!("sql/0003_chains.sql")).expect("it is migrated");
        assert_eq!(tables(), written);
    }

    #[test]
    fn an_end_that_is_lost_is_not_made_anew() {
        let (session, _) = noted();
        session.conn.execute("DELETE FROM kind_ends WHERE kind = 1", []).expect("it is lost");
        for block in [897, 900] {
            let error = note(&session.conn, 1, block).expect_err("it stands somewhere");
            assert!(matches!(error.kind(), crate::error::ErrorKind::Corrupted { .. }));
        }
    }
}
