//! Finding deployments: what is asked becomes a [`Search`] here once, so that every store finds the
//! same.

use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, ServiceName, Timestamp, UserName, Version,
    access::Sight,
    api::{ListDeployments, PAGE_ROWS_MAX, Sort},
    deployment::Phase,
    live::Figures,
    view::DeploymentSummary,
};
use std::cmp::Ordering;

/// The most words of a search.
const WORDS_MAX: usize = 16;
/// What is kept of a deployment's text; services beyond it are still found by `service:NAME`.
const TEXT_CHARS_MAX: usize = 4_000;
/// The longest value of a cursor: that of a name.
const KEY_CHARS_MAX: usize = 64;

/// A value that a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A number.
    Number(i64),
    /// A word in lower case.
    Word(String),
}

/// Where a page ends: the value that is sorted by, and the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The value.
    pub key: Key,
    /// The deployment; it decides among equal values.
    pub id: DeploymentId,
}

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// Larger values come first.
    pub is_descending: bool,
    /// Among equal values the newest come first.
    pub is_newest_first: bool,
}

/// Which deployments are wanted, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Only what may be seen.
    pub sight: Sight,
    /// Only of this project.
    pub project: Option<ProjectName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
    /// Only in this phase.
    pub phase: Option<Phase>,
    /// Only those that change this service.
    pub service: Option<ServiceName>,
    /// Only of this user.
    pub by: Option<UserName>,
    /// Only those that deploy this version; of that service, if one is wanted.
    pub version: Option<Version>,
    /// Only what was begun so: the first word of how, in lower case.
    pub trigger: Option<String>,
    /// Parts that the text must hold, in lower case.
    pub words: Vec<String>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Up to this time.
    pub until: Option<Timestamp>,
    /// In which order.
    pub sort: Sort,
    /// After this one.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
    /// Whether to count.
    pub count: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            sight: Sight::everything(),
            project: None,
            environment: None,
            phase: None,
            service: None,
            by: None,
            version: None,
            trigger: None,
            words: Vec::new(),
            since: None,
            until: None,
            sort: Sort::Newest,
            after: None,
            limit: PAGE_ROWS_MAX,
            count: false,
        }
    }
}

