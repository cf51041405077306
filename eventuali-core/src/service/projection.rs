//! Projections: which generation of a read model is live, how far each has come, and how one takes the
//! place of another.
//!
//! A generation is what one version of a projection makes of the log: the documents of each of its
//! models, a space each, and a cursor, all of them records. A page of documents is one commit with the
//! cursor, on condition of the cursor's version: each event counts exactly once, whatever dies, and
//! however many processes run the same projection. A rebuild fills a generation of its own, and one
//! commit puts it in the place of the live one. Numbers of generations are never used again.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Query, ReadRange};
use crate::record::{
    ExpectedRecord, MAX_PURGE, Record, RecordChange, RecordKey, RecordPage, RecordPurge,
    RecordQuery, RecordSelection, RecordValue,
};
use crate::statement::Statement;
use crate::storage::Answer;
use crate::store::EventStore;

/// The space of the records that say which generations a projection has.
pub const PROJECTIONS: &str = "projection";
/// The space of the records that say where the documents of a model are.
pub const MODELS: &str = "read model";
/// The key of a generation's cursor, in its own space.
const CURSOR: &str = "cursor";
/// The most bytes of the name of a projection or of a model: a space holds both.
const NAME_BYTES: usize = 100;

/// The generations of a projection, as its record has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Generations {
    live: Option<Generation>,
    building: Option<Generation>,
    /// What was replaced or given up, until it is purged.
    #[serde(default)]
    leaving: Vec<Generation>,
    /// The last number that was used.
    last: u64,
}

/// What one version of a projection makes of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The version of the projection.
    pub version: u32,
    /// The models whose documents it has.
    pub models: BTreeSet<String>,
    /// Where what it makes is kept.
    #[serde(default)]
    pub kind: Kind,
}

/// Where what a projection makes of the log is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// In documents that its runners change.
    #[default]
    Documents,
    /// In documents that say what they are made of, since those who save change them, too.
    Inline,
    /// In tables that its statements of SQL change.
    Sql,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Documents => "documents",
            Self::Inline => "inline documents",
            Self::Sql => "tables by SQL",
        })
    }
}

/// How far a generation has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything that matches up to here is in the documents.
    pub position: u64,
    /// Position and id of the last event that matched; a log without it is another one.
    pub last: Option<(u64, Uuid)>,
    /// How often the page after it was begun by a process that did not end it.
    pub attempts: u32,
    /// The version of the cursor's record; 0 before there is one.
    pub version: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredCursor {
    position: u64,
    /// Position and id.
    last: Option<(u64, String)>,
    attempts: u32,
}

/// Where the documents of a model are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) projection: String,
    pub(super) generation: u64,
}

/// A generation that a runner goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Which one.
    pub number: u64,
    /// Whether its documents are those that are read.
    pub live: bool,
    /// How far it has come.
    pub cursor: Cursor,
}

/// A change to a document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentChange {
    /// The name of its model.
    pub model: String,
    /// Its key.
    pub key: String,
    /// What it becomes; none deletes it.
    pub value: Option<RecordValue>,
}

/// Why a generation is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To keep the live one up to date, or to fill one of this version where that is newer.
    Run,
    /// To fill one beside the live one, whatever version that is of.
    Rebuild,
}

/// One projection of a store.
#[derive(Clone)]
pub struct Projection {
    store: EventStore,
    name: Arc<str>,
    version: u32,
    kind: Kind,
}

impl Projection {
    /// The projection of a name, in a version.
    pub fn new(store: &EventStore, name: &str, version: u32) -> Result<Self> {
        check_part("projection", name)?;
        Ok(Self { store: store.clone(), name: name.into(), version, kind: Kind::Documents })
    }

