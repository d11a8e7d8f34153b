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
            let near = meant(error, command);
            let what = said(error, near.as_deref()).unwrap_or_else(|| squeezed(&text));
            let failure = Failure::usage(format!("{what}; see {} --help", help_of(command)));
            return failure.with_nearest(near.as_deref());
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

/// What was probably meant: as clap says, or where it says nothing.
fn meant(error: &Error, command: Option<&OsString>) -> Option<String> {
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let by_clap = suggested.into_iter().find_map(|kind| known(error, kind));
    by_clap.filter(|near| !near.is_empty()).or_else(|| match error.kind() {
        // Of `rpcd help COMMAND`.
        ErrorKind::InvalidSubcommand => {
            let (typed, commands) =
                (known(error, ContextKind::InvalidSubcommand)?, Typed::command());
            let names = commands.get_subcommands().map(clap::Command::get_name);
            rpc_wire::nearest(&typed, names).map(str::to_owned)
        }
        // Daemons print no result: their log is what can be JSON.
        ErrorKind::UnknownArgument => {
            let (typed, commands) = (known(error, ContextKind::InvalidArg)?, Typed::command());
            let has = |name| is_option(&commands, command, name);
            (has("log-format") && !has("json") && rpc_wire::nearest(&typed, ["--json"]).is_some())
                .then(|| "--log-format json".to_owned())
        }
        _ => None,
    })
}

/// Whether the command that was typed has the option.
fn is_option(commands: &clap::Command, command: Option<&OsString>, name: &str) -> bool {
    let typed = command.and_then(|typed| commands.find_subcommand(typed));
    typed.is_some_and(|typed| typed.get_arguments().any(|it| it.get_long() == Some(name)))
}

/// In our words; `None`: a rare kind, for which clap's own do.
fn said(error: &Error, near: Option<&str>) -> Option<String> {
    let text = |kind| known(error, kind);
    let argument = text(ContextKind::InvalidArg);
    let meant = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("missing {}", argument?),
        ErrorKind::UnknownArgument => {
            let argument = argument?;
            let what =
                if argument.starts_with('-') { "unknown option" } else { "unexpected argument" };
            format!("{what} {argument}{meant}")
        }
        ErrorKind::InvalidSubcommand => {
            format!("unknown command {}{meant}", text(ContextKind::InvalidSubcommand)?)
        }
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
                (false, false) => {
                    format!("bad value '{value}' for {argument}: expected one of {known}{meant}")
                }
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
