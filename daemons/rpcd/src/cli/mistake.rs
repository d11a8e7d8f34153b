//! A mistake in one line: what is wrong, what was probably meant, where the help is.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};

use super::Typed;
use crate::failure::{Exit, Failure};

/// What clap found, as a failure; help and version too.
pub(super) fn failure(error: &Error, command: Option<&OsString>) -> Failure {
    let text = error.render().to_string();
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Usage,
        _ => {
            let what = said(error).unwrap_or_else(|| squeezed(&text));
            let failure = Failure::usage(format!("{what}; see {} --help", help_of(command)));
            let suggested = [
                ContextKind::SuggestedArg,
                ContextKind::SuggestedSubcommand,
                ContextKind::SuggestedValue,
            ];
            let meant = suggested.into_iter().find_map(|kind| known(error, kind));
            return match meant {
                Some(near) if !near.is_empty() => failure.with_nearest([near.as_str()]),
                _ => failure,
            };
        }
    };
    Failure::help(exit, text.trim_end().to_owned() + "\n")
}

/// What clap knows of that kind.
fn known(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

/// In our words; `None`: a rare kind, for which clap's own do.
fn said(error: &Error) -> Option<String> {
    let text = |kind| known(error, kind);
    let argument = text(ContextKind::InvalidArg);
    let meant = |kind| match text(kind) {
        Some(near) if !near.is_empty() => format!(" (did you mean {near}?)"),
        _ => String::new(),
    };
    Some(match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("missing {}", argument?),
        ErrorKind::UnknownArgument => {
            let argument = argument?;
            let what =
                if argument.starts_with('-') { "unknown option" } else { "unexpected argument" };
            format!("{what} {argument}{}", meant(ContextKind::SuggestedArg))
        }
        ErrorKind::InvalidSubcommand => format!(
            "unknown command {}{}",
            text(ContextKind::InvalidSubcommand)?,
            meant(ContextKind::SuggestedSubcommand)
        ),
        ErrorKind::ArgumentConflict => {
            let (one, other) = (argument?, text(ContextKind::PriorArg)?);
            if one == other {
                format!("{one} is given twice")
            } else {
                format!("{one} cannot be used with {other}")
            }
        }
        ErrorKind::InvalidValue => {
            let (argument, value) = (argument?, text(ContextKind::InvalidValue)?);
            let known = text(ContextKind::ValidValue).unwrap_or_default();
            match (value.is_empty(), known.is_empty()) {
                (true, _) => format!("missing value of {argument}"),
                (false, true) => format!("bad value '{value}' for {argument}"),
                (false, false) => format!(
                    "bad value '{value}' for {argument}: expected one of {known}{}",
                    meant(ContextKind::SuggestedValue)
                ),
            }
        }
        ErrorKind::ValueValidation => {
            let (argument, value) = (argument?, text(ContextKind::InvalidValue)?);
            let why = std::error::Error::source(error).map(|why| format!(": {why}"));
            format!("bad value '{value}' for {argument}{}", why.unwrap_or_default())
        }
        _ => return None,
    })
}

/// clap prints a paragraph and the usage; one line suits logs and supervisors.
fn squeezed(paragraph: &str) -> String {
    let what = paragraph.strip_prefix("error: ").unwrap_or(paragraph);
    let what = what.split("\n\nUsage: ").next().unwrap_or(what);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `rpcd call`, if that is a command.
fn help_of(command: Option<&OsString>) -> String {
    let commands = Typed::command();
    let is_typed =
        |known: &&clap::Command| command.is_some_and(|typed| typed.as_os_str() == known.get_name());
    match commands.get_subcommands().find(is_typed) {
        Some(known) => format!("rpcd {}", known.get_name()),
        None => "rpcd".to_owned(),
    }
}
