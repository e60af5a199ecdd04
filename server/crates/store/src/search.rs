//! Finding deployments in the narrow table `search`.

use crate::{
    SqliteStore,
    deployments::{readable, summary},
    error::{failed, from_json, parsed, word},
};
use lockstep_engine::{
    port::StoreError,
    search::{Cursor, Ended, Search, duration_ms, stable_ms, text},
};
use lockstep_model::{
    DeploymentId, ProjectName, ServiceName, Timestamp,
    api::{DeploymentPage, Neighbours, Sort},
    deployment::Phase,
    view::{DeploymentSummary, Facet, Facets, KnownVersion},
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// Versions are looked for among so many of the last deployments.
const VERSIONS_DEPTH: i64 = 2_000;
const VERSIONS_MAX: i64 = 2_000;
const ENDED_MAX: i64 = 50_000;
const ROWS_MAX: usize = 1_000;

/// The value that a list is sorted by, as SQL.
const fn key(sort: Sort) -> &'static str {
    match sort {
        Sort::Newest | Sort::Oldest => "search.deployment",
        Sort::Longest => "coalesce(search.duration_ms, -1)",
        Sort::Shortest => "coalesce(search.duration_ms, 9223372036854775807)",
    }
}

/// Whether the filters that facets show are applied, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Narrowed {
    Fully,
    ForFacets,
}

fn filter(query: &mut QueryBuilder<Sqlite>, search: &Search, narrowed: Narrowed) {
    query.push(" WHERE 1 = 1");
    if let Some(project) = &search.project {
        query.push(" AND search.project = ").push_bind(project.as_str().to_owned());
    }
    if narrowed == Narrowed::Fully {
        if let Some(environment) = &search.environment {
            query.push(" AND search.environment = ").push_bind(environment.as_str().to_owned());
        }
        if let Some(phase) = &search.phase {
            query.push(" AND search.phase = ").push_bind(word(phase));
        }
        if let Some(by) = &search.by {
            query.push(" AND search.account = ").push_bind(by.as_str().to_owned());
        }
    }
    if let Some(service) = &search.service {
        query.push(
            " AND EXISTS (SELECT 1 FROM deployed_service WHERE deployed_service.project = search.project \
             AND deployed_service.deployment = search.deployment AND deployed_service.service = ",
        );
        query.push_bind(service.as_str().to_owned()).push(")");
    }
    if let Some(since) = search.since {
        query.push(" AND search.requested_at >= ").push_bind(since.0);
    }
    if let Some(until) = search.until {
        query.push(" AND search.requested_at < ").push_bind(until.0);
    }
    for part in &search.words {
        // instr() takes every character as it is; LIKE has wildcards.
        query.push(" AND instr(search.words, ").push_bind(part.clone()).push(") > 0");
    }
}

/// What comes after a place in the list's order; `back` turns the order around.
fn after(query: &mut QueryBuilder<Sqlite>, search: &Search, place: Cursor, back: bool) {
    let sign = if search.is_descending() == back { ">" } else { "<" };
    let key = key(search.sort);
    query.push(format!(" AND ({key} {sign} ")).push_bind(place.key);
    query.push(format!(" OR ({key} = ")).push_bind(place.key);
    query.push(format!(" AND search.deployment {sign} ")).push_bind(place.id.0).push("))");
}

fn order(query: &mut QueryBuilder<Sqlite>, search: &Search, back: bool) {
    let direction = if search.is_descending() == back { "ASC" } else { "DESC" };
    query.push(format!(" ORDER BY {} {direction}, search.deployment {direction} LIMIT ", key(search.sort)));
}

