//! The types of values: how each is read from text and written as text, by a module with `read` and `show`.

mod amounts;
mod choices;
mod hosts;
mod paths;
mod words;

pub(crate) use amounts::{
    attempts, backlog, burst, bytes, count, depth, duration, hedge, pause, ratio, share,
};
pub use choices::{Colour, Glyphs, StoreKind, Theme};
pub(crate) use choices::{answer, choice, switch};
pub use hosts::Advertised;
pub(crate) use hosts::{addresses, advertised, host, names, networks, origins, port};
pub(crate) use paths::{any_file, any_folder, folder, list_cache, secret_file};
pub(crate) use words::{any_service, auth, level, prefix, roles, service, user};
