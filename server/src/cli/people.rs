//! Users and tokens.

use super::{
    arguments::Global,
    client::Client,
    error::Failure,
    exchange::{self, ExchangeOptions},
    exit, print,
    roles::{self, GrantOptions, RevokeOptions},
};
use crate::{clock::SystemClock, lists, out::say, progress::counted};
use clap::Subcommand;
use lockstep_engine::port::Clock as _;
use lockstep_model::{
    UserName,
    access::{Role, Scope},
    api::{
        AddToken, AddUser, ChangeUser, Empty, LinkList, LinkRevoke, NameUser, OneTimeLink, RevokeToken,
        SessionEnd, SessionEndAll, SessionList, TokenAdd, TokenList, TokenRevoke, UserAdd, UserChange,
        UserLink, UserList,
    },
    session::{EndSession, EndSessions, SessionItem},
    tokens::{Action, FindCredentials},
};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List users.
    List {
        /// As a CSV file, as the page gives it.
        #[arg(long)]
        csv: bool,
    },
    /// Make a user with a first role, on what --project and --env name or else on everything; prints a link
    /// with which they set their password.
    Add {
        /// Name.
        name: UserName,
        /// What they may do: viewer, operator, deployer or admin.
        #[arg(long)]
        role: Role,
    },
    /// Make a link with which a user sets their password anew; earlier links end.
    Link {
        /// Name.
        name: UserName,
    },
    /// List links to set a password by that are open: for whom, by whom, until when.
    Links,
    /// Withdraw a user's link before it is used.
    Unlink {
        /// Name.
        name: UserName,
    },
    /// Change a user's role on everything, or switch them off; ends their sessions.
    Change {
        /// Name.
        name: UserName,
        /// Their role on everything from now on; for parts see `grant` and `revoke`.
        #[arg(long)]
        role: Option<Role>,
        /// Whether they may sign in from now on.
        #[arg(long)]
        enabled: Option<bool>,
        /// Their login at GitHub: what they push there they do not approve; "" = none.
        #[arg(long, value_name = "LOGIN")]
        github: Option<String>,
    },
    /// Give a user a role: on everything, or on what --project and --env name.
    #[command(after_help = roles::GRANT_HELP)]
    Grant(GrantOptions),
    /// Take away a role where it was given: on everything, or on what --project and --env name.
    Revoke(RevokeOptions),
    /// Show what somebody may, environment by environment.
    #[command(after_help = roles::SHOW_HELP)]
    Show {
        /// Name; without one, you.
        name: Option<UserName>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List tokens.
    List {
        /// As a CSV file, as the page gives it.
        #[arg(long)]
        csv: bool,
    },
    /// Make a token for a program; it is shown once. It may never more than you may when it is used, and
    /// only where --project and --env say.
    Add {
        /// What it is for.
        name: String,
        /// What it may do; without it, what you may.
        #[arg(long)]
        role: Option<Role>,
        /// What of that it may change: deploy, rollback, steer, restrict, report, apply or manage; may be
        /// repeated. Without it, all that its role has. Reading follows the role.
        #[arg(long = "action", value_name = "ACTION", value_delimiter = ',')]
        actions: Vec<Action>,
        /// Days until it ends, 1 to 366.
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Exchange this job's identity token for one of the server's, and print it: for CI without a stored
    /// secret. On GitHub Actions the job needs `permissions: {id-token: write}`.
    #[command(after_help = exchange::HELP)]
    Exchange(ExchangeOptions),
    /// End a token.
    Revoke {
        /// Its id, from the list.
        id: String,
    },
}

pub(super) async fn user(global: &Global, client: &Client, command: UserCommand) -> Result<u8, Failure> {
    match command {
        UserCommand::List { csv: true } => {
            print::text(&lists::PEOPLE.file(&client.call(UserList, &Empty {}).await?.users));
        }
        UserCommand::List { csv: false } => {
            let page = client.call(UserList, &Empty {}).await?;
            if global.json {
                print::json(&page)?;
                return Ok(exit::SUCCEEDED);
            }
            let rows: Vec<[String; 4]> = page
                .users
                .iter()
                .map(|user| {
                    let state = match (user.enabled, user.is_provided, user.has_password) {
                        (false, ..) => "switched off",
                        (true, true, _) => "of the identity provider",
                        (true, false, true) => "active",
                        (true, false, false) => "has no password",
                    };
                    let made = print::ago(user.created_at);
                    [user.name.to_string(), user.grants.to_string(), state.to_owned(), made]
                })
                .collect();
            print::table(["NAME", "ROLES", "STATE", "MADE"], &rows);
        }
        UserCommand::Add { name, role } => {
            let (project, environment) = (global.project.clone(), global.environment.clone());
            let link = client.call(UserAdd, &AddUser { name, role, project, environment }).await?;
            if global.json {
                print::json(&link)?;
                return Ok(exit::SUCCEEDED);
            }
            let on = Scope { project: global.project.clone(), environment: global.environment.clone() };
            say!("{} is {role} on {on}. Send them this link:", link.user);
            link_lines(client, &link);
        }
        UserCommand::Link { name } => {
            let link = client.call(UserLink, &NameUser { name }).await?;
            if global.json {
                print::json(&link)?;
                return Ok(exit::SUCCEEDED);
            }
            say!("{} sets their password anew with this link:", link.user);
            link_lines(client, &link);
        }
        UserCommand::Links => return links(global, client).await,
        UserCommand::Unlink { name } => {
            let link = client.call(LinkRevoke, &NameUser { name }).await?;
            if global.json {
                print::json(&link)?;
                return Ok(exit::SUCCEEDED);
            }
            say!(
                "the link for {} is withdrawn; `lockstep user link {}` makes another one",
                link.user,
                link.user
            );
        }
        UserCommand::Change { name, role, enabled, github } => {
            let ends = role.is_some() || enabled.is_some();
            let user = client.call(UserChange, &ChangeUser { name, role, enabled, github }).await?;
            if global.json {
                print::json(&user)?;
                return Ok(exit::SUCCEEDED);
            }
            let state = if user.enabled { "may sign in" } else { "may not sign in" };
            let ended = if ends { "; their sessions have ended" } else { "" };
            let login = user.github.map_or_else(String::new, |login| format!(", is {login} at GitHub,"));
            say!("{} is {}{login} and {state}{ended}", user.name, user.grants);
        }
        UserCommand::Grant(options) => return roles::grant(global, client, options).await,
        UserCommand::Revoke(options) => return roles::revoke(global, client, options).await,
        UserCommand::Show { name } => return roles::show(global, client, name).await,
    }
    Ok(exit::SUCCEEDED)
}

async fn links(global: &Global, client: &Client) -> Result<u8, Failure> {
    let page = client.call(LinkList, &Empty {}).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 4]> = page
        .links
        .into_iter()
        .map(|link| {
            let what = if link.is_invitation { "invitation" } else { "new password" };
            let by = link.made_by.map_or_else(|| "-".to_owned(), |by| by.to_string());
            [link.user.to_string(), what.to_owned(), by, print::ahead(link.expires_at)]
        })
        .collect();
    print::table(["FOR", "WHAT", "BY", "ENDS"], &rows);
    Ok(exit::SUCCEEDED)
}

