//! Clauses about checks of the whole store.

use super::Fixture;
use super::given::{
    OTHER, Store, account, deposits, done, interleaved, loose, open, put, tagged, together,
};
use crate::commit::Commit;
use crate::error::ErrorKind;
use crate::record::{RecordChange, Scalar};
use crate::stream::ExpectedVersion;
use crate::verify::{VerifyCursor, VerifyPage};

/// All steps of a check, added up.
async fn checked(store: &Store) -> VerifyPage {
    let mut sum = VerifyPage::default();
    let mut cursor = None;
    loop {
        let page = store.verify(cursor).await.expect("the check goes on");
        sum.checked += page.checked;
        sum.events += page.events;
        sum.streams += page.streams;
        sum.records += page.records;
        sum.damage.extend(page.damage);
        let Some(next) = page.next else { return sum };
        cursor = Some(next);
    }
}

pub async fn an_empty_store_is_whole(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    let sum = checked(&store).await;
    assert_eq!((sum.events, sum.streams, sum.records, sum.damage), (0, 0, 0, Vec::new()));
}

pub async fn a_whole_store_has_no_damage(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    interleaved(&store).await;
    done(&store, loose(vec![tagged("Noted", &["a", "b"]), tagged("Noted", &["b"])])).await;
    done(&store, together([deposits("x", 3), loose(vec![tagged("Noted", &["c"])])])).await;
    let other = account("x").with_tenant(OTHER);
    let event = tagged("Noted", &["a"]);
    done(&store, Commit::append(other, ExpectedVersion::NoStream, vec![event])).await;
    let mut indexed = put("indexed", "1");
    if let Some(value) = &mut indexed.value {
        value.index = vec![("owner".to_owned(), Scalar::Text("Ada".to_owned()))];
    }
    done(&store, Commit::change(vec![indexed, put("gone", "2"), put("plain", "3")])).await;
    done(&store, Commit::change(vec![RecordChange::delete(put("gone", "").key)])).await;
    let log = store.horizon().await.expect("it answers").last;
    let sum = checked(&store).await;
    assert_eq!(sum.damage, Vec::new());
    assert!(sum.events > 0 && sum.events <= log, "{sum:?}");
    assert!(sum.streams >= 2 && sum.records >= 2, "{sum:?}");
    assert!(sum.checked >= sum.events, "{sum:?}");
}

pub async fn a_cursor_of_nobody(fixture: &dyn Fixture) {
    let store = open(fixture).await;
    for bytes in [&b""[..], b"nonsense", b"\xff\x00", b"{\"Events\": -1}", b"[]"] {
        let error = store.verify(Some(VerifyCursor(bytes.to_vec()))).await.expect_err("no cursor");
        assert_eq!(*error.kind(), ErrorKind::Invalid { field: "after" });
    }
}
