//! Server functions of one-time links that are open.

#![allow(missing_docs, reason = "the macro makes a struct of the arguments, whose one field is the request")]

use crate::{
    AppError,
    codec::{ApiAnswer, ApiJson},
};
use leptos::prelude::*;
use lockstep_model::{
    api::{Empty, NameUser},
    links::{LinkPage, LinkView},
};

#[cfg(feature = "ssr")]
use crate::backend::authorised;
#[cfg(feature = "ssr")]
use lockstep_model::api as endpoint;

/// Links that are open.
#[server(name = LinkListCall, prefix = "/api/v1", endpoint = "/link/list", input = ApiJson, output = ApiAnswer)]
pub async fn link_list(req: Empty) -> Result<LinkPage, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::LinkList>(req).await?;
    backend.people.link_list().await
}

/// Withdraws one.
#[server(name = LinkRevokeCall, prefix = "/api/v1", endpoint = "/link/revoke", input = ApiJson, output = ApiAnswer)]
pub async fn link_revoke(req: NameUser) -> Result<LinkView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::LinkRevoke>(req).await?;
    backend.people.link_revoke(&caller, req).await
}
