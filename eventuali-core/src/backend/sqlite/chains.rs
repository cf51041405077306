//! Indexes in which each entry names the one before it, and something else the last one, so that whoever
//! passes an entry that is damaged or lost notices.

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use super::error::{damaged, is_checked};
use super::value::clamp;
use crate::error::Result;
use crate::event::user_term;
use crate::query::{ReadRange, Term};

/// What the first entry of a key names as the one before it.
const NONE: i64 = -1;

/// Where an entry stands that is no place, and only names the last one.
const END: i64 = i64::MAX;

/// An index: keys, and the places at which each stands, in the order in which they were written.
pub(super) struct Chain {
    /// Entries of a key from a place on, and before it: place and the one before.
    forward: &'static str,
    backward: &'static str,
    /// The last place of a key; none where an entry names it, which each key has.
    end: Option<&'static str>,
    what: &'static str,
}

/// In which blocks of 64 positions events of a kind stand.
pub(super) static KIND_BLOCKS: Chain = Chain {
    forward: include_str!("sql/kind_blocks_forward.sql"),
    backward: include_str!("sql/kind_blocks_backward.sql"),
    end: None,
    what: "the index of event types differs from what was written",
};

/// The positions of a tenant's tag, or of its user.
pub(super) static TAGS: Chain = Chain {
    forward: include_str!("sql/tags_forward.sql"),
    backward: include_str!("sql/tags_backward.sql"),
    end: Some(include_str!("sql/tag_end.sql")),
    what: "the index of tags differs from what was written",
};

/// The columns of a key.
pub(super) type Key<'a> = &'a [&'a dyn ToSql];

/// The places above `after`, up to `until`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) after: i64,
    pub(super) until: i64,
    pub(super) backwards: bool,
}

impl Part {
    /// The positions of a range.
    pub(super) fn of(range: ReadRange) -> Self {
        let (after, until) = (clamp(range.after), clamp(range.until));
        Self { after, until, backwards: range.backwards }
    }

    /// The blocks of 64 positions in which they lie.
    pub(super) fn blocks(self) -> Self {
        let (first, last) = ((self.after + 1) >> 6, self.until >> 6);
        Self { after: first - 1, until: last, ..self }
    }
}

/// Notes that events of a new kind will stand somewhere.
pub(super) fn note_kind(conn: &Connection, kind: i64) -> Result<()> {
    let put = conn.prepare_cached(include_str!("sql/insert_kind_end.sql"))?.execute([kind])?;
    hold(put == 1, KIND_BLOCKS.what)
}

/// Notes that events of `kind` stand in a block, the last of the log.
pub(super) fn note_block(conn: &Connection, kind: i64, block: i64) -> Result<()> {
    let last: Option<i64> = conn
        .prepare_cached(include_str!("sql/kind_end.sql"))?
        .query_row([kind], |row| row.get(0))
        .optional()?;
    match last {
        Some(last) if last == block => return Ok(()),
        Some(last) if last < block => {
            let entry = [kind, block, last];
            conn.prepare_cached(include_str!("sql/insert_kind_block.sql"))?.execute(entry)?;
        }
        _ => return Err(damaged(KIND_BLOCKS.what)),
    }
    conn.prepare_cached(include_str!("sql/update_kind_end.sql"))?.execute([kind, block])?;
    Ok(())
}

/// Notes that an event with a tag stands at a position, the last of the log.
///
/// Where the tag's end was lost, the entry says that none is before it, which the next one to pass it
/// finds wrong.
pub(super) fn note_tag(conn: &Connection, tenant: &str, tag: &str, position: i64) -> Result<()> {
    let mut statement = conn.prepare_cached(include_str!("sql/put_tag.sql"))?;
    let put = statement.execute(params![tenant, tag, position])?;
    // An event that has the tag twice has it once.
    hold(put == 1 || TAGS.last(conn, &[&tenant, &tag])? == position, TAGS.what)
}

/// Under what the index of tags has a tag or a user.
pub(super) fn term_text(term: Term<'_>) -> String {
    match term {
        Term::Tag(tag) => tag.to_owned(),
        Term::User(user) => user_term(user),
    }
}

impl Chain {
    fn last(&self, conn: &Connection, key: Key<'_>) -> Result<i64> {
        let Some(sql) = self.end else {
            hold(false, self.what)?;
            return Ok(NONE);
        };
        let mut statement = conn.prepare_cached(sql)?;
        Ok(statement.query_row(key, |row| row.get(0)).optional()?.unwrap_or(NONE))
    }