impl Search {
    /// What a request asks for, of what whoever asks may see; the error says what is wrong with it.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn of(request: &ListDeployments, sight: Sight) -> Result<Self, String> {
        if !(1..=PAGE_ROWS_MAX).contains(&request.limit) {
            return Err(format!("'limit' is {}; use 1 to {PAGE_ROWS_MAX}", request.limit));
        }
        let mut search = Self {
            sight,
            project: request.project.clone(),
            environment: request.environment.clone(),
            phase: request.phase,
            service: request.service.clone(),
            by: request.by.clone(),
            version: request.version.clone(),
            trigger: request.trigger.as_deref().map(str::to_lowercase),
            words: Vec::new(),
            since: request.since,
            until: request.until,
            sort: request.sort,
            after: request.cursor.as_deref().map(|text| Cursor::read(text, request.sort)).transpose()?,
            limit: request.limit,
            count: request.count,
        };
        for word in request.q.as_deref().unwrap_or_default().split_whitespace() {
            search.word(word)?;
        }
        Ok(search)
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let wrong = |error: lockstep_model::scalar::InvalidText| format!("'{word}': {error}");
        match word.split_once(':') {
            Some(("status" | "phase", value)) => {
                let found = Phase::ALL.into_iter().find(|phase| phase.key() == value.to_lowercase());
                self.phase = Some(found.ok_or_else(|| {
                    let all = Phase::ALL.map(Phase::key);
                    format!("'{word}': there is no such status; use one of {}", all.join(", "))
                })?);
            }
            Some(("env" | "environment", value)) => self.environment = Some(value.parse().map_err(wrong)?),
            Some(("project", value)) => self.project = Some(value.parse().map_err(wrong)?),
            Some(("service", value)) => self.service = Some(value.parse().map_err(wrong)?),
            Some(("by" | "user", value)) => self.by = Some(value.parse().map_err(wrong)?),
            Some(("version", value)) => self.version = Some(value.parse().map_err(wrong)?),
            Some(("trigger" | "via", value)) => self.trigger = Some(value.to_lowercase()),
            Some(_) | None => self.words.push(word.to_lowercase()),
        }
        if self.words.len() > WORDS_MAX {
            return Err(format!("a search has at most {WORDS_MAX} words"));
        }
        Ok(())
    }

    /// Whether a deployment is one of these, wherever the page begins.
    pub fn finds(&self, row: &DeploymentSummary) -> bool {
        let text = text(row);
        self.sight.sees(&row.project, &row.environment)
            && self.project.as_ref().is_none_or(|project| *project == row.project)
            && self.environment.as_ref().is_none_or(|name| *name == row.environment)
            && self.phase.is_none_or(|phase| phase == row.phase)
            && self.by.as_ref().is_none_or(|by| *by == row.by.user)
            && self.service.as_ref().is_none_or(|name| row.services.iter().any(|one| one.service == *name))
            && self.version.as_ref().is_none_or(|version| {
                row.services.iter().any(|one| {
                    one.to.as_ref() == Some(version)
                        && self.service.as_ref().is_none_or(|name| one.service == *name)
                })
            })
            && self.trigger.as_ref().is_none_or(|wanted| *wanted == trigger(row))
            && self.since.is_none_or(|since| row.clocks.requested_at >= since)
            && self.until.is_none_or(|until| row.clocks.requested_at < until)
            && self.words.iter().all(|word| text.contains(word.as_str()))
    }

    /// What a deployment is sorted by.
    pub fn key(&self, row: &DeploymentSummary) -> Key {
        let word = |text: &str| Key::Word(text.to_ascii_lowercase());
        Key::Number(match self.sort {
            Sort::Newest | Sort::Oldest => row.id.0,
            Sort::Longest => duration_ms(row).unwrap_or(-1),
            Sort::Shortest => duration_ms(row).unwrap_or(i64::MAX),
            Sort::Widest | Sort::Narrowest => i64::try_from(row.services.len()).unwrap_or(i64::MAX),
            Sort::Environment | Sort::EnvironmentDown => return word(row.environment.as_str()),
            Sort::Phase | Sort::PhaseDown => return word(row.phase.key()),
            Sort::By | Sort::ByDown => return word(row.by.user.as_str()),
        })
    }

    /// The place of a deployment in this list.
    pub fn place(&self, row: &DeploymentSummary) -> Cursor {
        Cursor { key: self.key(row), id: row.id }
    }

    /// Which way the list goes.
    pub const fn direction(&self) -> Direction {
        let (is_descending, is_newest_first) = match self.sort {
            Sort::Newest | Sort::Longest | Sort::Widest => (true, true),
            Sort::Oldest | Sort::Shortest | Sort::Narrowest => (false, false),
            Sort::Environment | Sort::Phase | Sort::By => (false, true),
            Sort::EnvironmentDown | Sort::PhaseDown | Sort::ByDown => (true, true),
        };
        Direction { is_descending, is_newest_first }
    }

    /// Which of two places comes first in this list.
    pub fn compare(&self, one: &Cursor, other: &Cursor) -> Ordering {
        let turn = |order: Ordering, is_turned: bool| if is_turned { order.reverse() } else { order };
        let direction = self.direction();
        turn(one.key.cmp(&other.key), direction.is_descending)
            .then_with(|| turn(one.id.cmp(&other.id), direction.is_newest_first))
    }
}

