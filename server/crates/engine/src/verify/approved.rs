//! Whether a deployment began with the approvals that it needs.

use super::{Promise, Reader};
use lockstep_model::event::Envelope;

impl Reader<'_> {
    /// It begins with the approvals that its plan asks for, of others than its authors.
    pub(super) fn begun(&mut self, envelope: &Envelope) {
        let Some(rule) = &self.plan.approvals else { return };
        let others = self.approved.iter().filter(|user| !self.authors.contains(user)).count();
        if others < rule.count as usize {
            let found = format!("it began with {others} of {} approvals", rule.count);
            self.note(envelope, Promise::Approved, found);
        }
    }
}
