//! What people are told of deliveries. Of each webhook so many are kept, each body once; what anybody could
//! have sent is counted in a row for each reason, so that nobody pushes out of the list what was real.

use crate::{
    SqliteStore,
    error::{failed, from_json, to_json},
};
use lockstep_engine::port::{StoreError, hooks::Delivery};
use lockstep_model::{
    Timestamp,
    hooks::{DELIVERIES_MAX, DeliveryPage, DeliveryView, HookAnswer, RefusedView, RefusedWhy},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

pub(super) const OPERATION: &str = "what was delivered to a webhook";
const MESSAGE_CHARS_MAX: usize = 500;

/// Forgets what was said of a body before.
pub(super) async fn forget(connection: &mut SqliteConnection, delivery: &Delivery) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM hook_delivered WHERE hook = $1 AND body = $2")
        .bind(&delivery.hook)
        .bind(delivery.body.as_str())
        .execute(connection)
        .await
        .map_err(failed(OPERATION))?;
    Ok(())
}

/// Lists a delivery, and forgets the oldest; false = its body is listed already, or the rule is gone.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    delivery: &Delivery,
    answer: &HookAnswer,
) -> Result<bool, StoreError> {
    // It may name what the sender wrote, and is printed on terminals.
    let message = answer.message.chars().filter(|one| !one.is_control());
    let message: String = message.take(MESSAGE_CHARS_MAX).collect();
    let added = sqlx::query(
        "INSERT INTO hook_delivered (hook, body, at, delivery, event, outcome, message, deployment) \
         SELECT name, $2, $3, $4, $5, $6, $7, $8 FROM hook WHERE name = $1 ON CONFLICT (hook, body) DO NOTHING",
    )
    .bind(&delivery.hook)
    .bind(delivery.body.as_str())
    .bind(delivery.at.0)
    .bind(&delivery.id)
    .bind(&delivery.event)
    .bind(&answer.outcome)
    .bind(message)
    .bind(answer.deployment)
    .execute(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    sqlx::query(
        "DELETE FROM hook_delivered WHERE hook = $1 AND id NOT IN \
         (SELECT id FROM hook_delivered WHERE hook = $1 ORDER BY id DESC LIMIT $2)",
    )
    .bind(&delivery.hook)
    .bind(DELIVERIES_MAX)
    .execute(connection)
    .await
    .map_err(failed(OPERATION))?;
    Ok(added.rows_affected() > 0)
}

/// Counts what was turned away.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    name: &str,
    why: RefusedWhy,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO hook_refused (hook, reason, count, last_at) SELECT name, $2, 1, $3 FROM hook WHERE name = $1 \
         ON CONFLICT (hook, reason) DO UPDATE SET count = count + 1, last_at = excluded.last_at",
    )
    .bind(name)
    .bind(to_json(&why, OPERATION)?)
    .bind(at.0)
    .execute(connection)
    .await
    .map_err(failed(OPERATION))?;
    Ok(())
}

pub(super) async fn page(store: &SqliteStore, name: &str, limit: u32) -> Result<DeliveryPage, StoreError> {
    let deliveries = sqlx::query(
        "SELECT at, delivery, event, outcome, message, deployment FROM hook_delivered WHERE hook = $1 \
         ORDER BY id DESC LIMIT $2",
    )
    .bind(name)
    .bind(limit)
    .fetch_all(&store.readers)
    .await
    .map_err(failed(OPERATION))?;
    let refused =
        sqlx::query("SELECT reason, count, last_at FROM hook_refused WHERE hook = $1 ORDER BY last_at DESC")
            .bind(name)
            .fetch_all(&store.readers)
            .await
            .map_err(failed(OPERATION))?;
    Ok(DeliveryPage {
        deliveries: deliveries.iter().map(delivery).collect(),
        refused: refused.iter().map(turned_away).collect::<Result<_, _>>()?,
    })
}

fn delivery(row: &SqliteRow) -> DeliveryView {
    DeliveryView {
        at: Timestamp(row.get(0)),
        delivery: row.get(1),
        event: row.get(2),
        outcome: row.get(3),
        message: row.get(4),
        deployment: row.get(5),
    }
}

fn turned_away(row: &SqliteRow) -> Result<RefusedView, StoreError> {
    Ok(RefusedView {
        reason: from_json(row.get(0), || OPERATION.to_owned())?,
        count: u64::try_from(row.get::<i64, _>(1)).unwrap_or_default(),
        last_at: Timestamp(row.get(2)),
    })
}
