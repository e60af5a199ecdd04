//! Long downloads: one at a time for each user, so that nobody has the whole history read ten times at once.

use super::guard::plain;
use axum::response::Response;
use futures_util::{Stream, StreamExt as _, stream};
use lockstep_model::{
    UserName,
    error::{ErrorBody, ErrorKind},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Who downloads at this moment.
#[derive(Debug, Clone, Default)]
pub struct Downloads(Arc<Mutex<BTreeSet<UserName>>>);

/// A download that is under way; others of the same user begin when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    all: Downloads,
    user: UserName,
}

impl Downloads {
    /// Begins one, unless the user has one already.
    pub(super) fn begin(&self, user: &UserName) -> Result<Ticket, Box<Response>> {
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(user.clone()) {
            let message = "another download of yours is under way; begin this one when it has ended";
            return Err(Box::new(plain(&ErrorBody::new(ErrorKind::Throttled, message))));
        }
        Ok(Ticket { all: self.clone(), user: user.clone() })
    }
}

impl Ticket {
    /// The pages of the download; it has ended with the last of them, before whoever reads it is told so, or
    /// when nobody reads it any more.
    pub(super) fn held<S: Stream>(self, pages: S) -> impl Stream<Item = S::Item> {
        stream::unfold((Box::pin(pages), self), |(mut pages, ticket)| async move {
            let page = pages.next().await?;
            Some((page, (pages, ticket)))
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use super::Downloads;
    use futures_util::{StreamExt as _, stream};

    #[tokio::test]
    async fn f11_a_user_has_one_download_at_a_time_and_others_are_not_kept_from_theirs() {
        let downloads = Downloads::default();
        let (anna, bert) = ("anna".parse().expect("a name"), "bert".parse().expect("a name"));
        let mut pages = Box::pin(downloads.begin(&anna).expect("begun").held(stream::iter([1, 2])));
        assert_eq!(pages.next().await, Some(1));
        assert_eq!(downloads.begin(&anna).expect_err("one is under way").status(), 429);
        drop(downloads.begin(&bert).expect("others are free"));
        assert_eq!((pages.next().await, pages.next().await), (Some(2), None));
        // At its end, though it is still held; and when whoever reads it is gone.
        let broken_off = downloads.begin(&anna).expect("the first has ended").held(stream::iter([1, 2]));
        drop(broken_off);
        assert!(downloads.begin(&anna).is_ok());
    }
}