    /// The first `most` places of a key in a part, in its direction, and whether these are all.
    pub(super) fn within(
        &self,
        conn: &Connection,
        key: Key<'_>,
        part: Part,
        most: usize,
    ) -> Result<(Vec<i64>, bool)> {
        let mut links = self.links(conn, key, part)?;
        let (sql, from) = if part.backwards {
            (self.backward, part.until)
        } else {
            (self.forward, part.after + 1)
        };
        // One more, which says that the last one stands where it should.
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(with(key, &[from, most as i64 + 1]))?;
        let mut places = Vec::new();
        while let Some(row) = rows.next()? {
            let (place, prior) = (row.get(0)?, row.get(1)?);
            if place <= part.after || place > part.until {
                break;
            }
            links.meet(place, prior)?;
            if places.len() == most {
                return Ok((places, false));
            }
            places.push(place);
        }
        links.is_over()?;
        let complete = places.len() < most;
        Ok((places, complete))
    }

    /// What the entries of a part have to say of one another.
    pub(super) fn links(&self, conn: &Connection, key: Key<'_>, part: Part) -> Result<Links> {
        let mut statement = conn.prepare_cached(self.forward)?;
        let behind: Vec<(i64, i64)> = statement
            .query_map(with(key, &[part.until + 1, 2]), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let due = match behind[..] {
            [] => self.last(conn, key)?,
            [(END, last), ..] => last,
            // What is behind the part tells of its end, if it stands where it should.
            [(place, prior), ..] => {
                let told = match behind.get(1) {
                    Some((_, told)) => *told,
                    None => self.last(conn, key)?,
                };
                hold(told == place, self.what)?;
                prior
            }
        };
        Ok(Links { part, due, met: None, what: self.what })
    }
}

fn with<'a>(
    key: Key<'a>,
    numbers: &'a [i64],
) -> rusqlite::ParamsFromIter<impl IntoIterator<Item = &'a dyn ToSql>> {
    params_from_iter(key.iter().copied().chain(numbers.iter().map(|number| number as &dyn ToSql)))
}

/// Holds entries against one another, in the direction of reading.
pub(super) struct Links {
    part: Part,
    /// The last place there is; backwards, the next one.
    due: i64,
    /// The place that was met last.
    met: Option<i64>,
    what: &'static str,
}

impl Links {
    /// Takes an entry; refuses one that is not the next.
    pub(super) fn meet(&mut self, place: i64, prior: i64) -> Result<()> {
        let right = if self.part.backwards {
            place == std::mem::replace(&mut self.due, prior)
        } else {
            let met = self.met.replace(place);
            met.map_or(prior <= self.part.after, |met| prior == met && met < place)
        };
        hold(right, self.what)
    }

    /// Refuses to end before all that there are have come.
    pub(super) fn is_over(&self) -> Result<()> {
        hold(self.met.map_or(self.due <= self.part.after, |met| self.due == met), self.what)
    }
}

