//! Rejects and issues of a commit.
use super::{Stored, StoredReject};
use crate::load::{Commit, fold, issue};

impl Stored {
    pub(super) fn keep_rejects(&mut self, commit: &Commit, number: i64) {
        self.resolved.extend(commit.resolves.iter().cloned());
        let open = self.rejects.iter().filter(|r| !self.resolved.contains(&r.id));
        let mut seen: fold::KeySet = open.map(|r| fold::reject_hash(&r.reject)).collect();
        for reject in commit.rejects.iter().filter(|r| seen.insert(fold::reject_hash(r))) {
            let ordinal = self.rejects.iter().filter(|r| r.commit_no == number).count();
            let id = format!("{number}-{ordinal}");
            self.rejects.push(StoredReject { id, commit_no: number, reject: reject.clone() });
        }
        issue::put(&mut self.issues, issue::of_commit(commit));
    }
}
