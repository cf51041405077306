//! Clauses about searching the texts of records.

use super::Fixture;
use super::given::{OTHER, Store, done, key, open, put, record, reopen, select};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::record::ExpectedRecord::{Absent, Exact};
use crate::record::{
    RecordChange, RecordCursor, RecordKey, RecordPurge, RecordQuery, RecordSelection, RecordValue,
};
use crate::text::{TextQuery, Words};

pub async fn a_backend_without_words_refuses_a_search(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    done(&store, Commit::change(vec![text("a", "some words")])).await;
    let value = RecordValue { bytes: b"a".to_vec(), ..RecordValue::default() };
    assert_eq!(record(&store, "a").await.map(|record| record.value), Some(value), "without words");
    let query = searched("", "words");
    let found = store.records(query.clone(), None, 10).await;
    let counted = store.count_records(query).await;
    if store.capabilities().full_text {
        assert_eq!(found.expect("it searches").records.len(), 1);
        assert_eq!(counted.expect("it counts"), 1);
        return;
    }
    let (found, counted) = (found.expect_err("refused"), counted.expect_err("refused"));
    assert_eq!(*found.kind(), ErrorKind::Configuration);
    assert_eq!((found.kind(), found.to_string()), (counted.kind(), counted.to_string()));
}

pub async fn what_fits_is_found(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    let texts = [
        ("de", "Die Straße über Größen, GROSS und klein"),
        ("el", "Ὀδυσσεύς, ὁ πολύτροπος"),
        ("emoji", "party 🎉 time ❤️ 2024-11-29 v2.0"),
        ("en", "Event sourcing isn't event-driven; O'Neil's e-mail"),
        ("fr", "L’été, l'œuvre et le déjà-vu"),
        ("ja", "東京都の天気とカタカナ"),
        ("sql", "SELECT * FROM words WHERE a = 'b' AND c NOT LIKE \"d%\" -- |&!<->():*^"),
        ("zh", "数据库事件溯源"),
    ];
    done(&store, Commit::change(texts.map(|(key, words)| text(key, words)).to_vec())).await;
    for (query, keys) in [
        ("STRASSE", &["de"][..]),
        ("straße größen", &["de"]),
        ("\"uber grossen\"", &["de"]),
        ("\"grossen uber\"", &[]),
        ("klein gross", &["de"]),
        ("groß*", &["de"]),
        ("gro", &[]),
        ("οδυσσευσ", &["el"]),
        ("ΠΟΛΥΤΡΟΠΟΣ ὀδυσσεύς", &["el"]),
        ("party 🎉", &["emoji"]),
        ("2024-11-29", &["emoji"]),
        ("2024-11", &["emoji"]),
        ("11-2024", &[]),
        ("v2.0", &["emoji"]),
        ("v2*", &["emoji"]),
        ("event", &["en"]),
        ("sourc*", &["en"]),
        ("sourc", &[]),
        ("\"event sour\"*", &["en"]),
        ("\"event driv\"*", &["en"]),
        ("\"sourcing event\"*", &[]),
        ("isn’t", &["en"]),
        ("ONeil", &[]),
        ("o'neil email", &[]),
        ("o'neil e-mail", &["en"]),
        ("ete", &["fr"]),
        ("l'ete deja", &["fr"]),
        ("DÉJÀ vu oeuvre", &["fr"]),
        ("東京", &["ja"]),
        ("京都 天気", &["ja"]),
        ("京東", &[]),
        ("カタ*", &["ja"]),
        ("事件", &["zh"]),
        ("事件 数据库", &["zh"]),
        ("select where words", &["sql"]),
        ("a AND c", &["sql"]),
        ("(a", &["sql"]),
        ("\"a", &["sql"]),
        ("a NEAR b", &[]),
        ("where:a ^a -- b", &["sql"]),
        ("words:select", &[]),
        ("'b' | & ! <-> c :*", &["sql"]),
        ("words*", &["sql"]),
        ("absent", &[]),
        ("event absent", &[]),
        ("e*", &["en", "fr"]),
        ("l* o*", &["fr"]),
    ] {
        let mut found = search(&store, "", query, 10).await;
        found.sort_unstable();
        assert_eq!(found, keys, "{query}");
        let counted = store.count_records(searched("", query)).await.expect("it counts");
        assert_eq!(counted, keys.len() as u64, "{query}");
    }
    let store = reopen(fixture, store).await;
    assert_eq!(search(&store, "", "straße", 10).await, ["de"]);
}

