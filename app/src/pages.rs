//! Pages.

mod home;
mod link;
mod login;
mod not_found;

pub(crate) use home::Home;
pub(crate) use link::LinkPage;
pub(crate) use login::LoginPage;
pub(crate) use not_found::NotFound;
