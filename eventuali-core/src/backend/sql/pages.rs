//! Pages of what is listed, made of one row more than they hold.

use crate::record::{Record, RecordCursor, RecordPage, Scalar};
use crate::stream::{StreamInfo, StreamPage};

/// A page of records, of which each comes with what it was found by.
pub(in crate::backend) fn of_records(
    mut found: Vec<(Record, Option<Scalar>)>,
    limit: usize,
) -> RecordPage {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|(record, value)| RecordCursor { value: value.clone(), key: record.key.key.clone() });
    RecordPage { records: found.into_iter().map(|(record, _)| record).collect(), next }
}

/// A page of streams.
pub(in crate::backend) fn of_streams(mut streams: Vec<StreamInfo>, limit: usize) -> StreamPage {
    let more = streams.len() > limit;
    streams.truncate(limit);
    let last = streams.last().filter(|_| more).map(|info| &info.stream);
    let next = last.map(|last| (last.aggregate_type.clone(), last.aggregate_id.clone()));
    StreamPage { streams, next }
}
