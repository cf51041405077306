//! Values as PostgreSQL takes and gives them.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::Result;

/// One column of all rows, of the type that the statement gives it: comparing types for each row
/// costs more than decoding it.
pub(super) fn column<T>(rows: &[PgRow], index: usize) -> Result<Vec<T>>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(rows.iter().map(|row| row.try_get_unchecked(index)).collect::<sqlx::Result<_>>()?)
}

/// A text that PostgreSQL takes, in whose place among names nothing changes: no name has a NUL, so
/// that none lies between `a` and `a\0b`.
pub(super) fn up_to_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// A number as PostgreSQL takes it; what is beyond stands for "no bound".
pub(super) fn clamp(number: u64) -> i64 {
    // One below the largest: the SQL adds one to it.
    i64::try_from(number).unwrap_or(i64::MAX).min(i64::MAX - 1)
}
