//! The contract of the journal: what operators change is kept with what was there before.
use super::{
    build::*,
    contract::{Harness, again, opened},
};
use tidegate::{
    error::Kind,
    load::{Change, Commit, Destination, Entry, JOURNAL_MAX, Moved, Verb},
    time::Timestamp,
};

pub(crate) async fn an_operators_change_is_kept_with_what_was_before<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    assert_eq!(d.journal(&acme()).await.unwrap(), []);
    d.commit(empty("bills", 5)).await.unwrap();
    d.commit(empty("people", 6)).await.unwrap();
    let all =
        [("bills".to_owned(), None), ("people".to_owned(), None), ("new".to_owned(), Some(checkpoint(1)))];
    let reset = Change {
        at: Timestamp(1_700_000_000_123_456),
        verb: Verb::Reset,
        made_with: Some("these mappings".into()),
        to: all.into(),
        ..change("bills", None)
    };
    assert_eq!(d.change_state(reset).await.unwrap(), 1);
    let back = Change { verb: Verb::Undo, undoes: Some(1), ..change("bills", Some(checkpoint(5))) };
    assert_eq!(d.change_state(back).await.unwrap(), 2);
    let (mut d, opened) = again(h, d).await;
    let names: Vec<&str> = opened.checkpoints.keys().map(String::as_str).collect();
    assert_eq!(names, ["bills", "new"], "people is forgotten, bills is back");
    let moved = |before: Option<i64>, after: Option<i64>| Moved {
        before: before.map(checkpoint),
        after: after.map(checkpoint),
    };
    let first = Entry {
        no: 1,
        at: Timestamp(1_700_000_000_123_456),
        verb: Verb::Reset,
        undoes: None,
        made_with: Some("these mappings".into()),
        streams: [
            ("bills".to_owned(), moved(Some(5), None)),
            ("new".to_owned(), moved(None, Some(1))),
            ("people".to_owned(), moved(Some(6), None)),
        ]
        .into(),
    };
    let second = Entry {
        no: 2,
        at: Timestamp(7),
        verb: Verb::Undo,
        undoes: Some(1),
        made_with: None,
        streams: [("bills".to_owned(), moved(None, Some(5)))].into(),
    };
    assert_eq!(d.journal(&acme()).await.unwrap(), [first.clone(), second.clone()]);
    d.commit(Commit { checkpoint: checkpoint(9), ..commit(&[]) }).await.unwrap();
    assert_eq!(d.journal(&acme()).await.unwrap(), [first, second], "a sync is no operator's change");
    assert_eq!(d.journal(&owner("acme", "other")).await.unwrap(), []);
    assert_eq!(d.journal(&owner("other", "main")).await.unwrap(), []);
    d.close().await.unwrap();
    assert_eq!(h.reopen().await.journal(&acme()).await.unwrap().len(), 2, "read without a lock");
    // A writer that was taken over changes neither.
    let mut old = super::contract::opened(h).await;
    h.evict().await;
    let mut new = super::contract::opened(h).await;
    // A session that was ended is noticed first; nothing is written either way.
    assert!(old.change_state(change("bills", None)).await.is_err());
    assert_eq!(old.change_state(change("bills", None)).await.unwrap_err().kind(), Kind::Stale);
    assert_eq!(new.journal(&acme()).await.unwrap().len(), 2);
    assert_eq!(new.peek(&acme()).await.unwrap().unwrap().checkpoints["bills"], checkpoint(9));
}

pub(crate) async fn the_journal_keeps_the_last_changes_and_their_numbers<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    for watermark in 1..=205 {
        let no = d.change_state(change("bills", Some(checkpoint(watermark)))).await.unwrap();
        assert_eq!(no, watermark);
    }
    let (mut d, _) = again(h, d).await;
    let kept: Vec<i64> = d.journal(&acme()).await.unwrap().iter().map(|e| e.no).collect();
    assert_eq!(kept, (6..=205).collect::<Vec<_>>());
    assert_eq!(kept.len(), JOURNAL_MAX);
    assert_eq!(d.change_state(change("bills", None)).await.unwrap(), 206);
    let last = d.journal(&acme()).await.unwrap().pop().unwrap();
    assert_eq!(last.streams["bills"], Moved { before: Some(checkpoint(205)), after: None });
}
