//! Ports for kept processes: one each, for as long as the revision is kept.

use std::net::{Ipv4Addr, TcpListener};

/// The first of the ports that are given out.
const FIRST: u16 = 18_000;
/// The last.
const LAST: u16 = 18_999;

/// A port that no revision has and that nobody listens on; none when all are taken. `hint` spreads
/// where the search begins, so that a port that was just given back rests a while.
pub(crate) fn free(taken: impl Fn(u16) -> bool, hint: u16) -> Option<u16> {
    let count = LAST - FIRST + 1;
    (0..count)
        .map(|step| FIRST + (hint % count + step) % count)
        .find(|port| !taken(*port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let first = free(|_| false, 500).expect("one is free");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("it is free");
        let second = free(|_| false, 500).expect("another is free");
        drop(listener);
        assert_ne!(first, second);
        assert_eq!(free(|_| true, 0), None);
    }
}