pub async fn the_best_comes_first(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    let filler = "and so on and so forth, as it always goes, until the very end of it";
    let mut changes: Vec<_> =
        (0..9).map(|n| text(&format!("none {n}"), &format!("{filler} {n}"))).collect();
    changes.extend(["c", "a", "d"].map(|key| text(key, &format!("{filler} needle"))));
    changes.push(text("b", "needle, needle, needle"));
    done(&store, Commit::change(changes)).await;
    assert_eq!(search(&store, "", "needle", 10).await, ["b", "a", "c", "d"]);
    for limit in [1, 2, 3, 4] {
        let page = store.records(searched("", "needle"), None, limit).await.expect("it searches");
        let found: Vec<_> = page.records.iter().map(|record| &record.key.key).collect();
        assert_eq!(found, ["b", "a", "c", "d"][..limit]);
        assert_eq!(page.next, None, "a search has one page");
    }
    let all = search(&store, "", "so*", 100).await;
    assert_eq!(all.len(), 12);
    let after = Some(RecordCursor { value: None, key: "a".to_owned() });
    let refused = store.records(searched("", "needle"), after, 10).await.expect_err("one page");
    assert_eq!(*refused.kind(), ErrorKind::Invalid { field: "after" });
    let backwards = RecordQuery { backwards: true, ..searched("", "needle") };
    let refused = store.records(backwards, None, 10).await.expect_err("best first");
    assert_eq!(*refused.kind(), ErrorKind::Invalid { field: "backwards" });
}

pub async fn words_follow_the_record(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    done(&store, Commit::change(vec![text("a", "one two"), text("b", "two three")])).await;
    assert_eq!(search(&store, "", "two", 10).await, ["a", "b"]);
    done(&store, Commit::change(vec![text("a", "one two"), text("b", "four")])).await;
    assert_eq!(search(&store, "", "two", 10).await, ["a"], "others take the place of words");
    assert_eq!(search(&store, "", "four", 10).await, ["b"]);
    done(&store, Commit::change(vec![put("a", "x"), RecordChange::delete(key("b"))])).await;
    for query in ["one", "two", "three", "four"] {
        assert_eq!(search(&store, "", query, 10).await, [""; 0], "{query}");
    }
    done(&store, Commit::change(vec![text("a", "two"), text("b", "two")])).await;
    assert_eq!(search(&store, "", "two", 10).await, ["a", "b"], "and come again");
    let conflict = Commit::change(vec![text("a", "six"), text("c", "six").expecting(Exact(7))]);
    store.commit(conflict).await.expect_err("c is not there");
    assert_eq!(search(&store, "", "six", 10).await, [""; 0], "what is refused leaves no words");
    assert_eq!(search(&store, "", "two", 10).await, ["a", "b"]);
    assert_eq!(whole(&store).await, [""; 0]);
}

/// In each round of twenty records some get other words, some keep theirs, some have none, and
/// some are deleted.
pub async fn words_of_many_changes_behind_a_judged_one(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    for round in 0..4_u64 {
        let name = |n: u64| format!("{n:02}");
        let words = |n: u64| match n % 4 {
            0 => None,
            1 => Some("kept".to_owned()),
            2 => Some(format!("round {round}")),
            _ => round.is_multiple_of(2).then(|| "sometimes".to_owned()),
        };
        let change = |n: u64| match (n % 5 == round, words(n)) {
            (true, _) => RecordChange::delete(key(&name(n))),
            (_, Some(words)) => text(&name(n), &words),
            _ => put(&name(n), "x"),
        };
        let mut changes: Vec<_> = (0..20).map(change).collect();
        let expected = if round == 0 { Absent } else { Exact(round) };
        changes.insert(7, put("cursor", "x").expecting(expected));
        let commit = Commit::change(changes);
        let committed = done(&store, commit.clone()).await;
        assert_eq!(done(&store, commit).await, committed, "the same commit, the same answer");
        for query in ["kept", "sometimes", "round 0", "round 1", "round 2", "round 3"] {
            let fits = |n: &u64| n % 5 != round && words(*n).as_deref() == Some(query);
            let fitting: Vec<_> = (0..20).filter(fits).map(name).collect();
            let mut found = search(&store, "", query, 100).await;
            found.sort_unstable();
            assert_eq!(found, fitting, "{query} in round {round}");
        }
        assert_eq!(whole(&store).await, [""; 0]);
    }
}

