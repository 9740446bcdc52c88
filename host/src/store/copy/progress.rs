//! How far a copy has come. It stands in the copy itself, in `meta`, and is written
//! with the rows that it tells of; as long as it does not say that all is there, no
//! host starts on the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::table::Value;
use super::{Compared, CopyError, Counted};
use crate::store::corrupt;

/// The row's name in `meta`.
pub(crate) const MARK: &str = "copy";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Whose copy it is.
    pub(super) source: String,
    pub(super) tables: BTreeMap<String, Reached>,
    pub(super) is_complete: bool,
    /// What the source had in each table when it was compared. Of a copy that an older
    /// program made it is not known, and the source counts as changed.
    #[serde(default)]
    pub(super) found: BTreeMap<String, Counted>,
}

/// How far one table has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The primary key of the last row that is there.
    pub(super) after: Option<Vec<Value>>,
    pub(super) rows: u64,
    /// Texts in which U+0000 was replaced.
    pub(super) replaced: u64,
    pub(super) is_done: bool,
}

impl Progress {
    pub(super) fn begin(source: &[u8]) -> Self {
        Self { source: fingerprint(source), tables: BTreeMap::new(), is_complete: false, found: BTreeMap::new() }
    }

    pub(super) fn complete(&mut self, compared: &[Compared]) {
        self.found = compared.iter().map(|table| (table.table.clone(), table.from.clone())).collect();
        self.is_complete = true;
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CopyError> {
        serde_json::from_slice(bytes).map_err(|_| corrupt("meta.value").into())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        crate::store::text::json(self).into_bytes()
    }
}

/// A database is known by the value that checks its master key: it was sealed with a
/// random nonce, and is the same wherever the database is moved.
fn fingerprint(check: &[u8]) -> String {
    hex(&Sha256::digest(check))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether what stands under [`MARK`] is of a copy that was cut off. What cannot be
/// read is.
pub(crate) fn is_unfinished(mark: &[u8]) -> bool {
    Progress::from_bytes(mark).map_or(true, |progress| !progress.is_complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back_as_it_was_written() {
        let mut progress = Progress::begin(b"a check");
        let after = vec![Value::Text("ten_1".to_owned()), Value::Int(-7), Value::Bytes(vec![0, 255])];
        let reached = Reached { after: Some(after.clone()), rows: 3, replaced: 1, is_done: false };
        progress.tables.insert("events".to_owned(), reached);
        let read = Progress::from_bytes(&progress.to_bytes()).unwrap();
        assert_eq!(read.tables["events"].after, Some(after));
        assert_eq!(read.to_bytes(), progress.to_bytes());
    }

    #[test]
    fn only_what_says_that_all_is_there_is_complete() {
        let mut progress = Progress::begin(b"a check");
        assert!(is_unfinished(&progress.to_bytes()));
        assert!(is_unfinished(b"{}"));
        progress.is_complete = true;
        assert!(!is_unfinished(&progress.to_bytes()));
    }
}