impl Cursor {
    fn read(text: &str, sort: Sort) -> Result<Self, String> {
        let read = || {
            let (key, id) = text.rsplit_once('.')?;
            let key = match sort {
                Sort::Newest
                | Sort::Oldest
                | Sort::Longest
                | Sort::Shortest
                | Sort::Widest
                | Sort::Narrowest => Key::Number(key.parse().ok()?),
                Sort::Environment
                | Sort::EnvironmentDown
                | Sort::Phase
                | Sort::PhaseDown
                | Sort::By
                | Sort::ByDown => Key::Word(Some(key).filter(|key| key.len() <= KEY_CHARS_MAX)?.to_owned()),
            };
            Some(Self { key, id: id.parse().ok()? })
        };
        read().ok_or_else(|| {
            "'cursor' is not one of ours for this order; take it from the last page, or leave it out"
                .to_owned()
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Key::Number(key) => write!(f, "{key}.{}", self.id),
            Key::Word(key) => write!(f, "{key}.{}", self.id),
        }
    }
}

/// From the wish to the end; none = it runs still.
pub fn duration_ms(row: &DeploymentSummary) -> Option<i64> {
    row.clocks.finished_at.map(|end| {
        i64::try_from(end.since_ms(row.clocks.started_at.unwrap_or(row.clocks.requested_at)))
            .unwrap_or(i64::MAX)
    })
}

/// From the noticed failure to everything back; none = nothing was taken back.
pub fn stable_ms(row: &DeploymentSummary) -> Option<i64> {
    let (detected, stable) = (row.clocks.detected_at?, row.clocks.stable_at?);
    i64::try_from(stable.since_ms(detected)).ok()
}

/// What began a deployment, in a word: `browser`, `token`, `local`, `system`.
pub fn trigger(row: &DeploymentSummary) -> String {
    row.by.via.split(' ').next().unwrap_or_default().to_lowercase()
}

/// What words are looked for in: everything that people would type.
pub fn text(row: &DeploymentSummary) -> String {
    let mut text = format!("{} {} {} {}", row.project, row.environment, row.by.user, row.by.via);
    let mut add = |more: &str| {
        if text.len() < TEXT_CHARS_MAX {
            text.push(' ');
            text.push_str(more);
        }
    };
    let source = &row.source;
    for more in [&row.reason, &source.commit, &source.author, &source.ci_run].into_iter().flatten() {
        add(more);
    }
    for (name, value) in &source.labels {
        add(&format!("{name}={value}"));
    }
    if let Some(failure) = &row.failure {
        add(&failure.reason);
    }
    for change in &row.services {
        add(&format!("{}@{}", change.service, change.to.as_ref().map_or("-", |version| version.as_str())));
    }
    text.push_str(&format!(" #{}", row.id));
    text.chars().take(TEXT_CHARS_MAX).collect::<String>().to_lowercase()
}

/// How deployments ended: phase, duration, time until everything was back.
pub type Ended = (Phase, Option<i64>, Option<i64>);

/// Figures over the deployments of some time.
pub fn figures(rows: &[Ended]) -> Figures {
    let with = |wanted: Phase| rows.iter().filter(|(phase, ..)| *phase == wanted).count();
    let ranked = |mut values: Vec<i64>, percent: usize| {
        values.sort_unstable();
        let rank = (values.len() * percent).div_ceil(100);
        let value = rank.checked_sub(1).and_then(|place| values.get(place).copied());
        value.and_then(|value| u64::try_from(value).ok())
    };
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let succeeded = rows.iter().filter(|(phase, ..)| *phase == Phase::Succeeded);
    Figures {
        ended_30d: number(rows.iter().filter(|(phase, ..)| phase.is_final()).count()),
        succeeded_30d: number(with(Phase::Succeeded)),
        taken_back_30d: number(with(Phase::RolledBack)),
        stable_p95_ms: ranked(rows.iter().filter_map(|(.., stable)| *stable).collect(), 95),
        duration_p50_ms: ranked(succeeded.filter_map(|(_, duration, _)| *duration).collect(), 50),
        agents: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(q: &str) -> Result<Search, String> {
        let request = ListDeployments { q: Some(q.to_owned()), ..ListDeployments::default() };
        Search::of(&request, Sight::everything())
    }

    #[test]
    fn words_with_a_field_filter_and_others_are_looked_for() {
        let search =
            asked("status:rolled_back env:production Pool service:backend by:anna 7f3c").expect("valid");
        assert_eq!(search.phase, Some(Phase::RolledBack));
        assert_eq!(search.environment.map(|name| name.to_string()).as_deref(), Some("production"));
        assert_eq!(search.service.map(|name| name.to_string()).as_deref(), Some("backend"));
        assert_eq!(search.words, ["pool", "7f3c"]);
        let search = asked("version:1.2.0 trigger:Token").expect("valid");
        assert_eq!(search.version.map(|version| version.to_string()).as_deref(), Some("1.2.0"));
        assert_eq!(search.trigger.as_deref(), Some("token"));
        // A colon alone makes no field.
        assert_eq!(asked("http://x").expect("valid").words, ["http://x"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        assert!(asked("status:fine").expect_err("no status").contains("needs_operator"));
        assert!(asked("env:a/b").expect_err("no name").contains("environment name"));
        assert!(asked(&"a ".repeat(17)).expect_err("too many").contains("16"));
        let cursor = Some("abc".to_owned());
        let request = ListDeployments { cursor, ..ListDeployments::default() };
        assert!(Search::of(&request, Sight::everything()).is_err());
        let cursor = Some("production.7".to_owned());
        let of = |sort| {
            let request = ListDeployments { cursor: cursor.clone(), sort, ..ListDeployments::default() };
            Search::of(&request, Sight::everything())
        };
        assert!(of(Sort::Newest).is_err(), "a cursor of another order");
        let after = of(Sort::EnvironmentDown).expect("its own").after.expect("a place");
        assert_eq!(after.to_string(), "production.7");
    }

    #[test]
    fn figures_are_ranks_not_means() {
        let rows = [
            (Phase::Succeeded, Some(10), None),
            (Phase::Succeeded, Some(30), None),
            (Phase::Succeeded, Some(1_000), None),
            (Phase::RolledBack, Some(5), Some(40)),
            (Phase::Running, None, None),
        ];
        let figures = figures(&rows);
        assert_eq!((figures.ended_30d, figures.succeeded_30d, figures.taken_back_30d), (4, 3, 1));
        assert_eq!((figures.duration_p50_ms, figures.stable_p95_ms), (Some(30), Some(40)));
        assert_eq!(super::figures(&[]), Figures::default());
    }
}
