//! How long a page waits before it tries the server once more.

/// Waits between tries while somebody looks, in milliseconds. With what they vary by, none is longer than
/// three seconds: so soon is the page back once the server is, however long that was gone.
const SEEN_MS: [f64; 4] = [500.0, 1_000.0, 2_000.0, 2_300.0];
/// Waits while nobody looks; whoever comes back has it tried at once.
const HIDDEN_MS: [f64; 6] = [1_000.0, 2_000.0, 4_000.0, 8_000.0, 15_000.0, 30_000.0];
/// A wait is longer or shorter by up to this part of it, so that pages do not come all at once.
const VARIES_BY: f64 = 0.2;

/// The wait after so many tries in a row that failed; `chance` is from 0 to 1.
pub(super) fn wait_ms(failures: usize, is_hidden: bool, chance: f64) -> f64 {
    let waits: &[f64] = if is_hidden { &HIDDEN_MS } else { &SEEN_MS };
    waits[failures.min(waits.len() - 1)] * (1.0 + VARIES_BY * (2.0 * chance - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_seen_is_back_within_three_seconds_after_any_absence() {
        for failures in [0, 1, 2, 3, 10, 100_000] {
            for chance in [0.0, 0.5, 1.0] {
                let wait = wait_ms(failures, false, chance);
                assert!((400.0..2_900.0).contains(&wait), "{failures} {chance}: {wait}");
            }
        }
    }

    #[test]
    fn waits_grow_and_vary() {
        for is_hidden in [false, true] {
            let waits: Vec<f64> = (0..8).map(|failures| wait_ms(failures, is_hidden, 0.5)).collect();
            assert!(waits.is_sorted(), "{waits:?}");
            assert!(wait_ms(2, is_hidden, 0.0) < wait_ms(2, is_hidden, 1.0));
        }
        assert!((wait_ms(50, true, 0.5) - 30_000.0).abs() < 1.0, "a page that nobody sees asks seldom");
    }
}