    /// The same, kept in another place.
    #[must_use]
    pub fn kept(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Finds the generation to go on with, or makes one.
    ///
    /// The first one is live at once. [`ErrorKind::Projection`] where a newer version is live or being
    /// built, or a model belongs to another projection.
    /// [`ErrorKind::CheckpointMismatch`] where the log is not the one that was projected.
    #[must_use]
    pub fn begin(&self, purpose: Purpose, models: Vec<String>) -> Answer<Begun> {
        let this = self.clone();
        Box::pin(async move {
            models.iter().try_for_each(|model| check_part("model", model))?;
            loop {
                match this.chosen(purpose, &models).await {
                    Err(error) if error.is_record_conflict() => {}
                    Err(error) => return Err(error),
                    Ok((number, live)) => {
                        let cursor = this.cursor_of(number).await?;
                        if cursor.version == 0 {
                            // Somebody has put another one in its place since.
                            this.is_gone(number).await?;
                            continue;
                        }
                        this.is_of_this_log(&cursor).await?;
                        return Ok(Begun { number, live, cursor });
                    }
                }
            }
        })
    }

    /// Refuses a generation that is at work without a cursor.
    async fn is_gone(&self, number: u64) -> Result<()> {
        if !self.has(number).await? || self.cursor_of(number).await?.version > 0 {
            return Ok(());
        }
        let text = format!("the cursor of generation {number} of {:?} is missing", self.name);
        Err(Error::new(ErrorKind::Corrupted { position: None }, text))
    }

    /// The number of a generation that is being rebuilt by this version or an older one.
    #[must_use]
    pub fn rebuilt(&self) -> Answer<Option<u64>> {
        let this = self.clone();
        Box::pin(async move {
            let (state, _) = this.state().await?;
            let rebuilt = state
                .building
                .filter(|building| state.live.is_some_and(|live| building.version <= live.version));
            Ok(rebuilt.map(|building| building.number))
        })
    }

    /// The number of a generation, and whether it is live.
    async fn chosen(&self, purpose: Purpose, models: &[String]) -> Result<(u64, bool)> {
        let (mut state, mut expected) = self.state().await?;
        if !state.leaving.is_empty() {
            // Whoever replaced it was killed before it was gone.
            self.sweep().await?;
            (state, expected) = self.state().await?;
        }
        if purpose == Purpose::Run {
            match &state.live {
                Some(live) if live.version == self.version => {
                    return self.is_of_this_kind(live).map(|()| (live.number, true));
                }
                Some(live) if live.version > self.version => return Err(self.superseded(live)),
                _ => {}
            }
            match &state.building {
                Some(building) if building.version == self.version => {
                    return self.is_of_this_kind(building).map(|()| (building.number, false));
                }
                // Or two versions would replace what the other builds, again and again.
                Some(newer) if newer.version > self.version => return Err(self.superseded(newer)),
                _ => {}
            }
        }
        state.last += 1;
        let models = models.iter().cloned().collect();
        let (number, version, kind) = (state.last, self.version, self.kind);
        let next = Generation { number, version, models, kind };
        // What is rebuilt is not read before it is whole; but what is saved inline is read at once.
        let first = state.live.is_none() && (purpose == Purpose::Run || self.kind == Kind::Inline);
        let mut replaced = None;
        if first {
            state.live = Some(next.clone());
        } else {
            replaced = state.building.replace(next.clone());
            state.leaving.extend(replaced.clone());
        }
        // The cursor is there from the beginning: whoever still writes to a generation that was given
        // up meets a conflict, however early that was.
        let cursor = self.cursor_change(next.number, 0, Cursor::default())?;
        let mut changes = vec![self.state_change(&state, expected)?, cursor];
        // Whoever still fills it is told.
        let replaced = replaced.map(|replaced| self.cursor_key(replaced.number));
        changes.extend(replaced.map(RecordChange::delete));
        if first {
            for model in &next.models {
                changes.push(self.placing(model, next.number).await?);
            }
        }
        self.store.commit(Commit::change(changes)).await?;
        self.sweep().await?;
        Ok((next.number, first))
    }

    /// Refuses documents of the same version that are stored in another way.
    fn is_of_this_kind(&self, found: &Generation) -> Result<()> {
        if found.kind == self.kind {
            return Ok(());
        }
        let text = format!(
            "version {} of the projection {:?} is kept in {}, and here in {}; raise its version",
            self.version, self.name, found.kind, self.kind
        );
        Err(Error::new(ErrorKind::Projection, text))
    }

    fn superseded(&self, newer: &Generation) -> Error {
        let text = format!(
            "version {} of the projection {:?} is live or being built, and this is version {}; run \
             the newer code, or rebuild with this one",
            newer.version, self.name, self.version
        );
        Error::new(ErrorKind::Projection, text)
    }

    /// The live generation and its version, for what has no place for two generations side by side;
    /// none before there is one. Fails as [`Projection::begin`] does, but not where it is for a
    /// rebuild.
    #[must_use]
    pub fn live(&self, purpose: Purpose) -> Answer<Option<(u32, Begun)>> {
        let this = self.clone();
        Box::pin(async move {
            loop {
                let (state, _) = this.state().await?;
                let Some(live) = state.live else { return Ok(None) };
                let cursor = this.cursor_of(live.number).await?;
                if cursor.version == 0 {
                    this.is_gone(live.number).await?;
                    continue;
                }
                if purpose == Purpose::Run {
                    if live.version > this.version {
                        return Err(this.superseded(&live));
                    }
                    if live.version == this.version {
                        this.is_of_this_kind(&live)?;
                    }
                    this.is_of_this_log(&cursor).await?;
                }
                let begun = Begun { number: live.number, live: true, cursor };
                return Ok(Some((live.version, begun)));
            }
        })
    }

    /// Begins a generation in the place of the live one, whose number is `from`, and gives up any
    /// other. What empties the tables is carried out in the same commit.
    ///
    /// [`ErrorKind::RecordConflict`] where somebody else was faster.
    #[must_use]
    pub fn restart(&self, from: Option<u64>, empties: Vec<Statement>) -> Answer<Begun> {
        let this = self.clone();
        Box::pin(async move {
            let (mut state, expected) = this.state().await?;
            let before = state.live.take();
            if before.as_ref().map(|live| live.number) != from {
                return Err(this.replaced(from.unwrap_or_default()));
            }
            let replaced: Vec<_> = before.into_iter().chain(state.building.take()).collect();
            state.last += 1;
            let number = state.last;
            let (version, kind) = (this.version, this.kind);
            let next = Generation { number, version, kind, ..Generation::default() };
            state.live = Some(next);
            state.leaving.extend(replaced.iter().cloned());
            let mut changes = vec![
                this.state_change(&state, expected)?,
                this.cursor_change(number, 0, Cursor::default())?,
            ];
            // Whoever still writes there is told.
            let cursors = replaced.iter().map(|replaced| this.cursor_key(replaced.number));
            changes.extend(cursors.map(RecordChange::delete));
            let documents = replaced.first().filter(|_| from.is_some());
            let models = documents.into_iter().flat_map(|documents| &documents.models);
            let places = models.map(|model| RecordKey::new(MODELS, model.clone()));
            changes.extend(places.map(RecordChange::delete));
            let commit = Commit { statements: empties, ..Commit::change(changes) };
            let done = this.store.commit(commit).await?;
            this.sweep().await?;
            let version = done.record_versions.get(1).copied().unwrap_or_default();
            let cursor = Cursor { version, ..Cursor::default() };
            Ok(Begun { number, live: true, cursor })
        })
    }

    /// Adds a model to a generation, before its first document is written.
    #[must_use]
    pub fn add_model(&self, number: u64, model: String) -> Answer<()> {
        let this = self.clone();
        Box::pin(async move {
            check_part("model", &model)?;
            loop {
                match this.added(number, &model).await {
                    Err(error) if error.is_record_conflict() && this.has(number).await? => {}
                    answer => return answer,
                }
            }
        })
    }

    async fn added(&self, number: u64, model: &str) -> Result<()> {
        let (mut state, expected) = self.state().await?;
        let mut changes = Vec::new();
        let is_live = state.live.as_ref().is_some_and(|live| live.number == number);
        let either = [&mut state.live, &mut state.building].into_iter().flatten();
        let Some(generation) = either.into_iter().find(|each| each.number == number) else {
            return Err(self.replaced(number));
        };
        if !generation.models.insert(model.to_owned()) {
            return Ok(());
        }
        if is_live {
            changes.push(self.placing(model, number).await?);
        }
        changes.push(self.state_change(&state, expected)?);
        self.store.commit(Commit::change(changes)).await.map(drop)
    }

    /// Writes a page of documents, carries out its statements, and writes how far that is; gives the
    /// cursor after it.
    ///
    /// [`ErrorKind::RecordConflict`] where the cursor is no longer what it was: somebody else has
    /// written the page, or has put another generation in the place of this one.
    #[must_use]
    pub fn advance(
        &self,
        number: u64,
        from: Cursor,
        to: Cursor,
        documents: Vec<DocumentChange>,
        statements: Vec<Statement>,
    ) -> Answer<Cursor> {
        let changes = documents.into_iter().map(|document| RecordChange {
            key: RecordKey::new(self.space(number, &document.model), document.key),
            expected: ExpectedRecord::Any,
            value: document.value,
        });
        let commit = Commit { statements, ..Commit::change(changes.collect()) };
        self.advance_by(number, from, to, commit)
    }

    /// Commits a page together with the cursor.
    pub(super) fn advance_by(
        &self,
        number: u64,
        from: Cursor,
        to: Cursor,
        mut commit: Commit,
    ) -> Answer<Cursor> {
        match self.cursor_change(number, from.version, to) {
            Ok(change) => commit.records.push(change),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        }
        let answer = self.store.commit(commit);
        Box::pin(async move {
            let done = answer.await?;
            let version = done.record_versions.last().copied().unwrap_or_default();
            Ok(Cursor { version, ..to })
        })
    }

    /// Puts a generation that has come as far as `at` in the place of the live one, which leaves
    /// nothing behind. None where the live one has handled a later event, unless `behind` allows
    /// that.
    #[must_use]
    pub fn swap(&self, number: u64, at: Cursor, behind: bool) -> Answer<Option<Cursor>> {
        let this = self.clone();
        Box::pin(async move {
            loop {
                match this.swapped(number, at, behind).await {
                    // Of the generations, and not of the cursor: a model was added, for instance.
                    Err(error) if error.is_record_conflict() && this.is_at(number, at).await? => {}
                    Err(error) => return Err(error),
                    Ok(cursor) => {
                        this.sweep().await?;
                        return Ok(cursor);
                    }
                }
            }
        })
    }

    async fn is_at(&self, number: u64, at: Cursor) -> Result<bool> {
        Ok(self.has(number).await? && self.cursor_of(number).await?.version == at.version)
    }

    async fn swapped(&self, number: u64, at: Cursor, behind: bool) -> Result<Option<Cursor>> {
        let (mut state, expected) = self.state().await?;
        if state.live.as_ref().is_some_and(|live| live.number == number) {
            return self.cursor_of(number).await.map(Some); // it was swapped before
        }
        let Some(next) = state.building.take_if(|building| building.number == number) else {
            return Err(self.replaced(number));
        };
        let before = state.live.replace(next.clone());
        state.leaving.extend(before.clone());
        let mut changes = vec![self.state_change(&state, expected)?];
        for model in &next.models {
            changes.push(self.placing(model, number).await?);
        }
        if let Some(before) = before {
            for model in before.models.difference(&next.models) {
                changes.push(RecordChange::delete(RecordKey::new(MODELS, model.clone())));
            }
            // Whoever still writes there is told.
            let mut old = RecordChange::delete(self.cursor_key(before.number));
            if !behind {
                let live = self.cursor_of(before.number).await?;
                if live.last.is_some_and(|(position, _)| position > at.position) {
                    return Ok(None);
                }
                old = old.expecting(ExpectedRecord::Exact(live.version));
            }
            changes.push(old);
        }
        changes.push(self.cursor_change(number, at.version, at)?);
        let done = self.store.commit(Commit::change(changes)).await?;
        let version = done.record_versions.last().copied().unwrap_or_default();
        Ok(Some(Cursor { version, ..at }))
    }

    /// Gives up a generation that is being filled; nothing of it is left.
    #[must_use]
    pub fn discard(&self, number: u64) -> Answer<()> {
        let this = self.clone();
        Box::pin(async move {
            loop {
                let (mut state, expected) = this.state().await?;
                let Some(given_up) = state.building.take_if(|each| each.number == number) else {
                    return Ok(());
                };
                state.leaving.push(given_up);
                let changes = vec![
                    this.state_change(&state, expected)?,
                    RecordChange::delete(this.cursor_key(number)),
                ];
                match this.store.commit(Commit::change(changes)).await {
                    Err(error) if error.is_record_conflict() => {}
                    Err(error) => return Err(error),
                    Ok(_) => return this.sweep().await,
                }
            }
        })
    }

    /// Removes what was replaced or given up, also what a process that was killed has left.
    async fn sweep(&self) -> Result<()> {
        loop {
            let (mut state, expected) = self.state().await?;
            let Some(leaving) = state.leaving.first().cloned() else { return Ok(()) };
            let documents = leaving.models.iter().map(|model| self.space(leaving.number, model));
            for space in documents.chain([self.own_space(leaving.number)]) {
                self.purge(space).await?;
            }
            state.leaving.remove(0);
            match self
                .store
                .commit(Commit::change(vec![self.state_change(&state, expected)?]))
                .await
            {
                Err(error) if error.is_record_conflict() => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    async fn purge(&self, space: String) -> Result<()> {
        loop {
            let space = space.clone();
            let purge = RecordPurge { tenant: String::new(), space, most: MAX_PURGE };
            if self.store.purge(purge).await? < MAX_PURGE as u64 {
                return Ok(());
            }
        }
    }

    /// How far a generation has come.
    #[must_use]
    pub fn cursor(&self, number: u64) -> Answer<Cursor> {
        let this = self.clone();
        Box::pin(async move { this.cursor_of(number).await })
    }

    async fn cursor_of(&self, number: u64) -> Result<Cursor> {
        let Some(record) = one(&self.store, &self.own_space(number), CURSOR).await? else {
            return Ok(Cursor::default());
        };
        let stored: StoredCursor = decoded(&record)?;
        let last = match stored.last {
            None => None,
            Some((position, id)) => {
                let id = Uuid::try_parse(&id).map_err(|fault| damaged(&record, fault))?;
                Some((position, id))
            }
        };
        let StoredCursor { position, attempts, .. } = stored;
        Ok(Cursor { position, last, attempts, version: record.version })
    }

    /// Refuses a log in which the last event that was projected is not there.
    async fn is_of_this_log(&self, cursor: &Cursor) -> Result<()> {
        let Some((position, event_id)) = cursor.last else { return Ok(()) };
        let range = ReadRange {
            after: position.saturating_sub(1),
            until: position,
            limit: 1,
            ..ReadRange::default()
        };
        let page = self.store.read(Query::default(), range).await?;
        if page.iter().any(|event| event.head.event_id == event_id) {
            return Ok(());
        }
        let name = self.name.to_string();
        let text = format!(
            "the projection {name:?} has handled event {event_id} at position {position}, which is \
             not there: this is another store, or it lost events; find out which, or rebuild"
        );
        Err(Error::new(ErrorKind::CheckpointMismatch { name, position, event_id }, text))
    }

    async fn state(&self) -> Result<(Generations, ExpectedRecord)> {
        match one(&self.store, PROJECTIONS, &self.name).await? {
            None => Ok((Generations::default(), ExpectedRecord::Absent)),
            Some(record) => Ok((decoded(&record)?, ExpectedRecord::Exact(record.version))),
        }
    }

    fn state_change(&self, state: &Generations, expected: ExpectedRecord) -> Result<RecordChange> {
        let key = RecordKey::new(PROJECTIONS, &*self.name);
        Ok(RecordChange::put(key, encoded(state)?).expecting(expected))
    }

    fn cursor_change(&self, number: u64, version: u64, to: Cursor) -> Result<RecordChange> {
        let Cursor { position, last, attempts, .. } = to;
        let expected =
            if version == 0 { ExpectedRecord::Absent } else { ExpectedRecord::Exact(version) };
        let last = last.map(|(position, id)| (position, id.to_string()));
        let stored = encoded(&StoredCursor { position, last, attempts })?;
        Ok(RecordChange::put(self.cursor_key(number), stored).expecting(expected))
    }

    /// The change that says where the documents of a model are; refuses a model of another projection.
    async fn placing(&self, model: &str, number: u64) -> Result<RecordChange> {
        let found = one(&self.store, MODELS, model).await?;
        let mut expected = ExpectedRecord::Absent;
        if let Some(record) = found {
            let place: Place = decoded(&record)?;
            if place.projection != *self.name {
                let text = format!(
                    "the read model {model:?} belongs to the projection {:?}; give one of the two \
                     another name",
                    place.projection
                );
                return Err(Error::new(ErrorKind::Projection, text));
            }
            expected = ExpectedRecord::Exact(record.version);
        }
        let place = Place { projection: self.name.to_string(), generation: number };
        let key = RecordKey::new(MODELS, model);
        Ok(RecordChange::put(key, encoded(&place)?).expecting(expected))
    }

    /// The conflict of a generation that somebody else has replaced or given up.
    fn replaced(&self, number: u64) -> Error {
        Error::record_conflict(&self.cursor_key(number), ExpectedRecord::Any, 0)
    }

    async fn has(&self, number: u64) -> Result<bool> {
        let (state, _) = self.state().await?;
        Ok([state.live, state.building].iter().flatten().any(|each| each.number == number))
    }

    /// The generations of this version, and the version of the record that says so; none where a
    /// newer version is live or being built, and nothing of this one is.
    pub(super) async fn own(&self) -> Result<Option<(Vec<u64>, u64)>> {
        let (state, expected) = self.state().await?;
        let all = || [&state.live, &state.building].into_iter().flatten();
        let own: Vec<_> = all().filter(|each| each.version == self.version).collect();
        own.iter().try_for_each(|each| self.is_of_this_kind(each))?;
        if own.is_empty() && all().any(|each| each.version > self.version) {
            return Ok(None);
        }
        let version = match expected {
            ExpectedRecord::Exact(version) => version,
            _ => 0,
        };
        Ok(Some((own.iter().map(|each| each.number).collect(), version)))
    }

    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn own_space(&self, number: u64) -> String {
        format!("{}@{number}", self.name)
    }

    pub(super) fn space(&self, number: u64, model: &str) -> String {
        space_of(&self.name, number, model)
    }

    fn cursor_key(&self, number: u64) -> RecordKey {
        RecordKey::new(self.own_space(number), CURSOR)
    }
}

pub(super) fn space_of(projection: &str, number: u64, model: &str) -> String {
    format!("{projection}@{number}/{model}")
}

/// The documents of a generation that are chosen, whether it is live or not.
#[must_use]
pub fn documents_of(
    projection: &Projection,
    number: u64,
    model: &str,
    keys: Vec<String>,
) -> Answer<RecordPage> {
    let space = projection.space(number, model);
    let limit = keys.len();
    let query = RecordQuery::new(space, RecordSelection::Keys(keys));
    projection.store.records(RecordQuery { entries: false, ..query }, None, limit)
}

pub(super) fn check_part(field: &'static str, name: &str) -> Result<()> {
    crate::name::check_name(field, name)?;
    if name.len() <= NAME_BYTES && !name.contains(['/', '@']) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    let text = format!("{field} {shown:?} must have at most {NAME_BYTES} bytes, and no '/' or '@'");
    Err(Error::invalid(field, text))
}

pub(super) async fn one(store: &EventStore, space: &str, key: &str) -> Result<Option<Record>> {
    let select = RecordSelection::Keys(vec![key.to_owned()]);
    let query = RecordQuery::new(space, select);
    Ok(store.records(query, None, 1).await?.records.into_iter().next())
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Corrupted { position: None }, "a record can't be encoded")
            .with_source(error)
    })
}

pub(super) fn decoded<'r, T: Deserialize<'r>>(record: &'r Record) -> Result<T> {
    serde_json::from_slice(&record.value.bytes).map_err(|fault| damaged(record, fault))
}

fn damaged(record: &Record, fault: impl std::fmt::Display) -> Error {
    let RecordKey { space, key, .. } = &record.key;
    let text = format!("the record {key:?} in {space:?} is damaged: {fault}");
    Error::new(ErrorKind::Corrupted { position: None }, text)
}
