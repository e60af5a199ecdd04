//! Users and tokens.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::Subcommand;
use lockstep_model::{
    UserName,
    access::Role,
    api::{
        AddToken, AddUser, ChangeUser, Empty, RevokeToken, TokenAdd, TokenList, TokenRevoke, UserAdd,
        UserChange, UserList,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List users.
    List,
    /// Make a user; prints a link with which they set their password.
    Add {
        /// Name.
        name: UserName,
        /// What they may do: viewer, operator, deployer or admin.
        #[arg(long)]
        role: Role,
    },
    /// Change a user's role, or switch them off; ends their sessions.
    Change {
        /// Name.
        name: UserName,
        /// Their role from now on.
        #[arg(long)]
        role: Option<Role>,
        /// Whether they may sign in from now on.
        #[arg(long)]
        enabled: Option<bool>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List tokens.
    List,
    /// Make a token for a program; it is shown once.
    Add {
        /// What it is for.
        name: String,
        /// What it may do; without it, what you may.
        #[arg(long)]
        role: Option<Role>,
        /// Days until it ends, 1 to 366.
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// End a token.
    Revoke {
        /// Its id, from the list.
        id: String,
    },
}

pub(super) async fn user(global: &Global, client: &Client, command: UserCommand) -> Result<u8, Failure> {
    match command {
        UserCommand::List => {
            let page = client.call(UserList, &Empty {}).await?;
            if global.json {
                print::json(&page)?;
                return Ok(exit::SUCCEEDED);
            }
            let rows: Vec<[String; 4]> = page
                .users
                .iter()
                .map(|user| {
                    let state = match (user.enabled, user.has_password) {
                        (false, _) => "switched off",
                        (true, true) => "active",
                        (true, false) => "has no password",
                    };
                    let made = print::ago(user.created_at);
                    [user.name.to_string(), user.role.to_string(), state.to_owned(), made]
                })
                .collect();
            print::table(["NAME", "ROLE", "STATE", "MADE"], &rows);
        }
        UserCommand::Add { name, role } => {
            let link = client.call(UserAdd, &AddUser { name, role }).await?;
            if global.json {
                print::json(&link)?;
                return Ok(exit::SUCCEEDED);
            }
            say!("{} is {role}. Send them this link; it works once, for a day:", link.user);
            say!("  {}{}", client.url(), link.path);
        }
        UserCommand::Change { name, role, enabled } => {
            let user = client.call(UserChange, &ChangeUser { name, role, enabled }).await?;
            if global.json {
                print::json(&user)?;
                return Ok(exit::SUCCEEDED);
            }
            let state = if user.enabled { "may sign in" } else { "may not sign in" };
            say!("{} is {} and {state}; their sessions have ended", user.name, user.role);
        }
    }
    Ok(exit::SUCCEEDED)
}

pub(super) async fn token(global: &Global, client: &Client, command: TokenCommand) -> Result<u8, Failure> {
    match command {
        TokenCommand::List => {
            let page = client.call(TokenList, &Empty {}).await?;
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
                    let state = if token.revoked { "revoked" } else { "valid" };
                    [
                        token.id.clone(),
                        token.name.clone(),
                        token.user.to_string(),
                        token.role.to_string(),
                        state.to_owned(),
                        used,
                    ]
                })
                .collect();
            print::table(["ID", "NAME", "OWNER", "ROLE", "STATE", "USED"], &rows);
        }
        TokenCommand::Add { name, role, days } => {
            let created = client.call(TokenAdd, &AddToken { name, role, days }).await?;
            if global.json {
                print::json(&created)?;
                return Ok(exit::SUCCEEDED);
            }
            let token = &created.token;
            say!(
                "token {} ({}), {} for {days} days; it is shown only now:",
                token.id,
                token.name,
                token.role
            );
            say!("  {}", created.secret);
            say!("use it as LOCKSTEP_TOKEN");
        }
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
