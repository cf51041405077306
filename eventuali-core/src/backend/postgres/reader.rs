//! Reading: pages of events and of streams.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::candidates::candidates;
use super::connection::Session;
use super::scan::{By, Scan, TAIL};
use super::value::{clamp, column, up_to_nul};
use crate::backend::sql::candidates::FIRST_WINDOW;
use crate::backend::sql::pages;
use crate::error::Result;
use crate::event::EventPage;
use crate::query::{MAX_PAGE_EVENTS, Query, ReadRange, Term};
use crate::span::Span;
use crate::stream::{StreamId, StreamInfo, StreamPage, StreamSelection};

/// How far a reader may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To where everything is settled.
    Horizon,
    /// To the last event: nobody else writes.
    Last,
}

/// One page of the events that match.
pub(super) async fn page(
    session: &mut Session,
    query: &Query,
    range: ReadRange,
    until: Until,
) -> Result<EventPage> {
    if let Some(stream) = query.as_stream() {
        return stream_page(session, query, &stream, range).await;
    }
    #[cfg(feature = "faults")]
    let old = until == Until::Horizon && super::schema::fault::chosen("snapshot");
    #[cfg(feature = "faults")]
    if old {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        session.run(begin).await?;
        session.run("SELECT 1").await?;
        session.run("SELECT pg_sleep(0.02)").await?;
    }
    let (settled, asked) = (session.known.settled, range.until);
    let known = until == Until::Horizon && room_below(settled, &range);
    let mut scan = Scan::new(range);
    let (last, more) = if known {
        (settled, true)
    } else if until == Until::Horizon && near_end(settled, &range) {
        scan.tail(session, query).await?
    } else {
        (last_position(session, until).await?, false)
    };
    scan.range = within_times(session, ReadRange { until: asked.min(last), ..range }).await?;
    let beyond = more && scan.range.until == last && last < asked;
    let mut page = if scan.range.until <= range.after {
        Ok(nothing(scan.range))
    } else {
        log_page(session, query, scan).await
    };
    #[cfg(feature = "faults")]
    if old {
        session.run("COMMIT").await?;
    }
    if let Ok(page) = &mut page {
        page.end &= !beyond;
    }
    page
}

/// Whether a page ends below a horizon that is known, so that it need not be asked for again.
fn room_below(settled: u64, range: &ReadRange) -> bool {
    !range.backwards && range.after.saturating_add(range.page_limit() as u64) < settled
}

/// Whether a page begins so near to the end, as far as that is known, that it is likely to be short.
fn near_end(settled: u64, range: &ReadRange) -> bool {
    let timeless = range.recorded_from == i64::MIN && range.recorded_until == i64::MAX;
    !range.backwards && timeless && range.after.saturating_add(TAIL as u64) >= settled
}

/// The position up to which a reader may look.
pub(super) async fn last_position(session: &mut Session, until: Until) -> Result<u64> {
    let statements = &session.shared.statements;
    let query = match until {
        Until::Horizon => statements.call_horizon.query(),
        Until::Last => statements.last_position.query(),
    };
    let last = query.fetch_one(&mut session.conn).await?.try_get::<i64, _>(0)? as u64;
    if until == Until::Horizon {
        session.settle(last);
    }
    Ok(last)
}

/// The events between pairs of positions that are known to be there, whatever they are.
pub(super) async fn events_at(session: &mut Session, spans: &[Span]) -> Result<EventPage> {
    let mut scan = Scan::new(ReadRange { limit: usize::MAX, ..ReadRange::default() });
    let mut all = EventPage::default();
    let mut left = spans.to_vec();
    while !left.is_empty() {
        let exhausted = scan.spans(session, None, None, &left).await?;
        for event in scan.page.iter() {
            all.push(event.head.clone(), event.metadata_bytes, event.payload);
        }
        if exhausted {
            break;
        }
        left = scan.beyond(&left);
        scan = Scan::new(scan.range);
    }
    Ok(all)
}

fn nothing(range: ReadRange) -> EventPage {
    let looked_to = if range.backwards { range.after.saturating_add(1) } else { range.after };
    EventPage::nothing(looked_to)
}

/// A page of one stream, which needs no horizon: whoever extends a stream waits for the one before,
/// so that its events are seen in their order.
async fn stream_page(
    session: &mut Session,
    query: &Query,
    stream: &StreamId,
    range: ReadRange,
) -> Result<EventPage> {
    if range.until <= range.after {
        return Ok(nothing(range));
    }
    let mut scan = Scan::new(range);
    scan.within(session, query, By::Stream(stream), range).await?;
    // What lies beyond the last event is not looked at: another one may be on its way there.
    let seen = if range.backwards { range.after + 1 } else { scan.looked_to.max(range.after) };
    let full = scan.full;
    let mut page = scan.finish(seen);
    page.end = !full;
    Ok(page)
}

