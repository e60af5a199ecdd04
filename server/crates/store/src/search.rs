//! Finding deployments in the narrow table `search`.

use crate::{
    SqliteStore,
    deployments::{readable, summary},
    error::{failed, from_json, parsed, word},
};
use lockstep_engine::{
    port::StoreError,
    search::{Cursor, Ended, Key, Search, duration_ms, stable_ms, text, trigger},
};
use lockstep_model::{
    DeploymentId, ProjectName, ServiceName, Timestamp,
    access::Sight,
    api::{DeploymentPage, Neighbours, Sort},
    deployment::Phase,
    view::{DeploymentSummary, Facet, Facets, KnownVersion},
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// Versions are looked for among so many of the last deployments.
const VERSIONS_DEPTH: i64 = 2_000;
const VERSIONS_MAX: i64 = 2_000;
/// A facet shows the versions of so many that were found last, and at most so many of them.
const FOUND_VERSIONS_DEPTH: i64 = 500;
const FOUND_VERSIONS_MAX: i64 = 100;
const ENDED_MAX: i64 = 50_000;
const ROWS_MAX: usize = 1_000;
/// Of more different sets of services than this, those that occur most are counted.
const SETS_MAX: i64 = 20_000;

/// The value that a list is sorted by, as SQL.
const fn key(sort: Sort) -> &'static str {
    match sort {
        Sort::Newest | Sort::Oldest => "search.deployment",
        Sort::Longest => "coalesce(search.duration_ms, -1)",
        Sort::Shortest => "coalesce(search.duration_ms, 9223372036854775807)",
        Sort::Environment | Sort::EnvironmentDown => "search.environment",
        Sort::Phase | Sort::PhaseDown => "search.phase",
        Sort::By | Sort::ByDown => "search.account",
        Sort::Widest | Sort::Narrowest => "search.services",
    }
}

/// Whether the filters that facets show are applied, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Narrowed {
    Fully,
    /// Without those that are told apart by environment, phase and user.
    ForFacets,
    /// Without that of the service.
    ForServices,
    /// Without that of the version.
    ForVersions,
    /// Without that of what began it.
    ForTriggers,
}

/// Only what may be seen: in lists, beside them, and in what is counted.
fn seen(query: &mut QueryBuilder<Sqlite>, sight: &Sight) {
    if sight.is_everything() {
        return;
    }
    query.push(" AND (1 = 0");
    for scope in sight.scopes() {
        query.push(" OR (1 = 1");
        if let Some(project) = &scope.project {
            query.push(" AND search.project = ").push_bind(project.as_str().to_owned());
        }
        if let Some(environment) = &scope.environment {
            query.push(" AND search.environment = ").push_bind(environment.as_str().to_owned());
        }
        query.push(")");
    }
    query.push(")");
}

