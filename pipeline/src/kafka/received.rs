//! `Received<T>`: a value together with the offsets it stands for.
//!
//! A stage may change the value, refuse it or join several into a batch, but it can never lose
//! track of what may be committed: the offsets ride along until [`Received::complete`] is called.
//! A `Received` that is dropped instead is not committed. It is counted, and its partition is read
//! again from there.

use super::tracker::Claim;
use crate::topic::Place;

/// A value and the offsets that may be committed once it is dealt with.
#[derive(Debug)]
#[must_use = "dropping a received value without `complete` makes it come again"]
pub struct Received<T> {
    value: T,
    token: Token,
}

/// The offsets alone, for a stage that hands the value away.
#[derive(Debug, Default)]
#[must_use = "dropping a token without `complete` makes its records come again"]
pub struct Token {
    claims: Vec<(Place, Claim)>,
}

impl<T> Received<T> {
    pub(super) fn new(value: T, place: Place, claim: Claim) -> Self {
        let claims = vec![(place, claim)];
        Self {
            value,
            token: Token { claims },
        }
    }

    /// A value that came from nowhere: for tests of stages.
    pub fn untracked(value: T) -> Self {
        Self {
            value,
            token: Token::default(),
        }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The place of the first record that this stands for.
    pub fn place(&self) -> Option<&Place> {
        self.token.places().next()
    }

    /// How often members of the group that died since may have tried this; 0 unless the source
    /// keeps marks, see [`SourceConfig::attempt_marks`](super::SourceConfig::attempt_marks).
    pub fn attempts_before(&self) -> u32 {
        let attempts = self.token.claims.iter();
        let attempts = attempts.map(|(_, claim)| claim.attempts_before);
        attempts.max().unwrap_or(0)
    }

    /// Changes the value, keeps the offsets.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Received<U> {
        Received {
            value: change(self.value),
            token: self.token,
        }
    }

    /// Changes the value or fails; the failure keeps the offsets, so that it can be dead-lettered
    /// and completed.
    pub fn try_map<U, E>(
        self,
        change: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<Received<U>, Received<E>> {
        let token = self.token;
        match change(self.value) {
            Ok(value) => Ok(Received { value, token }),
            Err(value) => Err(Received { value, token }),
        }
    }

    /// Takes value and offsets apart.
    pub fn into_parts(self) -> (T, Token) {
        (self.value, self.token)
    }

    /// Puts value and offsets together again.
    pub fn from_parts(value: T, token: Token) -> Self {
        Self { value, token }
    }

    /// Several become one batch, which stands for all their offsets.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Received<Vec<T>> {
        let (values, tokens): (Vec<T>, Vec<Token>) =
            parts.into_iter().map(Self::into_parts).unzip();
        Received {
            value: values,
            token: Token::join(tokens),
        }
    }

    /// The work is done and its output acknowledged: the offsets may be committed.
    pub fn complete(self) -> T {
        self.token.complete();
        self.value
    }
}

impl Token {
    /// The places this stands for, in the order they were joined.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.claims.iter().map(|(place, _)| place)
    }

    /// One token that stands for everything the given ones stood for.
    pub fn join(tokens: impl IntoIterator<Item = Self>) -> Self {
        let claims = tokens.into_iter().flat_map(|token| token.claims).collect();
        Self { claims }
    }

    /// The work is done and its output acknowledged: the offsets may be committed.
    pub fn complete(self) {
        for (_, claim) in self.claims {
            claim.complete();
        }
    }

    /// Marks the records as being in a stage's hands; false if their partition is going away.
    pub(super) fn hand_out(&mut self) -> bool {
        self.claims.iter_mut().all(|(_, claim)| claim.hand_out())
    }
}

impl<T> Received<T> {
    /// See [`Token::hand_out`].
    pub(super) fn hand_out(mut self) -> Option<Self> {
        self.token.hand_out().then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tracker::PartitionTracker;
    use super::super::tracker::tests::tracker_with_metrics;
    use super::*;

    fn received(offset: i64) -> (Received<i64>, Arc<PartitionTracker>) {
        let (tracker, _) = tracker_with_metrics();
        let claim = tracker.track(offset, 0, 10);
        (Received::new(offset, place(offset), claim), tracker)
    }

    fn place(offset: i64) -> Place {
        Place {
            topic: "frames".into(),
            partition: 3,
            offset,
            timestamp_ms: 0,
        }
    }

    #[test]
    fn mapping_keeps_the_offsets() {
        let (received, tracker) = received(7);
        let mapped = received.hand_out().unwrap().map(|value| value.to_string());
        assert_eq!(mapped.place(), Some(&place(7)));
        assert_eq!(tracker.take_commit(), None);
        assert_eq!(mapped.complete(), "7");
        assert_eq!(tracker.take_commit(), Some(8));
    }

    #[test]
    fn a_failed_try_map_still_owns_the_offsets() {
        let (received, tracker) = received(7);
        let failed = received.try_map(|value| Err::<(), _>(format!("{value} is no JPEG")));
        let dead_letter = failed.unwrap_err();
        assert_eq!(dead_letter.value(), "7 is no JPEG");
        assert_eq!(dead_letter.place().unwrap().offset, 7);
        dead_letter.complete();
        assert_eq!(tracker.take_commit(), Some(8));
    }

    #[test]
    fn a_batch_stands_for_all_its_members() {
        let (tracker, _) = tracker_with_metrics();
        let parts: Vec<_> = (0..3)
            .map(|offset| Received::new(offset, place(offset), tracker.track(offset, 0, 1)))
            .collect();
        let batch = Received::join(parts);
        assert_eq!(batch.value(), &[0, 1, 2]);
        let (values, token) = batch.into_parts();
        assert_eq!(token.places().count(), 3);
        assert_eq!(Received::from_parts(values.len(), token).complete(), 3);
        assert_eq!(tracker.take_commit(), Some(3));
    }

    #[test]
    fn an_untracked_value_completes_to_itself() {
        assert_eq!(Received::untracked(5).map(|value| value * 2).complete(), 10);
    }
}
