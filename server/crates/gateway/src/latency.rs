//! Latencies in logarithmic buckets: 272 counters, each an eighth of a power of two wide, so that a
//! quantile is at most 12.5 % too high however many requests there were.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const BUCKETS: usize = 272;
/// 2^36 µs is 19 hours; longer answers count as that long.
const MICROS_MAX: u64 = (1 << 36) - 1;

/// How long things took.
#[derive(Debug)]
pub(crate) struct Latency {
    buckets: Box<[AtomicU64]>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// The values in milliseconds below which each of `shares` of all recorded ones lie; 0 when
    /// nothing was recorded.
    pub(crate) fn quantiles_ms<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        shares.map(|share| {
            // The rank of the value that is asked for, from 1.
            let rank = ((share * total as f64).ceil() as u64).clamp(1, total.max(1));
            let mut seen = 0;
            for (index, count) in counts.iter().enumerate() {
                seen += count;
                if seen >= rank {
                    return upper_micros(index) as f64 / 1000.0;
                }
            }
            0.0
        })
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.min(MICROS_MAX);
    if micros < 8 {
        return micros as usize;
    }
    let power = 63 - micros.leading_zeros() as usize;
    let eighth = (micros >> (power - 3)) as usize & 7;
    (power - 2) * 8 + eighth
}

/// The first value above bucket `index`.
fn upper_micros(index: usize) -> u64 {
    if index < 8 {
        return index as u64 + 1;
    }
    let (power, eighth) = (index / 8 + 2, index as u64 % 8);
    (8 + eighth + 1) << (power - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_at_most_an_eighth_too_high() {
        for power in 0..40 {
            for offset in [-1_i64, 0, 1] {
                let micros = (1_u64 << power).saturating_add_signed(offset).min(MICROS_MAX);
                let index = bucket(micros);
                assert!(index < BUCKETS, "{micros}");
                let upper = upper_micros(index);
                assert!(upper > micros, "{micros} in bucket below {upper}");
                assert!(upper - micros <= micros / 8 + 1, "{micros} in bucket below {upper}");
            }
        }
    }

    #[test]
    fn quantiles_follow_the_recorded_values() {
        let latency = Latency::default();
        assert_eq!(latency.quantiles_ms([0.5, 0.99]), [0.0, 0.0]);
        for millis in 1..=100 {
            latency.record(Duration::from_millis(millis));
        }
        let [half, most] = latency.quantiles_ms([0.5, 0.99]);
        assert!((50.0..=57.0).contains(&half), "{half}");
        assert!((99.0..=112.0).contains(&most), "{most}");
    }
}
