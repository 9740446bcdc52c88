//! Acknowledged events, followed to the receiver they were for.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_tests::load::Told;
use hookyard_tests::{PATIENCE, Receiver};

/// Who was told what, and what has come.
pub(crate) struct Followed {
    receiver: Receiver,
    acknowledged: BTreeSet<String>,
    arrived: BTreeMap<String, u64>,
    refused: usize,
}

impl Followed {
    pub(crate) async fn start() -> Self {
        let receiver = Receiver::start().await;
        Self { receiver, acknowledged: BTreeSet::new(), arrived: BTreeMap::new(), refused: 0 }
    }

    pub(crate) fn url(&self) -> String {
        self.receiver.url()
    }

    /// Takes down what publishers were told: 202, or that it is to be tried again.
    pub(crate) fn take(&mut self, told: Told) {
        for refused in &told.refused {
            assert_eq!(refused.status, 503, "{refused:?}");
        }
        self.refused += told.refused.len();
        self.acknowledged.extend(told.acknowledged.into_iter().map(|one| one.event));
    }

    /// Takes down one that somebody else was told of.
    pub(crate) fn acknowledge(&mut self, event: String) {
        self.acknowledged.insert(event);
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many publishers were told to come again.
    pub(crate) fn refused(&self) -> usize {
        self.refused
    }

    /// Of what was acknowledged, what has not come by now.
    pub(crate) fn lost(&mut self) -> Vec<&String> {
        self.look();
        self.acknowledged.iter().filter(|event| !self.arrived.contains_key(*event)).collect()
    }

    /// What has come more than once by now, and how often beyond that.
    pub(crate) fn again(&mut self) -> BTreeMap<&String, u64> {
        self.look();
        self.arrived.iter().filter(|(_, times)| **times > 1).map(|(event, times)| (event, times - 1)).collect()
    }

    /// Waits until all that was acknowledged has come.
    pub(crate) async fn all_have_come(&mut self) {
        let coming = async {
            while let Some(missing) = self.lost().into_iter().next().cloned() {
                while !self.arrived.contains_key(&missing) {
                    let one = self.receiver.next().await;
                    *self.arrived.entry(one.header("webhook-id").to_owned()).or_default() += 1;
                }
            }
        };
        let come = tokio::time::timeout(2 * PATIENCE, coming).await;
        assert!(come.is_ok(), "of {} acknowledged these are lost: {:?}", self.acknowledged(), self.lost());
    }

    fn look(&mut self) {
        for request in self.receiver.so_far() {
            *self.arrived.entry(request.header("webhook-id").to_owned()).or_default() += 1;
        }
    }
}
