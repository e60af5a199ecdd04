//! Server functions of what admins declare for programs elsewhere: whom to trust, what webhooks start, where people sign in.

#![allow(missing_docs, reason = "the macro makes a struct of the arguments, whose one field is the request")]

use crate::{
    AppError,
    codec::{ApiAnswer, ApiJson},
};
use leptos::prelude::*;
use lockstep_model::{
    api::Empty,
    hooks::{DeliveryPage, HookPage, HookRule, HookView, ListDeliveries, NamedHook},
    provider::{ProviderPage, ProviderReport},
    trust::{AddTrust, NamedTrust, TrustPage, TrustView},
};

#[cfg(feature = "ssr")]
use crate::backend::authorised;
#[cfg(feature = "ssr")]
use lockstep_model::api as endpoint;

/// Rules by which jobs elsewhere get tokens.
#[server(name = TrustListCall, prefix = "/api/v1", endpoint = "/trust/list", input = ApiJson, output = ApiAnswer)]
pub async fn trust_list(req: Empty) -> Result<TrustPage, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::TrustList>(req).await?;
    backend.trust.trust_list().await
}

/// Makes such a rule.
#[server(name = TrustAddCall, prefix = "/api/v1", endpoint = "/trust/add", input = ApiJson, output = ApiAnswer)]
pub async fn trust_add(req: AddTrust) -> Result<TrustView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::TrustAdd>(req).await?;
    backend.trust.trust_add(&caller, req).await
}

/// Ends such a rule.
#[server(name = TrustRemoveCall, prefix = "/api/v1", endpoint = "/trust/remove", input = ApiJson, output = ApiAnswer)]
pub async fn trust_remove(req: NamedTrust) -> Result<TrustView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::TrustRemove>(req).await?;
    backend.trust.trust_remove(&caller, req).await
}

/// Rules of webhooks.
#[server(name = HookListCall, prefix = "/api/v1", endpoint = "/hook/list", input = ApiJson, output = ApiAnswer)]
pub async fn hook_list(req: Empty) -> Result<HookPage, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::HookList>(req).await?;
    backend.hooks.hook_list().await
}

/// Makes such a rule.
#[server(name = HookAddCall, prefix = "/api/v1", endpoint = "/hook/add", input = ApiJson, output = ApiAnswer)]
pub async fn hook_add(req: HookRule) -> Result<HookView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::HookAdd>(req).await?;
    backend.hooks.hook_add(&caller, req).await
}

/// Ends such a rule.
#[server(name = HookRemoveCall, prefix = "/api/v1", endpoint = "/hook/remove", input = ApiJson, output = ApiAnswer)]
pub async fn hook_remove(req: NamedHook) -> Result<HookView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::HookRemove>(req).await?;
    backend.hooks.hook_remove(&caller, req).await
}

/// What was delivered.
#[server(name = HookDeliveriesCall, prefix = "/api/v1", endpoint = "/hook/deliveries", input = ApiJson, output = ApiAnswer)]
pub async fn hook_deliveries(req: ListDeliveries) -> Result<DeliveryPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::HookDeliveries>(req).await?;
    backend.hooks.hook_deliveries(req).await
}

/// The identity provider at which people sign in.
#[server(name = ProviderShowCall, prefix = "/api/v1", endpoint = "/provider/show", input = ApiJson, output = ApiAnswer)]
pub async fn provider_show(req: Empty) -> Result<ProviderPage, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::ProviderShow>(req).await?;
    backend.trust.provider_show().await
}

/// Asks it now.
#[server(name = ProviderCheckCall, prefix = "/api/v1", endpoint = "/provider/check", input = ApiJson, output = ApiAnswer)]
pub async fn provider_check(req: Empty) -> Result<ProviderReport, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::ProviderCheck>(req).await?;
    backend.trust.provider_check().await
}