fn hold(right: bool, what: &'static str) -> Result<()> {
    if right || !is_checked() { Ok(()) } else { Err(damaged(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sqlite::connection::{Epoch, Session};
    use crate::backend::sqlite::{Durability, Target};

    const KINDS: [i64; 2] = [1, 2];
    const TAGGED: [(&str, &str); 2] = [("", "often"), ("tenant", "seldom")];
    const KEYS: [(&Chain, Key<'static>); 4] = [
        (&KIND_BLOCKS, &[&KINDS[0]]),
        (&KIND_BLOCKS, &[&KINDS[1]]),
        (&TAGS, &[&TAGGED[0].0, &TAGGED[0].1]),
        (&TAGS, &[&TAGGED[1].0, &TAGGED[1].1]),
    ];

    /// A kind and a tag that stand in every third place, and two that stand in few.
    fn noted() -> (Session, [Vec<i64>; 4]) {
        let session = Session::writer(&Target::Memory, Durability::Full, Epoch::default());
        let session = session.expect("it opens");
        let often: Vec<_> = (0..300).map(|n| n * 3).collect();
        let stands = [often.clone(), vec![0, 1, 700], often, vec![1, 2, 701]];
        for kind in KINDS {
            let name = "INSERT INTO kinds VALUES (?1, 'T', ?1, 'json')";
            session.conn.execute(name, [kind]).expect("it has a name");
            note_kind(&session.conn, kind).expect("it is noted");
        }
        for (index, places) in stands.iter().enumerate() {
            for place in places.iter().flat_map(|place| [*place, *place]) {
                note(&session.conn, index, place).expect("it is noted");
            }
        }
        (session, stands)
    }

    fn note(conn: &Connection, index: usize, place: i64) -> Result<()> {
        if let Some(kind) = KINDS.get(index) {
            return note_block(conn, *kind, place);
        }
        let (tenant, tag) = TAGGED[index - KINDS.len()];
        note_tag(conn, tenant, tag, place)
    }

    #[test]
    fn each_place_is_found_in_its_order() {
        let (session, stands) = noted();
        for ((chain, key), places) in KEYS.into_iter().zip(&stands) {
            for (first, last) in [(0, 900), (1, 700), (2, 2), (300, 310), (702, 900)] {
                for most in [1, 2, 7, 1000] {
                    for backwards in [false, true] {
                        let inside = |place: &&i64| (first..=last).contains(*place);
                        let mut due: Vec<_> = places.iter().filter(inside).copied().collect();
                        if backwards {
                            due.reverse();
                        }
                        let asked = Part { after: first - 1, until: last, backwards };
                        let (found, all) =
                            chain.within(&session.conn, key, asked, most).expect("it is whole");
                        assert_eq!(found, due[..due.len().min(most)], "{asked:?}");
                        assert_eq!(all, due.len() < most, "{asked:?} of {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_passes_an_entry_that_is_lost_is_told() {
        let lost = [
            "DELETE FROM tags WHERE tag = 'often' AND position = 300",
            "DELETE FROM tags WHERE tag = 'often' AND position >= 300",
            "DELETE FROM tags WHERE tag = 'often' AND position <= 300",
            "DELETE FROM tags WHERE tag = 'often'",
            "UPDATE tags SET position = 301 WHERE tag = 'often' AND position = 300",
            "UPDATE tags SET tag = 'oftem' WHERE tag = 'often' AND position = 300",
        ];
        for sql in lost {
            let (session, _) = noted();
            session.conn.execute(sql, []).expect("it is lost");
            for (after, until) in [(-1, 900), (200, 400), (299, 300), (-1, 300)] {
                for (backwards, most) in
                    [(false, 1), (false, 2), (false, 9), (false, 1000), (true, 1), (true, 9)]
                {
                    let part = Part { after, until, backwards };
                    let found = to_the_end(&session.conn, part, most);
                    assert!(found.is_err(), "{sql}: {most} of {part:?} give {found:?}");
                }
            }
        }
    }

    /// The places at which the first tag stands in a part, `most` at a time.
    fn to_the_end(conn: &Connection, mut part: Part, most: usize) -> Result<Vec<i64>> {
        let (chain, key) = KEYS[2];
        let mut all = Vec::new();
        loop {
            let (found, complete) = chain.within(conn, key, part, most)?;
            all.extend(&found);
            match found.last() {
                Some(last) if !complete && part.backwards => part.until = last - 1,
                Some(last) if !complete => part.after = *last,
                _ => return Ok(all),
            }
        }
    }

    #[test]
    fn a_migrated_index_says_the_same() {
        let (session, _) = noted();
        let all = |sql| -> Vec<(String, i64, i64)> {
            let mut statement = session.conn.prepare(sql).expect("it is SQL");
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.expect("it runs").collect::<rusqlite::Result<_>>().expect("it is read")
        };
        let tables = || {
            [
                "SELECT CAST(kind AS TEXT), block, prior FROM kind_blocks ORDER BY kind, block",
                "SELECT tenant || tag, position, prior FROM tags ORDER BY 1, 2",
                "SELECT tenant || tag, position, 0 FROM tag_ends ORDER BY 1",
            ]
            .map(all)
        };
        let written = tables();
        let before = "CREATE TABLE ends (stream, version); DROP TABLE tag_ends;
            DELETE FROM kind_blocks WHERE block = 9223372036854775807;
            ALTER TABLE kind_blocks DROP COLUMN prior; ALTER TABLE tags DROP COLUMN prior";
        session.conn.execute_batch(before).expect("it is as it was in the format before");
        session.conn.execute_batch(include_str!("sql/0003_chains.sql")).expect("it is migrated");
        assert_eq!(tables(), written);
    }

    #[test]
    fn whoever_goes_on_behind_an_end_that_is_lost_is_told() {
        let (session, _) = noted();
        let lost =
            "DELETE FROM kind_blocks WHERE block = 9223372036854775807; DELETE FROM tag_ends";
        session.conn.execute_batch(lost).expect("they are lost");
        for (index, (chain, key)) in KEYS.into_iter().enumerate() {
            let kept = note(&session.conn, index, 903);
            let part = Part { after: -1, until: 903, backwards: false };
            let found = kept.and_then(|()| chain.within(&session.conn, key, part, 1000));
            let error = found.expect_err("it stands elsewhere");
            assert!(matches!(error.kind(), crate::error::ErrorKind::Corrupted { .. }));
        }
    }
}
