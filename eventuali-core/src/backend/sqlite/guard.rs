//! What statements of the user's may not do on the writer's connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, Authorization};

use crate::error::Result;

/// Tables, indexes, triggers and the view of the store.
const OWN: [&str; 18] = [
    "categories",
    "event_log",
    "event_log_keeps",
    "event_log_stays",
    "events",
    "id_runs",
    "kind_blocks",
    "kinds",
    "record_index",
    "record_index_key",
    "records",
    "records_due",
    "stream_runs",
    "streams",
    "tag_begins",
    "tag_ends",
    "tag_goes_on",
    "tags",
];

/// Refuses what a statement may not do, while it watches.
///
/// It is asked by SQLite whenever a statement is prepared, also anew: what the store itself prepares
/// meanwhile would be refused, too.
#[derive(Clone, Default)]
pub(super) struct Guard(Arc<State>);

#[derive(Default)]
struct State {
    watches: AtomicBool,
    /// Why it refused last. A lock, because SQLite may call it on any thread.
    refused: Mutex<Option<String>>,
}

impl Guard {
    /// Has a connection ask it. Once for good: SQLite prepares everything anew when that changes.
    pub(super) fn install(&self, conn: &Connection) -> Result<()> {
        let guard = self.clone();
        conn.authorizer(Some(move |asked: rusqlite::hooks::AuthContext<'_>| {
            if !guard.0.watches.load(Ordering::Relaxed) {
                return Authorization::Allow;
            }
            let refused = refusal(&asked.action);
            if refused.is_none() {
                return Authorization::Allow;
            }
            guard.note(refused);
            Authorization::Deny
        }))?;
        Ok(())
    }

    /// Watches until the answer is dropped.
    pub(super) fn watch(&self) -> Watch<'_> {
        self.0.watches.store(true, Ordering::Relaxed);
        Watch(self)
    }

    fn note(&self, refused: Option<String>) -> Option<String> {
        // A panic while the lock is held leaves nothing half done.
        let mut last = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut last, refused)
    }
}

/// The time in which statements are watched.
pub(super) struct Watch<'g>(&'g Guard);

impl Watch<'_> {
    /// Why a statement was refused, if it was since this was last asked.
    pub(super) fn refused(&self) -> Option<String> {
        self.0.note(None)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.0.watches.store(false, Ordering::Relaxed);
    }
}

/// Why an action is refused, if it is.
fn refusal(action: &AuthAction<'_>) -> Option<String> {
    let never = |what: &str| Some(format!("a statement must not {what}"));
    let unless_own = |names: &[&str]| {
        let found = names.iter().find(|name| OWN.iter().any(|own| own.eq_ignore_ascii_case(name)));
        found.map(|name| format!("a statement must not change {name}, which belongs to the store"))
    };
    match *action {
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            never("begin or end a transaction: it is part of one")
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            never("attach or detach a database")
        }
        // A full-text index asks for this one.
        AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => None,
        AuthAction::Pragma { .. } => never("use a PRAGMA"),
        // They would stay on the connection, and hide tables of the store.
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => never("make anything temporary"),
        // The store's plans are made without statistics.
        AuthAction::Analyze { .. } => never("ANALYZE"),
        AuthAction::Unknown { .. } => never("do this"),
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. } => unless_own(&[table_name]),
        AuthAction::DropIndex { index_name, table_name } => unless_own(&[index_name, table_name]),
        AuthAction::DropTrigger { trigger_name, table_name } => {
            unless_own(&[trigger_name, table_name])
        }
        AuthAction::DropView { view_name } => unless_own(&[view_name]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sqlite::schema;

    #[test]
    fn everything_of_the_store_is_watched() {
        let mut conn = Connection::open_in_memory().expect("it opens");
        schema::migrate(&mut conn).expect("it migrates");
        let sql = "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = conn.prepare(sql).expect("it is prepared");
        let names = statement.query_map([], |row| row.get(0)).expect("it is asked");
        let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
        assert_eq!(names, OWN);
    }
}