async fn log_page(session: &mut Session, query: &Query, mut scan: Scan) -> Result<EventPage> {
    let edge = if scan.range.backwards { scan.range.after + 1 } else { scan.range.until };
    // What the tail has held is looked at already.
    let mut left = scan.range;
    left.after = left.after.max(scan.looked_to);
    if scan.full || scan.over || left.after >= left.until {
        return Ok(scan.finish(edge));
    }
    if let Some(term) = query.as_term() {
        let by = match term {
            Term::Tag(tag) => By::Tag(&query.tenant, tag),
            Term::User(user) => By::User(user),
        };
        scan.within(session, query, by, left).await?;
        return Ok(scan.finish(edge));
    }
    let kinds = wanted_kinds(session, query).await?;
    let correlation = query.as_correlation();
    let mut window = FIRST_WINDOW;
    while left.after < left.until {
        let most = window.min(scan.rows_left as u64);
        let (looked_to, passed) = if let Some(text) = &correlation {
            let part = left.begun(most);
            scan.within(session, query, By::Text(text), part).await?;
            let end = if part.backwards { part.after + 1 } else { part.until };
            (end, part.until - part.after)
        } else {
            let found = candidates(session, query, left, most).await?;
            scan.all(session, query, kinds.as_deref(), &found.spans).await?;
            (found.looked_to, found.passed)
        };
        if scan.full || scan.over {
            return Ok(scan.finish(edge));
        }
        scan.looked_to = looked_to;
        left = left.continued(looked_to);
        scan.rows_left = scan.rows_left.saturating_sub(passed as usize);
        if scan.rows_left == 0 && left.after < left.until {
            scan.full = true;
            return Ok(scan.finish(edge));
        }
        window *= 4;
    }
    Ok(scan.finish(edge))
}

/// The part of `range` in which its times lie; `recorded_at` never falls.
pub(super) async fn within_times(session: &mut Session, range: ReadRange) -> Result<ReadRange> {
    let mut within = range;
    if range.recorded_from > i64::MIN {
        within.after = position_before(session, range, range.recorded_from).await?;
    }
    if range.recorded_until < i64::MAX {
        within.until = position_before(session, range, range.recorded_until + 1).await?;
    }
    Ok(within)
}

/// The last position in `range` at or below which everything was recorded before `time`.
async fn position_before(session: &mut Session, range: ReadRange, time: i64) -> Result<u64> {
    if range.until <= range.after {
        return Ok(range.after);
    }
    let asked = session.shared.statements.position_before.query();
    let asked = asked.bind(clamp(range.after)).bind(clamp(range.until)).bind(time);
    Ok(asked.fetch_one(&mut session.conn).await?.try_get::<i64, _>(0)? as u64)
}

/// The kinds of event that a query can match; none where it can match any.
pub(super) async fn wanted_kinds(session: &mut Session, query: &Query) -> Result<Option<Vec<i32>>> {
    if query.items.is_empty() || query.items.iter().any(|item| item.event_types.is_empty()) {
        return Ok(None);
    }
    let types: Vec<&str> =
        query.items.iter().flat_map(|item| &item.event_types).map(String::as_str).collect();
    let asked = session.shared.statements.kinds_of_type.query().bind(types);
    let rows = asked.fetch_all(&mut session.conn).await?;
    Ok(Some(rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?))
}

/// One page of streams, sorted by (type, id).
pub(super) async fn streams(
    session: &mut Session,
    selection: &StreamSelection,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<StreamPage> {
    let limit = limit.clamp(1, MAX_PAGE_EVENTS);
    let (from_type, from_id) = after.map_or(("", ""), |(kind, id)| (kind, id));
    let mut streams = Vec::new();
    for aggregate_type in aggregate_types(session, selection, from_type).await? {
        let from_id = if aggregate_type == from_type { from_id } else { "" };
        let room = limit + 1 - streams.len();
        streams.extend(of_type(session, selection, &aggregate_type, from_id, room).await?);
        if streams.len() > limit {
            break;
        }
    }
    Ok(pages::of_streams(streams, limit))
}

async fn aggregate_types(
    session: &mut Session,
    selection: &StreamSelection,
    from: &str,
) -> Result<Vec<String>> {
    if let Some(only) = &selection.aggregate_type {
        let wanted = (only.as_str() >= from).then(|| only.clone());
        return Ok(wanted.into_iter().collect());
    }
    let asked = session.shared.statements.aggregate_types.query();
    let asked = asked.bind(&selection.tenant).bind(up_to_nul(from));
    column(&asked.fetch_all(&mut session.conn).await?, 0)
}

async fn of_type(
    session: &mut Session,
    selection: &StreamSelection,
    aggregate_type: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<StreamInfo>> {
    let statements = &session.shared.statements;
    let statement = match &selection.aggregate_id {
        Some(only) if only.as_str() <= after => return Ok(Vec::new()),
        Some(only) => {
            statements.stream.query().bind(&selection.tenant).bind(aggregate_type).bind(only)
        }
        None => statements
            .streams_of_type
            .query()
            .bind(&selection.tenant)
            .bind(aggregate_type)
            .bind(up_to_nul(after))
            .bind(limit as i64),
    };
    let info = |row: PgRow| -> Result<StreamInfo> {
        let id: String = row.try_get(0)?;
        Ok(StreamInfo {
            stream: StreamId::new(aggregate_type, id).with_tenant(&selection.tenant),
            version: row.try_get::<i64, _>(1)? as u64,
            last_position: row.try_get::<i64, _>(2)? as u64,
        })
    };
    statement.fetch_all(&mut session.conn).await?.into_iter().map(info).collect()
}
