//! Whose work a deployment is. What a person asks for is theirs. What a rule of trust or a webhook asks for is
//! done in the name of whoever made the rule, and is the work of those whom it names: whoever pushed or began
//! the job, which GitHub vouches for, and who wrote the commit, which is only a text. A text bars more people
//! from approving and never fewer.

use super::{Services, by, store};
use app::{AppError, backend::Caller};
use lockstep_coordinator::By;
use lockstep_model::{approval::Author, deployment::Source, view::UserView};

const NAMED_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 200;

impl Services {
    /// Who asks for a release, and whose work it is.
    pub(super) async fn by_author(&self, caller: &Caller, source: &Source) -> Result<By, AppError> {
        let mut by = by(caller);
        let Some(rule) = &caller.rule else { return Ok(by) };
        let mut named: Vec<String> = Vec::new();
        for one in rule.named.iter().chain(&source.author) {
            let one: String = one.trim().chars().take(NAME_CHARS_MAX).collect();
            if !one.is_empty()
                && named.len() < NAMED_MAX
                && !named.iter().any(|known| known.eq_ignore_ascii_case(&one))
            {
                named.push(one);
            }
        }
        let users = self.identities.store().user_list().await.map_err(store)?;
        let is_named = |user: &&UserView| named.iter().any(|one| is(user, one));
        let accounts = users.iter().filter(is_named).map(|user| user.name.clone()).collect();
        by.author = Some(Author { rule: rule.name.clone(), named, accounts });
        Ok(by)
    }
}

/// Whether a text names somebody: by the login that an admin gave, else by the name of the account. One that
/// has another login is somebody else of the same name.
fn is(user: &UserView, named: &str) -> bool {
    let login = user.github.as_deref().unwrap_or(user.name.as_str());
    // `Mona Lisa <mona@example.com>`, as git writes it.
    let (name, address) = named.split_once('<').unwrap_or((named, ""));
    let address = address.trim_end_matches('>').trim();
    [named, name.trim(), address].iter().any(|one| one.eq_ignore_ascii_case(login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{Timestamp, access::Rights};

    fn user(name: &str, github: Option<&str>) -> UserView {
        UserView {
            name: name.parse().expect("valid"),
            grants: Rights::default(),
            enabled: true,
            has_password: true,
            is_provided: false,
            github: github.map(str::to_owned),
            created_at: Timestamp(1),
        }
    }

    #[test]
    fn somebody_is_named_by_their_login_or_else_by_their_name() {
        assert!(is(&user("anna", Some("octo-anna")), "Octo-Anna"));
        assert!(!is(&user("anna", Some("octo-anna")), "anna"), "another anna");
        assert!(is(&user("anna", None), "Anna"));
        assert!(is(&user("anna", None), "Anna <anna@example.com>"));
        assert!(!is(&user("anna", None), "annabel"));
        assert!(!is(&user("anna", None), ""));
    }
}