pub async fn words_of_spaces_and_tenants_stay_apart(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    let places = [("", "doc"), ("", "Doc"), ("", "docs"), (OTHER, "doc"), (OTHER, "d%c")];
    let of = |(tenant, space): (&str, &str)| {
        let mut change =
            text("a", &format!("shared {}", if tenant.is_empty() { "one" } else { "two" }));
        change.key = RecordKey { tenant: tenant.to_owned(), ..RecordKey::new(space, "a") };
        change
    };
    done(&store, Commit::change(places.map(of).to_vec())).await;
    let count = async |(tenant, space): (&str, &str), query| {
        let query = RecordQuery { space: space.to_owned(), ..searched(tenant, query) };
        store.count_records(query).await.expect("it counts")
    };
    for place in places {
        assert_eq!(count(place, "shared").await, 1);
        assert_eq!(count(place, "sh* one").await, u64::from(place.0.is_empty()));
    }
    let (tenant, space) = (places[3].0.to_owned(), places[3].1.to_owned());
    let purge = RecordPurge { tenant, space, most: 10 };
    assert_eq!(store.purge(purge).await.expect("it purges"), 1);
    for place in places {
        assert_eq!(count(place, "shared").await, u64::from(place != places[3]));
    }
    assert_eq!(whole(&store).await, [""; 0]);
}

pub async fn a_purge_leaves_no_words(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    let changes = ["a", "b", "c", "d"].map(|key| text(key, "words of some sort"));
    done(&store, Commit::change(changes.to_vec())).await;
    let purge = RecordPurge { tenant: String::new(), space: key("a").space, most: 2 };
    assert_eq!(store.purge(purge.clone()).await.expect("it purges"), 2);
    assert_eq!(search(&store, "", "words", 10).await, ["c", "d"]);
    assert_eq!(store.purge(purge).await.expect("it purges"), 2);
    assert_eq!(search(&store, "", "words", 10).await, [""; 0]);
    done(&store, Commit::change(vec![text("b", "words again")])).await;
    assert_eq!(search(&store, "", "words", 10).await, ["b"]);
    assert_eq!(search(&store, "", "sort", 10).await, [""; 0]);
    assert_eq!(whole(&store).await, [""; 0]);
}

pub async fn every_word_of_the_largest_text(fixture: &dyn Fixture) {
    let Some(store) = searchable(fixture).await else { return };
    let most = store.capabilities().limits.record_text_bytes;
    let digits = "0123456789abcdefghijklmnopqrstuvwxyz".as_bytes();
    let word =
        |n: usize| [n / 1296, n / 36 % 36, n % 36].map(|n| char::from(digits[n])).iter().collect();
    let words: Vec<String> = (0..36 * 36 * 36).map(word).collect();
    let mut distinct = words.join(" ");
    // What fits there besides, of words as short.
    (0..most).map_while(|n| char::from_u32(0x4e00 + n as u32)).take(20_000).for_each(|letter| {
        if distinct.len() + 4 <= most {
            distinct.push(' ');
            distinct.push(letter);
        }
    });
    let same = "the same words ".repeat(most / 15 - 2) + "a needle at the end";
    done(&store, Commit::change(vec![text("distinct", &distinct), text("same", &same)])).await;
    for (query, found) in [
        ("000 zzz", "distinct"),
        ("\"zzx zzy zzz\"", "distinct"),
        ("\"words the same words a needle\"", "same"),
        ("\"at the end\"", "same"),
        ("\"a need\"*", "same"),
    ] {
        assert_eq!(search(&store, "", query, 10).await, [found], "{query}");
    }
    for absent in ["\"zzz zzy\"", "\"needle a\"", "\"same needle\""] {
        assert_eq!(search(&store, "", absent, 10).await, [""; 0], "{absent}");
    }
    assert_eq!(whole(&store).await, [""; 0]);
}

/// A store, if it can be searched.
async fn searchable(fixture: &dyn Fixture) -> Option<Store> {
    let store = open(fixture).await;
    store.capabilities().full_text.then_some(store)
}

fn text(name: &str, words: &str) -> RecordChange {
    let mut change = put(name, name);
    change.value.as_mut().expect("it is put").text = Some(Words::of([words]));
    change
}

fn searched(tenant: &str, query: &str) -> RecordQuery {
    let query = select(RecordSelection::Text(TextQuery::parse(query).expect(query)));
    RecordQuery { tenant: tenant.to_owned(), ..query }
}

async fn search(store: &Store, tenant: &str, query: &str, limit: usize) -> Vec<String> {
    let page = store.records(searched(tenant, query), None, limit).await.expect("it searches");
    page.records.into_iter().map(|record| record.key.key).collect()
}

/// What a check of the store finds.
async fn whole(store: &Store) -> Vec<String> {
    let (mut damage, mut after) = (Vec::new(), None);
    loop {
        let page = store.verify(after).await.expect("it is checked");
        damage.extend(page.damage.into_iter().map(|damage| damage.text));
        after = page.next;
        if after.is_none() {
            return damage;
        }
    }
}
