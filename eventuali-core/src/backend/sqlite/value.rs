//! Values as SQLite takes them.

/// A number as SQLite takes it; what is beyond stands for "no bound".
pub(super) fn clamp(number: u64) -> i64 {
    // One below the largest: the SQL adds one to it.
    i64::try_from(number).unwrap_or(i64::MAX).min(i64::MAX - 1)
}

/// Numbers as SQLite's `json_each` takes them.
pub(super) fn json(numbers: impl IntoIterator<Item = impl ToString>) -> String {
    let listed: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
    format!("[{}]", listed.join(","))
}

/// The statement of a file, in a direction.
macro_rules! in_order {
    ($file:literal, $backwards:expr) => {{
        static BACKWARD: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| crate::backend::sql::backward(include_str!($file)));
        if $backwards { BACKWARD.as_str() } else { include_str!($file) }
    }};
}

pub(super) use in_order;
