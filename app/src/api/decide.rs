//! The server function by which people decide from a terminal. Pages do it by others.

#![allow(missing_docs, reason = "the macro makes a struct of the arguments, whose one field is the request")]

use crate::{
    AppError,
    codec::{ApiAnswer, ApiJson},
};
use leptos::prelude::*;
use lockstep_model::{approval::DecideDeployment, view::DeploymentSummary};

#[cfg(feature = "ssr")]
use crate::backend::authorised;
#[cfg(feature = "ssr")]
use lockstep_model::api as endpoint;

/// Approves or rejects, with the password of whoever does.
#[server(name = DeploymentDecideCall, prefix = "/api/v1", endpoint = "/deployment/decide", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_decide(req: DecideDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentDecide>(req).await?;
    backend.deployments.deployment_decide(&caller, req).await
}
