//! The words of records, in a `tsvector` beside each and in an index over all.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::statements::Asked;
use crate::backend::sql::words::{scope, scoped};
use crate::record::{RecordChange, RecordKey};
use crate::text::{BOUNDARY, Phrase, TextQuery};

/// A few, for each lexeme of a record has them. What two spaces share is told apart by the row.
const SCOPE: usize = 6;
/// The last place that a `tsvector` knows, and how many of a word.
const PLACES: (u16, usize) = (16_383, 255);

/// Texts and lexemes of records, a column each.
type Columns<'c> = (Vec<Option<&'c str>>, Vec<Option<String>>);

/// The texts of changes, and their lexemes; none where no change has a text.
pub(super) fn columns<'c>(
    changes: &BTreeMap<&'c RecordKey, &'c RecordChange>,
) -> Option<Columns<'c>> {
    let text = |change: &'c RecordChange| change.value.as_ref().and_then(|v| v.text.as_ref());
    changes.values().any(|change| text(change).is_some()).then(|| {
        let of_one = |(key, change): (&&RecordKey, &&'c RecordChange)| {
            let text = text(change)?.as_str();
            Some((text, lexemes(text, &key.tenant, &key.space)))
        };
        changes.iter().map(of_one).map(Option::unzip).unzip()
    })
}

/// The words of a text as a `tsvector` is written. No word holds what has a meaning there.
pub(super) fn lexemes(text: &str, tenant: &str, space: &str) -> String {
    let mut places = BTreeMap::<&str, Vec<u16>>::new();
    for (word, place) in text.split(' ').zip(1..) {
        if word.is_empty() || word == BOUNDARY {
            continue;
        }
        let place = place.min(usize::from(PLACES.0)) as u16;
        let of_word = places.entry(word).or_default();
        if of_word.len() < PLACES.1 && of_word.last() != Some(&place) {
            of_word.push(place);
        }
    }
    let scope = scope(tenant, space, SCOPE);
    let mut written = String::with_capacity(text.len() * 3);
    for (word, places) in places {
        write!(written, "'{scope}{word}'").expect("a string takes it");
        for (place, mark) in
            places.into_iter().zip([':'].into_iter().chain([','].into_iter().cycle()))
        {
            write!(written, "{mark}{place}").expect("a string takes it");
        }
        written.push(' ');
    }
    written
}

/// Binds what a query looks for: its lexemes, and the words that must stand side by side.
pub(super) fn bind<'q>(
    asked: Asked<'q>,
    query: &TextQuery,
    tenant: &str,
    space: &str,
) -> Asked<'q> {
    let scope = scope(tenant, space, SCOPE);
    let lexemes = |phrase: &Phrase| {
        let mut words: Vec<_> =
            scoped(phrase, &scope).into_iter().map(|word| format!("'{word}'")).collect();
        if phrase.prefix
            && let Some(last) = words.last_mut()
        {
            last.push_str(":*");
        }
        words.join(" & ")
    };
    let side_by_side = |phrase: &Phrase| {
        let end = if phrase.prefix { "" } else { " " };
        (phrase.words.len() > 1).then(|| format!(" {}{end}", phrase.words.join(" ")))
    };
    let all: Vec<_> = query.phrases().iter().map(lexemes).collect();
    let phrases: Vec<_> = query.phrases().iter().filter_map(side_by_side).collect();
    asked.bind(all.join(" & ")).bind(phrases)
}
