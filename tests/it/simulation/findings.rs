//! What a judge says of a world: what was wrong, what befell whom, and how often.

use std::collections::BTreeMap;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// Acknowledged, and not there.
    Lost,
    /// One key, two events.
    StoredTwice,
    /// Claimed while another's claim held, by the taker's own clock.
    TwoHolders,
    /// Taken over before the holder's deadline, though it was well and the clocks
    /// were near each other.
    EarlyTheft,
    /// Sent by two at once, for no reason.
    TwoSenders,
    /// Sent again after it was accepted, for no reason.
    Twice,
    /// A settlement did something else than its claim allows.
    LateSettlement,
    /// What is stored is not what the holder wrote.
    OtherState,
    /// Attempts are not numbered one by one.
    NumberGap,
    /// A later one of a line before an earlier one came to rest.
    OutOfOrder,
    /// Two of a line at once.
    TwoOfALine,
    /// Tried again before its time, and no clock was set.
    TooEarly,
    /// More attempts than its schedule has.
    TooMany,
    NeverRests,
}

/// Why a delivery may be sent twice: what befell a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    Killed,
    Paused,
    /// A call to the store failed, done or not.
    CallLost,
    ClockSet,
    /// It ended sooner for the taker than the holder may think, by more than the margin.
    ClocksApart,
}

/// What came of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) acknowledged: usize,
    pub(super) deliveries: usize,
    pub(super) sent: usize,
    /// Claims that ran out, were sent or not, and were taken by another.
    pub(super) taken_over: usize,
    /// Settlements that were refused.
    pub(super) late: usize,
    /// Sent again after it had been accepted, or by two at once.
    pub(super) again: BTreeMap<Cause, usize>,
    /// Being sent when one of the causes befell them.
    pub(super) in_flight: usize,
    /// Joined a line before one that was being sent.
    pub(super) overtaken: usize,
    pub(super) early: usize,
    pub(super) hand_retries: usize,
}

impl Figures {
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.acknowledged += other.acknowledged;
        self.deliveries += other.deliveries;
        self.sent += other.sent;
        self.taken_over += other.taken_over;
        self.late += other.late;
        self.in_flight += other.in_flight;
        self.overtaken += other.overtaken;
        self.early += other.early;
        self.hand_retries += other.hand_retries;
        for (cause, count) in &other.again {
            *self.again.entry(*cause).or_default() += count;
        }
        self
    }
}