fn link_lines(client: &Client, link: &OneTimeLink) {
    say!("  {}{}", client.url(), link.path);
    let name = &link.user;
    say!(
        "It works once, for 15 minutes; `lockstep user link {name}` makes another one. Whoever opens it is {name}."
    );
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List your sessions in browsers; as an admin, everybody's.
    List {
        /// As a CSV file, as the page gives it.
        #[arg(long)]
        csv: bool,
    },
    /// End a session.
    End {
        /// Its id, from the list.
        id: String,
    },
    /// End all of your other sessions, or as an admin all of a user's.
    EndAll {
        /// Whose; without it, your own.
        user: Option<UserName>,
    },
}

pub(super) async fn session(
    global: &Global,
    client: &Client,
    command: SessionCommand,
) -> Result<u8, Failure> {
    match command {
        SessionCommand::List { csv: true } => {
            print::text(
                &lists::SESSIONS.file(&client.call(SessionList, &FindCredentials::default()).await?.sessions),
            );
        }
        SessionCommand::List { csv: false } => {
            let page = client.call(SessionList, &FindCredentials::default()).await?;
            if global.json {
                print::json(&page)?;
                return Ok(exit::SUCCEEDED);
            }
            if page.sessions.is_empty() {
                say!("Nobody is signed in in a browser.");
                return Ok(exit::SUCCEEDED);
            }
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
            let row = |one: &SessionItem| {
                let (begun, used) = (print::ago(one.created_at), print::ago(one.used_at));
                [one.id.clone(), one.user.to_string(), or(&one.device), or(&one.address), begun, used]
            };
            let rows: Vec<[String; 6]> = page.sessions.iter().map(row).collect();
            print::table(["ID", "USER", "PROGRAM", "FROM", "BEGUN", "USED"], &rows);
        }
        SessionCommand::End { id } => {
            let ended = client.call(SessionEnd, &EndSession { id }).await?;
            if global.json {
                print::json(&ended)?;
                return Ok(exit::SUCCEEDED);
            }
            say!("session {} of {} has ended", ended.id, ended.user);
        }
        SessionCommand::EndAll { user } => {
            let done = client.call(SessionEndAll, &EndSessions { user }).await?;
            if global.json {
                print::json(&done)?;
                return Ok(exit::SUCCEEDED);
            }
            say!("{} sessions have ended", done.ended);
        }
    }
    Ok(exit::SUCCEEDED)
}

