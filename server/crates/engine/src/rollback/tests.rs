//! The order of a rollback.

use crate::{
    rollback::{changed_steps, is_wanted, plan},
    testing::Story,
};

#[test]
fn nothing_goes_back_before_something_changed() {
    let story = Story::chain(3).started();
    assert_eq!(changed_steps(story.state()).count(), 0);
    assert!(is_wanted(story.state()));
    assert!(plan(story.state()).services.is_empty());
}

#[test]
fn a_chain_goes_back_from_its_end_and_each_service_from_its_last_step() {
    let story = Story::chain(3).started().run_to_the_end();
    let rollback = plan(story.state());
    let services: Vec<u32> = rollback.services.iter().map(|entry| entry.service).collect();
    assert_eq!(services, [2, 1, 0]);
    let after: Vec<&[u32]> = rollback.services.iter().map(|entry| entry.after.as_slice()).collect();
    assert_eq!(after, [&[] as &[u32], &[0], &[1]]);
    for entry in &rollback.services {
        let kinds: Vec<&str> =
            entry.steps.iter().map(|step| story.state().plan.steps[*step as usize].kind.word()).collect();
        assert_eq!(kinds, ["shift", "prepare"]);
    }
}
