//! `promote`: what has soaked in one environment goes to the next.

use super::{
    arguments::{Global, Promote},
    client::Client,
    error::Failure,
    exit,
    follow::{self, Hope},
    print,
};
use crate::{out::say, progress::seconds};
use lockstep_model::{
    api::{DeploymentPromote, DeploymentPromotionPlan, PromoteDeployment},
    view::{PromotedView, PromotionView},
};

pub(super) async fn promote(global: &Global, client: &Client, options: Promote) -> Result<u8, Failure> {
    let request = PromoteDeployment {
        project: global.project.clone(),
        from: options.from,
        to: options.to.or_else(|| global.environment.clone()),
        services: options.services,
        reason: options.reason,
        accept_no_rollback: options.accept_no_rollback,
        idempotency_key: options.idempotency_key,
    };
    if options.plan {
        let view = client.call(DeploymentPromotionPlan, &request).await?;
        if global.json {
            print::json(&view)?;
        } else {
            show(&view);
        }
        return Ok(exit::SUCCEEDED);
    }
    let summary = client.call(DeploymentPromote, &request).await?;
    follow::begun(global, client, &summary, options.waiting, Hope::Release).await
}

fn show(view: &PromotionView) {
    let soak = seconds(view.soak_ms);
    say!("project {}, from {} to {} after {soak} there", view.project, view.from, view.to);
    let row = |one: &PromotedView| {
        let left = match one.left_ms {
            0 => "–".to_owned(),
            left => seconds(left),
        };
        [
            one.service.to_string(),
            one.from.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string),
            print::or_dash(one.to.as_ref()),
            one.since.map_or_else(|| "–".to_owned(), print::ago),
            left,
            one.refusal.clone().unwrap_or_else(|| "may go".to_owned()),
        ]
    };
    let rows: Vec<[String; 6]> = view.services.iter().map(row).collect();
    print::table(["SERVICE", "SERVES", "WOULD SERVE", "SINCE", "LEFT", ""], &rows);
    if view.is_ready() {
        say!("\nNothing was changed. `lockstep promote --to {} --wait` does it.", view.to);
    }
}