fn filter(query: &mut QueryBuilder<Sqlite>, search: &Search, narrowed: Narrowed) {
    query.push(" WHERE 1 = 1");
    seen(query, &search.sight);
    if let Some(project) = &search.project {
        query.push(" AND search.project = ").push_bind(project.as_str().to_owned());
    }
    if narrowed != Narrowed::ForFacets {
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
    if let Some(service) = search.service.as_ref().filter(|_| narrowed != Narrowed::ForServices) {
        query.push(" AND search.service_set IN (SELECT id FROM service_set WHERE instr(lower(' ' || services || ' '), ");
        query.push_bind(format!(" {} ", service.as_str().to_ascii_lowercase())).push(") > 0)");
    }
    if let Some(version) = search.version.as_ref().filter(|_| narrowed != Narrowed::ForVersions) {
        query.push(" AND search.deployment IN (SELECT deployment FROM deployed_service WHERE version = ");
        query.push_bind(version.as_str().to_owned());
        // Of the service that is wanted, it is that one's.
        if let Some(service) = &search.service {
            query.push(" AND service = ").push_bind(service.as_str().to_owned());
        }
        query.push(")");
    }
    if let Some(trigger) = search.trigger.as_ref().filter(|_| narrowed != Narrowed::ForTriggers) {
        query.push(" AND search.via = ").push_bind(trigger.clone());
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

/// Where a list is read from. Words and services are looked for in every row: by an index that gives the
/// order, and means to jump to each, that takes several times as long as reading the table as it lies.
fn from(query: &mut QueryBuilder<Sqlite>, search: &Search) {
    query.push(" FROM search");
    if looks_at_all(search) && !matches!(search.sort, Sort::Newest | Sort::Oldest) {
        query.push(" NOT INDEXED");
    }
}

/// Whether every row has to be looked at for what is wanted.
const fn looks_at_all(search: &Search) -> bool {
    !search.words.is_empty() || search.service.is_some() || search.trigger.is_some()
}

/// What comes after a place in the list's order; `back` turns the order around. The first half alone
/// is what an index is entered by.
fn after(query: &mut QueryBuilder<Sqlite>, search: &Search, place: &Cursor, back: bool) {
    let direction = search.direction();
    let sign = |is_down: bool| if is_down == back { ">" } else { "<" };
    let (of_key, of_id) = (sign(direction.is_descending), sign(direction.is_newest_first));
    let key = key(search.sort);
    query.push(format!(" AND {key} {of_key}= "));
    bind(query, &place.key);
    query.push(format!(" AND ({key} {of_key} "));
    bind(query, &place.key);
    query.push(format!(" OR search.deployment {of_id} ")).push_bind(place.id.0).push(")");
}

fn bind(query: &mut QueryBuilder<Sqlite>, key: &Key) {
    match key {
        Key::Number(number) => query.push_bind(*number),
        Key::Word(word) => query.push_bind(word.clone()),
    };
}

fn order(query: &mut QueryBuilder<Sqlite>, search: &Search, back: bool) {
    let direction = search.direction();
    let word = |is_down: bool| if is_down == back { "ASC" } else { "DESC" };
    let (of_key, of_id) = (word(direction.is_descending), word(direction.is_newest_first));
    query.push(format!(" ORDER BY {} {of_key}, search.deployment {of_id} LIMIT ", key(search.sort)));
}

/// Ordered by how often they occur.
fn facets(counts: BTreeMap<String, u64>) -> Vec<Facet> {
    let mut facets: Vec<Facet> = counts.into_iter().map(|(value, count)| Facet { value, count }).collect();
    facets.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    facets
}

impl SqliteStore {
    pub(crate) async fn search_page(&self, search: &Search) -> Result<DeploymentPage, StoreError> {
        const OPERATION: &str = "listing deployments";
        let limit = search.limit as usize;
        // Only what is shown is read whole: rows that are sorted stay narrow.
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT deployment.id, deployment.summary FROM (SELECT search.deployment AS id",
        );
        from(&mut query, search);
        filter(&mut query, search, Narrowed::Fully);
        if let Some(place) = &search.after {
            after(&mut query, search, place, false);
        }
        order(&mut query, search, false);
        query.push_bind(i64::from(search.limit) + 1);
        query.push(") AS found JOIN deployment ON deployment.id = found.id");
        let page = async { query.build().fetch_all(&self.readers).await.map_err(failed(OPERATION)) };
        let count = async { if search.count { self.search_count(search).await.map(Some) } else { Ok(None) } };
        let further =
            async { if search.count { self.search_further(search).await } else { Ok(Facets::default()) } };
        let (rows, counted, further) = tokio::try_join!(page, count, further)?;
        let more = rows.len() > limit;
        let mut deployments = readable(rows, summary);
        // A join keeps no order.
        deployments.sort_by(|one, other| search.compare(&search.place(one), &search.place(other)));
        deployments.truncate(limit);
        let last = deployments.last().filter(|_| more);
        let next = last.map(|row| search.place(row).to_string());
        let (total, facets) = counted
            .map(|(total, facets)| {
                (
                    total,
                    Facets {
                        environments: facets.environments,
                        phases: facets.phases,
                        users: facets.users,
                        ..further
                    },
                )
            })
            .unzip();
        Ok(DeploymentPage { deployments, next, total, facets })
    }

    /// Counted in one pass: what is found, and what would be without the filters that facets show.
    async fn search_count(&self, search: &Search) -> Result<(u64, Facets), StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT search.environment, search.phase, search.account, count(*) FROM search",
        );
        // Groups would come ready from their index, but every row is looked at for these, and by an
        // index that means to jump to each: four times slower than reading the table as it lies.
        let looks_at_all = looks_at_all(search);
        let is_timed = search.since.is_some() || search.until.is_some();
        if looks_at_all && !is_timed {
            query.push(" NOT INDEXED");
        }
        filter(&mut query, search, Narrowed::ForFacets);
        // A stretch of time is found by its own index, not by that of the groups.
        query.push(if is_timed { " GROUP BY +search.environment, 2, 3" } else { " GROUP BY 1, 2, 3" });
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
        let [environments, phases, users] = counts.map(facets);
        Ok((total, Facets { environments, phases, users, ..Facets::default() }))
    }

    /// Facets that are counted each by itself.
    async fn search_further(&self, search: &Search) -> Result<Facets, StoreError> {
        let (services, versions, triggers) = tokio::try_join!(
            self.search_services(search),
            self.search_found_versions(search),
            self.search_triggers(search)
        )?;
        Ok(Facets { services, versions, triggers, ..Facets::default() })
    }

    /// Versions among the last that are found, and would be without the filter by version.
    async fn search_found_versions(&self, search: &Search) -> Result<Vec<Facet>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT one.version, count(DISTINCT one.deployment) FROM (SELECT search.deployment AS id FROM search",
        );
        filter(&mut query, search, Narrowed::ForVersions);
        query.push(" ORDER BY search.deployment DESC LIMIT ").push_bind(FOUND_VERSIONS_DEPTH);
        query.push(") AS found JOIN deployed_service AS one ON one.deployment = found.id WHERE one.version IS NOT NULL");
        if let Some(service) = &search.service {
            query.push(" AND one.service = ").push_bind(service.as_str().to_owned());
        }
        query.push(" GROUP BY 1 ORDER BY max(one.deployment) DESC LIMIT ").push_bind(FOUND_VERSIONS_MAX);
        self.counted(query, "counting versions").await
    }

    /// What began what is found, and would without that filter.
    async fn search_triggers(&self, search: &Search) -> Result<Vec<Facet>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT search.via, count(*) FROM search");
        let is_timed = search.since.is_some() || search.until.is_some();
        query.push(match (is_timed, looks_at_all(search)) {
            (true, _) => "",
            (false, true) => " NOT INDEXED",
            // It has all that is asked for, ready in groups.
            (false, false) => " INDEXED BY search_by_via",
        });
        filter(&mut query, search, Narrowed::ForTriggers);
        query.push(if is_timed { " GROUP BY +search.via" } else { " GROUP BY search.via" });
        query.push(" ORDER BY 2 DESC, 1 LIMIT ").push_bind(FOUND_VERSIONS_MAX);
        self.counted(query, "counting triggers").await
    }

    /// Values and how often they occur, in the order of the query.
    async fn counted(
        &self,
        mut query: QueryBuilder<Sqlite>,
        operation: &'static str,
    ) -> Result<Vec<Facet>, StoreError> {
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed(operation))?;
        let facet = |row: sqlx::sqlite::SqliteRow| Facet {
            value: row.get(0),
            count: u64::try_from(row.get::<i64, _>(1)).unwrap_or(0),
        };
        Ok(rows.into_iter().map(facet).filter(|facet| !facet.value.is_empty()).collect())
    }

    /// Which services are changed by what is found, and would be without the filter by service.
    async fn search_services(&self, search: &Search) -> Result<Vec<Facet>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT service_set.services, found.many FROM (SELECT search.service_set AS id, count(*) AS many FROM search",
        );
        let is_timed = search.since.is_some() || search.until.is_some();
        query.push(match (is_timed, search.words.is_empty()) {
            (true, _) => "",
            (false, false) => " NOT INDEXED",
            // It has all that is asked for, ready in groups.
            (false, true) => " INDEXED BY search_by_set",
        });
        filter(&mut query, search, Narrowed::ForServices);
        query.push(if is_timed { " GROUP BY +search.service_set" } else { " GROUP BY search.service_set" });
        query.push(" ORDER BY 2 DESC LIMIT ").push_bind(SETS_MAX);
        query.push(") AS found JOIN service_set ON service_set.id = found.id");
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed("counting services"))?;
        let mut counts = BTreeMap::<String, u64>::new();
        for row in rows {
            let (services, count) = (row.get::<String, _>(0), row.get::<i64, _>(1));
            for service in services.split_whitespace() {
                *counts.entry(service.to_owned()).or_default() += u64::try_from(count).unwrap_or(0);
            }
        }
        Ok(facets(counts))
    }

    pub(crate) async fn search_neighbours(
        &self,
        search: &Search,
        of: &DeploymentSummary,
    ) -> Result<Neighbours, StoreError> {
        let place = search.place(of);
        let beside = async |back: bool| {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT search.deployment");
            from(&mut query, search);
            filter(&mut query, search, Narrowed::Fully);
            after(&mut query, search, &place, back);
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

    pub(crate) async fn search_ended(
        &self,
        since: Timestamp,
        sight: &Sight,
    ) -> Result<Vec<Ended>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT phase, duration_ms, stable_ms FROM search WHERE duration_ms IS NOT NULL AND requested_at >= ",
        );
        query.push_bind(since.0);
        seen(&mut query, sight);
        query.push(" LIMIT ").push_bind(ENDED_MAX);
        let rows =
            query.build().fetch_all(&self.readers).await.map_err(failed("reading how deployments ended"))?;
        Ok(readable(rows, |row| Ok((phase(row.get(0))?, row.get(1), row.get(2)))))
    }

    pub(crate) async fn search_versions(
        &self,
        project: &ProjectName,
        sight: &Sight,
    ) -> Result<Vec<(ServiceName, KnownVersion)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT deployed_service.service, deployed_service.version, max(deployed_service.deployment) AS last, \
             search.environment, search.phase \
             FROM deployed_service JOIN search ON search.deployment = deployed_service.deployment \
             WHERE deployed_service.version IS NOT NULL AND deployed_service.project = ",
        );
        query.push_bind(project.as_str().to_owned());
        query.push(" AND deployed_service.deployment > (SELECT coalesce(max(id), 0) - ");
        query.push_bind(VERSIONS_DEPTH).push(" FROM deployment)");
        seen(&mut query, sight);
        query.push(" GROUP BY 1, 2 ORDER BY last DESC LIMIT ").push_bind(VERSIONS_MAX);
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed("listing versions"))?;
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

/// The services of a deployment as one value, that facets are counted by.
fn service_set(row: &DeploymentSummary) -> String {
    let mut names: Vec<&str> = row.services.iter().map(|change| change.service.as_str()).collect();
    names.sort_by_cached_key(|name| name.to_ascii_lowercase());
    names.join(" ")
}

/// Keeps the row that a deployment is found by in step with it.
/// As [`write`], of one whose row cannot be read.
pub(crate) async fn ended(connection: &mut SqliteConnection, id: DeploymentId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE search SET phase = $1 WHERE deployment = $2")
        .bind(word(&Phase::Failed))
        .bind(id.0)
        .execute(connection)
        .await?;
    Ok(())
}

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
    let set = service_set(row);
    if is_new {
        sqlx::query("INSERT INTO service_set (services) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(&set)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "INSERT INTO search (deployment, project, environment, phase, account, requested_at, duration_ms, stable_ms, words, \
         services, service_set, via) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce((SELECT id FROM service_set WHERE services = $11), 0), $12) \
         ON CONFLICT (deployment) DO UPDATE SET phase = excluded.phase, \
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
    .bind(i64::try_from(row.services.len()).unwrap_or(i64::MAX))
    .bind(set)
    .bind(trigger(row))
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