impl SqliteStore {
    pub(crate) async fn search_page(&self, search: &Search) -> Result<DeploymentPage, StoreError> {
        const OPERATION: &str = "listing deployments";
        let limit = search.limit as usize;
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT deployment.id, deployment.summary FROM search JOIN deployment ON deployment.id = search.deployment",
        );
        filter(&mut query, search, Narrowed::Fully);
        if let Some(place) = search.after {
            after(&mut query, search, place, false);
        }
        order(&mut query, search, false);
        query.push_bind(i64::from(search.limit) + 1);
        let page = async { query.build().fetch_all(&self.readers).await.map_err(failed(OPERATION)) };
        let count = async { if search.count { self.search_count(search).await.map(Some) } else { Ok(None) } };
        let (mut rows, counted) = tokio::try_join!(page, count)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let deployments = readable(rows, summary);
        let last = deployments.last().filter(|_| more);
        let next = last.map(|row| Cursor { key: search.key(row), id: row.id }.to_string());
        let (total, facets) = counted.unzip();
        Ok(DeploymentPage { deployments, next, total, facets })
    }

    /// Counted in one pass: what is found, and what would be without the filters that facets show.
    async fn search_count(&self, search: &Search) -> Result<(u64, Facets), StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT search.environment, search.phase, search.account, count(*) FROM search",
        );
        // Groups would come ready from their index, but every row is looked at for these, and by an
        // index that means to jump to each: four times slower than reading the table as it lies.
        let looks_at_all = !search.words.is_empty() || search.service.is_some();
        if looks_at_all && search.since.is_none() && search.until.is_none() {
            query.push(" NOT INDEXED");
        }
        filter(&mut query, search, Narrowed::ForFacets);
        query.push(" GROUP BY 1, 2, 3");
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed("counting deployments"))?;
        let mut total = 0;
        let mut counts: [BTreeMap<String, u64>; 3] = Default::default();
        let wanted = [
            search.environment.as_ref().map(|name| name.as_str().to_owned()),
            search.phase.as_ref().map(word),
            search.by.as_ref().map(|name| name.as_str().to_owned()),
        ];
        for row in rows {
            let values: [String; 3] = [row.get(0), row.get(1), row.get(2)];
            let count = u64::try_from(row.get::<i64, _>(3)).unwrap_or(0);
            let fits: [bool; 3] = std::array::from_fn(|field| {
                wanted[field].as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&values[field]))
            });
            if fits == [true; 3] {
                total += count;
            }
            for (field, value) in values.into_iter().enumerate() {
                // A facet shows what choosing another value of it would find.
                let others = (0..3).all(|other| other == field || fits[other]);
                if others {
                    *counts[field].entry(value).or_default() += count;
                }
            }
        }
        let [environments, phases, users] = counts.map(|counts| {
            let mut facets: Vec<Facet> =
                counts.into_iter().map(|(value, count)| Facet { value, count }).collect();
            facets.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            facets
        });
        Ok((total, Facets { environments, phases, users }))
    }

    pub(crate) async fn search_neighbours(
        &self,
        search: &Search,
        of: &DeploymentSummary,
    ) -> Result<Neighbours, StoreError> {
        let place = Cursor { key: search.key(of), id: of.id };
        let beside = async |back: bool| {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT search.deployment FROM search");
            filter(&mut query, search, Narrowed::Fully);
            after(&mut query, search, place, back);
            order(&mut query, search, back);
            query.push("1");
            let found: Option<i64> = query
                .build_query_scalar()
                .fetch_optional(&self.readers)
                .await
                .map_err(failed("looking beside a deployment"))?;
            Ok(found.map(DeploymentId))
        };
        Ok(Neighbours { previous: beside(true).await?, next: beside(false).await? })
    }

    pub(crate) async fn search_ended(&self, since: Timestamp) -> Result<Vec<Ended>, StoreError> {
        let rows = sqlx::query(
            "SELECT phase, duration_ms, stable_ms FROM search WHERE requested_at >= $1 AND duration_ms IS NOT NULL LIMIT $2",
        )
        .bind(since.0)
        .bind(ENDED_MAX)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading how deployments ended"))?;
        Ok(readable(rows, |row| Ok((phase(row.get(0))?, row.get(1), row.get(2)))))
    }

    pub(crate) async fn search_versions(
        &self,
        project: &ProjectName,
    ) -> Result<Vec<(ServiceName, KnownVersion)>, StoreError> {
        let rows = sqlx::query(
            "SELECT deployed_service.service, deployed_service.version, max(deployed_service.deployment) AS last, \
             search.environment, search.phase \
             FROM deployed_service JOIN search ON search.deployment = deployed_service.deployment \
             WHERE deployed_service.project = $1 AND deployed_service.version IS NOT NULL \
             AND deployed_service.deployment > (SELECT coalesce(max(id), 0) - $2 FROM deployment) \
             GROUP BY 1, 2 ORDER BY last DESC LIMIT $3",
        )
        .bind(project.as_str())
        .bind(VERSIONS_DEPTH)
        .bind(VERSIONS_MAX)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing versions"))?;
        Ok(readable(rows, |row| {
            let known = KnownVersion {
                version: parsed(row.get(1), "version")?,
                deployment: DeploymentId(row.get(2)),
                environment: parsed(row.get(3), "environment")?,
                phase: phase(row.get(4))?,
            };
            Ok((parsed(row.get(0), "service")?, known))
        }))
    }
}

fn phase(word: &str) -> Result<Phase, StoreError> {
    from_json(&format!("\"{word}\""), || "a phase".to_owned())
}

/// Keeps the row that a deployment is found by in step with it.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    row: &DeploymentSummary,
    is_new: bool,
) -> Result<(), sqlx::Error> {
    if !is_new && row.phase == Phase::Running {
        // The words of one that goes on as it should are the same at every commit.
        sqlx::query("UPDATE search SET phase = $1 WHERE deployment = $2 AND phase <> $1")
            .bind(word(&row.phase))
            .bind(id.0)
            .execute(connection)
            .await?;
        return Ok(());
    }
    let found_by = DeploymentSummary { id, ..row.clone() };
    sqlx::query(
        "INSERT INTO search (deployment, project, environment, phase, account, requested_at, duration_ms, stable_ms, words) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (deployment) DO UPDATE SET phase = excluded.phase, \
         duration_ms = excluded.duration_ms, stable_ms = excluded.stable_ms, words = excluded.words",
    )
    .bind(id.0)
    .bind(row.project.as_str())
    .bind(row.environment.as_str())
    .bind(word(&row.phase))
    .bind(row.by.user.as_str())
    .bind(row.clocks.requested_at.0)
    .bind(duration_ms(row))
    .bind(stable_ms(row))
    .bind(text(&found_by))
    .execute(&mut *connection)
    .await?;
    if !is_new {
        return Ok(());
    }
    for chunk in row.services.chunks(ROWS_MAX) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO deployed_service (project, service, deployment, version) ",
        );
        query.push_values(chunk, |mut values, change| {
            values
                .push_bind(row.project.as_str())
                .push_bind(change.service.as_str())
                .push_bind(id.0)
                .push_bind(change.to.as_ref().map(|version| version.as_str()));
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
