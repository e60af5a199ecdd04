//! Commands that want to sign in. That one was confirmed is used up in the transaction that keeps its token.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    tokens,
};
use async_trait::async_trait;
use lockstep_engine::port::{
    DeviceStore, StoreError,
    device::{DEVICES_MAX, Decision, DeviceRow},
    store::AuditEntry,
};
use lockstep_model::{Digest, Timestamp, UserName, view::TokenView};
use sqlx::{Row, sqlite::SqliteRow};

fn device(row: &SqliteRow) -> Result<DeviceRow, StoreError> {
    let account: Option<String> = row.get(6);
    let decision = match (row.get::<i64, _>(5), account) {
        (0, None) => Decision::Waits,
        (0, Some(user)) => Decision::Confirmed(parsed(&user, "user")?),
        _ => Decision::Denied,
    };
    Ok(DeviceRow {
        device: parsed(row.get(0), "digest")?,
        code: parsed(row.get(1), "digest")?,
        name: row.get(2),
        address: row.get(3),
        expires_at: Timestamp(row.get(4)),
        decision,
        network: row.get(7),
    })
}

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn device_add(&self, row: &DeviceRow, now: Timestamp) -> Result<bool, StoreError> {
        const OPERATION: &str = "a command that wants to sign in";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM device WHERE expires_at <= $1")
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        // What somebody has confirmed is let be: those are few.
        sqlx::query(
            "DELETE FROM device WHERE device IN (SELECT device FROM device WHERE account IS NULL AND network = \
             (SELECT network FROM device WHERE account IS NULL GROUP BY network \
             ORDER BY count(*) DESC, min(expires_at) LIMIT 1) ORDER BY expires_at LIMIT 1) \
             AND (SELECT count(*) FROM device) >= $1",
        )
        .bind(i64::try_from(DEVICES_MAX).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let added = sqlx::query(
            "INSERT INTO device (device, code, name, address, expires_at, network) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(row.device.as_str())
        .bind(row.code.as_str())
        .bind(&row.name)
        .bind(&row.address)
        .bind(row.expires_at.0)
        .bind(&row.network)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(added.rows_affected() == 1)
    }

    async fn device_by_code(&self, code: &Digest) -> Result<Option<DeviceRow>, StoreError> {
        let row = sqlx::query(
            "SELECT device, code, name, address, expires_at, is_denied, account, network FROM device WHERE code = $1",
        )
        .bind(code.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("reading a command that wants to sign in"))?;
        row.as_ref().map(device).transpose()
    }

    async fn device_fetch(&self, id: &Digest) -> Result<Option<DeviceRow>, StoreError> {
        let row = sqlx::query(
            "SELECT device, code, name, address, expires_at, is_denied, account, network FROM device WHERE device = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("reading a command that wants to sign in"))?;
        row.as_ref().map(device).transpose()
    }

    async fn device_decide(
        &self,
        code: &Digest,
        user: Option<&UserName>,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "confirming a sign-in";
        let mut transaction = self.begin(OPERATION).await?;
        let decided = sqlx::query(
            "UPDATE device SET account = $1, is_denied = $2 \
             WHERE code = $3 AND account IS NULL AND is_denied = 0 AND expires_at > $4",
        )
        .bind(user.map(UserName::as_str))
        .bind(i64::from(user.is_none()))
        .bind(code.as_str())
        .bind(audit.at.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if decided.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    async fn device_take(
        &self,
        device: &Digest,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "the token of a sign-in";
        let mut transaction = self.begin(OPERATION).await?;
        let taken = sqlx::query(
            "DELETE FROM device WHERE device = $1 AND account = $2 AND is_denied = 0 AND expires_at > $3",
        )
        .bind(device.as_str())
        .bind(token.user.as_str())
        .bind(audit.at.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
        tokens::put(&mut transaction, token, secret).await.map_err(failed(OPERATION))?;
        sqlx::query("UPDATE token SET by_login = 1 WHERE id = $1")
            .bind(&token.id)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    async fn device_has_token(&self, token: &str) -> Result<bool, StoreError> {
        let by_login: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM token WHERE id = $1 AND by_login = 1 AND revoked = 0")
                .bind(token)
                .fetch_optional(&self.readers)
                .await
                .map_err(failed("how a token was made"))?;
        Ok(by_login.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn digest(number: usize) -> Digest {
        format!("sha256:{number:064x}").parse().expect("a digest")
    }

    fn row(number: usize, network: &str, at: i64) -> DeviceRow {
        DeviceRow {
            device: digest(number),
            code: digest(1_000_000 + number),
            name: "laptop".to_owned(),
            address: network.to_owned(),
            network: network.to_owned(),
            expires_at: Timestamp(at + 600_000),
            decision: Decision::Waits,
        }
    }

    #[tokio::test]
    async fn whoever_begins_many_closes_nobody_else_out() {
        let folder = TempDir::new().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("a store");
        let add = async |number, network, at: usize| {
            let at = i64::try_from(at).expect("small");
            assert!(store.device_add(&row(number, network, at), Timestamp(at)).await.expect("stored"));
        };
        add(0, "192.0.2.1", 0).await;
        // From two networks, more than there is room for.
        for number in 1..=DEVICES_MAX + 50 {
            let network = if number % 3 == 0 { "198.51.100.7" } else { "203.0.113.9" };
            add(number, network, number).await;
        }
        let last = DEVICES_MAX + 51;
        add(last, "192.0.2.2", last).await;
        for kept in [0, last, DEVICES_MAX + 50] {
            assert!(store.device_fetch(&digest(kept)).await.expect("readable").is_some(), "{kept}");
        }
        let first = store.device_by_code(&digest(1_000_001)).await.expect("readable");
        assert!(first.is_none(), "the oldest of who has most made room");
        let fair = store.device_fetch(&digest(3)).await.expect("readable");
        assert!(fair.is_some(), "who has fewer keeps theirs");
    }
}
