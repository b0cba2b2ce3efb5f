//! Which endpoint is asked next: smooth weighted round robin.
//!
//! Every turn each endpoint gains its weight; the richest is chosen and pays the sum of all weights. Over `sum` turns
//! each is chosen `weight` times, spread as evenly as whole numbers allow.

use std::sync::{Mutex, PoisonError};

/// The turns taken so far.
#[derive(Debug)]
pub(super) struct Balance {
    weights: Vec<i64>,
    sum: i64,
    credit: Mutex<Vec<i64>>,
}

impl Balance {
    pub(super) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<i64> = weights.map(|w| i64::from(w.max(1))).collect();
        let credit = Mutex::new(vec![0; weights.len()]);
        Balance { sum: weights.iter().sum(), weights, credit }
    }

    /// The index of the endpoint whose turn it is; 0 if there is but one, or none.
    pub(super) fn next(&self) -> usize {
        if self.weights.len() < 2 {
            return 0;
        }
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        let mut best = 0;
        for (i, weight) in self.weights.iter().enumerate() {
            credit[i] += weight;
            if credit[i] > credit[best] {
                best = i;
            }
        }
        credit[best] -= self.sum;
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let balance = Balance::new([5, 1, 1].into_iter());
        let turns: Vec<usize> = (0..7).map(|_| balance.next()).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(balance.next(), 0, "and again from the start");
    }

    #[test]
    fn one_or_none_needs_no_turn() {
        assert_eq!(Balance::new([3].into_iter()).next(), 0);
        assert_eq!(Balance::new([].into_iter()).next(), 0);
    }
}