pub(super) async fn token(global: &Global, client: &Client, command: TokenCommand) -> Result<u8, Failure> {
    match command {
        TokenCommand::List { csv: true } => {
            print::text(
                &lists::TOKENS.file(&client.call(TokenList, &FindCredentials::default()).await?.tokens),
            );
        }
        TokenCommand::List { csv: false } => {
            let page = client.call(TokenList, &FindCredentials::default()).await?;
            if global.json {
                print::json(&page)?;
                return Ok(exit::SUCCEEDED);
            }
            if page.tokens.is_empty() {
                say!("There are no tokens: `lockstep token add NAME --role deployer` makes one.");
                return Ok(exit::SUCCEEDED);
            }
            let rows: Vec<[String; 6]> = page
                .tokens
                .iter()
                .map(|token| {
                    let used = token.last_used_at.map_or_else(|| "never".to_owned(), print::ago);
                    let is_over = token.expires_at <= SystemClock.now();
                    let state = match (token.revoked, is_over) {
                        (true, _) => "revoked".to_owned(),
                        (false, true) => "over".to_owned(),
                        (false, false) => format!("ends {}", print::ahead(token.expires_at)),
                    };
                    [token.id.clone(), token.name.clone(), token.user.to_string(), token.may(), state, used]
                })
                .collect();
            print::table(["ID", "NAME", "OWNER", "ROLE", "STATE", "USED"], &rows);
        }
        TokenCommand::Add { name, role, actions, days } => {
            let (project, environment) = (global.project.clone(), global.environment.clone());
            let request = AddToken { name, role, project, environment, actions, days };
            let created = client.call(TokenAdd, &request).await?;
            if global.json {
                print::json(&created)?;
                return Ok(exit::SUCCEEDED);
            }
            let token = &created.token;
            say!(
                "token {} ({}), {} for {}; it is shown only now:",
                token.id,
                token.name,
                token.may(),
                counted(u64::from(days), "day")
            );
            say!("  {}", created.secret);
            say!("use it as LOCKSTEP_TOKEN");
        }
        TokenCommand::Exchange(options) => return exchange::exchange(global, client, options).await,
        TokenCommand::Revoke { id } => {
            let token = client.call(TokenRevoke, &RevokeToken { id }).await?;
            if global.json {
                print::json(&token)?;
                return Ok(exit::SUCCEEDED);
            }
            say!("token {} ({}) is revoked", token.id, token.name);
        }
    }
    Ok(exit::SUCCEEDED)
}
