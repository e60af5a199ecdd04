//! What is counted, what is told of it, and what is left of it after a restart.

use super::*;

const BEGIN: Timestamp = Timestamp(1_700_000_000_000);

fn address(last: u32) -> IpAddr {
    network(IpAddr::from((0x0a00_0000 + last).to_be_bytes()))
}

fn subnet(text: &str) -> IpAddr {
    network(text.parse().expect("an address"))
}

#[test]
fn a3_many_accounts_from_an_address_and_many_addresses_at_an_account_are_told_once_in_a_window() {
    let strangers = Strangers::default();
    let mut told = Vec::new();
    for number in 0..30 {
        told.extend(strangers.guessed(address(1), &format!("user{number}"), Timestamp(1)).told);
        told.extend(strangers.guessed(address(100 + number), "anna", Timestamp(1)).told);
    }
    let targets: Vec<&str> = told.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(targets, ["address 10.0.0.1", "user anna"]);
    assert!(told[0].1.contains("10 accounts"), "{told:?}");
    // Somebody who has forgotten theirs is nobody to tell of, and is written down once.
    assert!(strangers.guessed(address(2), "bert", Timestamp(2)).kept.is_some());
    for _ in 0..100 {
        assert_eq!(strangers.guessed(address(2), "bert", Timestamp(2)), Noted::default());
    }
    let later = Timestamp(1).plus_ms(WINDOW_MS);
    let again: Vec<_> =
        (0..10).flat_map(|number| strangers.guessed(address(1), &format!("u{number}"), later).told).collect();
    assert_eq!(again.len(), 1);
}

#[test]
fn a3_addresses_of_one_64_are_one() {
    let strangers = Strangers::default();
    let told: Vec<_> = (0..10)
        .flat_map(|number| {
            let one = subnet(&format!("2001:db8::{number}"));
            assert_eq!(strangers.guessed(one, "anna", Timestamp(1)).told, []);
            strangers.guessed(one, &format!("user{number}"), Timestamp(1)).told
        })
        .collect();
    let targets: Vec<&str> = told.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(targets, ["address 2001:db8::/64"], "one address that tries many, and no account from many");
}

#[test]
fn a3_a_restart_forgets_no_guess_and_no_refusal() {
    let before = Strangers::default();
    let mut kept = BTreeMap::new();
    for number in 0..9 {
        kept.extend(before.guessed(subnet("2001:db8::1"), &format!("user{number}"), BEGIN).kept);
        kept.extend(before.guessed(address(number), "anna", BEGIN).kept);
    }
    for _ in 0..REFUSALS_MAX {
        kept.extend(before.refused(Door::Hooks, subnet("2001:db8::1"), "no", BEGIN).kept);
    }
    let after = Strangers::default();
    after.remember(kept.clone().into_iter().collect(), BEGIN.plus_ms(1_000));
    assert_eq!(after.closed_ms(Door::Hooks, subnet("2001:db8::7"), BEGIN.plus_ms(1_000)), 59_000);
    assert_eq!(after.closed_ms(Door::Token, subnet("2001:db8::7"), BEGIN.plus_ms(1_000)), 0);
    assert_eq!(after.guessed(subnet("2001:db8::2"), "user9", BEGIN.plus_ms(1_000)).told.len(), 1);
    assert_eq!(after.guessed(address(9), "anna", BEGIN.plus_ms(1_000)).told.len(), 1);
    // What has passed is nothing, and so is what a clock that went back cannot know.
    for now in [BEGIN.plus_ms(WINDOW_MS), Timestamp(5)] {
        let later = Strangers::default();
        later.remember(kept.clone().into_iter().collect(), now);
        assert_eq!(later.guessed(subnet("2001:db8::2"), "user9", now).told, []);
        assert_eq!(later.closed_ms(Door::Hooks, subnet("2001:db8::1"), now), 0);
    }
}

#[test]
fn strangers_write_so_much_within_a_window_and_no_more() {
    let strangers = Strangers::default();
    let (mut writes, mut begun) = (0, 0);
    for number in 0..5_000 {
        let guessed = strangers.guessed(address(number), &format!("user{number}"), BEGIN);
        let refused = strangers.refused(Door::Token, address(number), "no", BEGIN);
        begun += u32::from(guessed.is_new_window) + u32::from(refused.is_new_window);
        writes += u32::from(guessed.kept.is_some()) + u32::from(refused.kept.is_some());
    }
    assert_eq!((writes, begun), (WRITES_MAX, 1));
    // One that goes on and on writes no more than what closes the door.
    let one = Strangers::default();
    let writes = (0..1_000).filter(|_| one.refused(Door::Token, address(1), "no", BEGIN).kept.is_some());
    assert_eq!(writes.count(), REFUSALS_MAX as usize);
    let later = strangers.guessed(address(1), "anna", BEGIN.plus_ms(WINDOW_MS));
    assert!(later.is_new_window && later.kept.is_some(), "another window, and room again");
}

#[test]
fn the_audit_is_not_filled_by_strangers() {
    let strangers = Strangers::default();
    let lines = (0..5_000)
        .flat_map(|number| strangers.refused(Door::Hooks, address(number), "no", Timestamp(5)).told)
        .count();
    assert_eq!(lines, usize::try_from(LINES_MAX).expect("fits"));
}

#[test]
fn a_door_closes_to_who_is_refused_too_often_and_to_nobody_else() {
    let strangers = Strangers::default();
    let told: Vec<_> = (0..REFUSALS_MAX)
        .flat_map(|_| {
            assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(5)), 0);
            strangers.refused(Door::Token, address(1), "no", Timestamp(5)).told
        })
        .collect();
    assert_eq!(told.len(), 2, "the first and the last: {told:?}");
    assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(1_005)), 59_000);
    assert_eq!(strangers.closed_ms(Door::Token, address(2), Timestamp(1_005)), 0);
    assert_eq!(strangers.closed_ms(Door::Hooks, address(1), Timestamp(1_005)), 0);
    assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(60_005)), 0);
    let another = strangers.refused(Door::Token, address(1), "no", Timestamp(60_005));
    assert_eq!(another.told.len(), 1, "another minute");
    assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(60_006)), 0);
}
