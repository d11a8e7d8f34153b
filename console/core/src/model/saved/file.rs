//! The text of `rpcd-requests.toml`: read, and changed in place, so that comments and order stay.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::instance::{Instance, is_service_name};
use rpc_wire::nearest;
use rpc_wire::target::parse_address;
use serde_json::value::RawValue;
use toml_edit::{ArrayOfTables, Document, DocumentMut, Item, Table, TableLike, Value};

use super::{Change, ChangeError, Contents, Environment, SavedRequest, check_name};
use crate::model::load::parse_time;
use crate::model::service::Service;
use crate::model::template::is_name;
use crate::text::flag_duration;

/// Largest file.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Requests in a file at most.
pub const MAX_REQUESTS: usize = 1_000;

const REQUESTS: &str = "requests";
const ENVIRONMENTS: &str = "environments";
const KEYS: [&str; 8] =
    ["name", "service", "method", "args", "kwargs", "target", "timeout", "stream"];
/// The target that stands for any instance that has the method.
const ANY: &str = "any";
/// The timeout of a request without one.
const DEFAULT_TIMEOUT: &str = "10s";
/// As for the settings, so that no deadline overflows.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// The first lines of a new file.
const HEAD: &str = "\
# Requests saved by rpc-console. {{user}} stands for a variable of the current environment, such as
# [environments.local], {{env:TOKEN}} for the environment of the process: keep secrets there.

";

/// The line of a file that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// What the text of a file holds.
///
/// # Errors
/// The first line that is wrong.
pub fn parse(text: &str) -> Result<Contents, FileError> {
    if text.len() > MAX_BYTES {
        let size = crate::text::bytes(MAX_BYTES);
        return Err(FileError { line: 1, message: format!("the file is larger than {size}") });
    }
    let reader = Reader { text };
    let document = Document::parse(text)
        .map_err(|error| reader.error(error.span(), error.message().to_owned()))?;
    let mut contents = Contents::default();
    for (key, item) in document.as_table() {
        match key {
            REQUESTS => contents.requests = reader.requests(item)?,
            ENVIRONMENTS => contents.environments = reader.environments(item)?,
            other => {
                let span = span_of(document.as_table(), other, item);
                return Err(reader.unknown(span, other, &[REQUESTS, ENVIRONMENTS]));
            }
        }
    }
    Ok(contents)
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> FileError {
        let start = span.map_or(0, |span| span.start).min(self.text.len());
        let line = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        // A message of several lines has its rest from the second on.
        let message = message.into();
        let message = message.lines().collect::<Vec<_>>().join(", ");
        FileError { line, message }
    }

    fn unknown(&self, span: Option<Range<usize>>, key: &str, known: &[&str]) -> FileError {
        let suggestion = match nearest(key, known.iter().copied()) {
            Some(near) => format!("; did you mean {near}?"),
            None => format!("; known are {}", known.join(", ")),
        };
        self.error(span, format!("unknown key {key:?}{suggestion}"))
    }

    fn requests(&self, item: &Item) -> Result<Vec<SavedRequest>, FileError> {
        let Some(tables) = item.as_array_of_tables() else {
            return Err(self.error(item.span(), "requests are tables: [[requests]]"));
        };
        let mut requests: Vec<SavedRequest> = Vec::new();
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for table in tables {
            let error = |message: String| self.error(table.span(), message);
            if requests.len() == MAX_REQUESTS {
                return Err(error(format!("more than {MAX_REQUESTS} requests")));
            }
            let request = self.request(table)?;
            let line = error(String::new()).line;
            if let Some(first) = lines.insert(request.name.clone(), line) {
                return Err(error(format!("{:?} is also the name in line {first}", request.name)));
            }
            requests.push(request);
        }
        Ok(requests)
    }

    fn request(&self, table: &Table) -> Result<SavedRequest, FileError> {
        for (key, item) in table {
            if !KEYS.contains(&key) {
                return Err(self.unknown(span_of(table, key, item), key, &KEYS));
            }
        }
        let at = |key: &str, message: String| {
            let item = table.get(key);
            let span = item.and_then(|item| span_of(table, key, item)).or_else(|| table.span());
            self.error(span, message)
        };
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(item) => match item.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(at(key, format!("{key} must be a text in quotes"))),
            },
        };
        let required = |key: &str| match text(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(at(key, format!("a request needs a {key}"))),
        };
        let name = required("name")?;
        check_name(name).map_err(|error| at("name", error))?;
        let positional: Vec<Box<RawValue>> = serde_json::from_str(text("args")?.unwrap_or("[]"))
            .map_err(|error| at("args", format!("args must be a JSON list in quotes: {error}")))?;
        let keyword: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text("kwargs")?.unwrap_or("{}")).map_err(|error| {
                at("kwargs", format!("kwargs must be a JSON object in quotes: {error}"))
            })?;
        let keyword: Vec<_> =
            keyword.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let target = match text("target")? {
            None | Some(ANY) => None,
            Some(address) => {
                let (host, port) = parse_address(address)
                    .map_err(|error| at("target", format!("target: {error}, or \"any\"")))?;
                Some(Instance::new(host, port).key())
            }
        };
        let service = match text("service")? {
            None => Service::default(),
            Some(name) if is_service_name(name) => Service::named(name),
            Some(_) => {
                let rule = "service must be 1 to 64 of a-z A-Z 0-9 . _ -";
                return Err(at("service", rule.to_owned()));
            }
        };
        let timeout = parse_time(text("timeout")?.unwrap_or(DEFAULT_TIMEOUT))
            .map_err(|error| at("timeout", format!("timeout {error}")))?;
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            return Err(at("timeout", "timeout must be longer than 0, at most a year".to_owned()));
        }
        let stream = match table.get("stream").map(Item::as_bool) {
            None => false,
            Some(Some(stream)) => stream,
            Some(None) => return Err(at("stream", "stream must be true or false".to_owned())),
        };
        Ok(SavedRequest {
            name: name.to_owned(),
            service,
            method: required("method")?.to_owned(),
            args: Args::from_raw(&positional, &keyword),
            target,
            timeout,
            stream,
        })
    }

    fn environments(&self, item: &Item) -> Result<Vec<Environment>, FileError> {
        let tables = item.as_table_like().ok_or_else(|| {
            self.error(item.span(), "environments are tables: [environments.NAME]")
        })?;
        let mut environments = Vec::new();
        for (name, item) in tables.iter() {
            let error = |message: &str| self.error(item.span(), message);
            check_name(name).map_err(|why| error(&why))?;
            let Some(table) = item.as_table_like() else {
                return Err(error("an environment is a table: [environments.NAME]"));
            };
            environments
                .push(Environment { name: name.to_owned(), variables: self.variables(table)? });
        }
        Ok(environments)
    }

    fn variables(&self, table: &dyn TableLike) -> Result<BTreeMap<String, String>, FileError> {
        let mut variables = BTreeMap::new();
        for (name, item) in table.iter() {
            let error = |message: String| self.error(item.span(), message);
            if !is_name(name) {
                return Err(error(format!("{name:?} is no name of a variable: a-z A-Z 0-9 _ -")));
            }
            let value = match item.as_value() {
                Some(Value::String(text)) => text.value().clone(),
                Some(Value::Integer(number)) => number.value().to_string(),
                Some(Value::Float(number)) => number.value().to_string(),
                Some(Value::Boolean(value)) => value.value().to_string(),
                _ => return Err(error(format!("{name} must be a text, a number, true or false"))),
            };
            variables.insert(name.to_owned(), value);
        }
        Ok(variables)
    }
}

/// Where a key is written: the table's own span is that of its first line.
fn span_of(table: &Table, key: &str, item: &Item) -> Option<Range<usize>> {
    table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span())
}

/// The text of the file after a change; an empty text is a new file.
///
/// # Errors
/// The change cannot be made; or the file cannot be read, with the line.
pub fn change(text: &str, change: &Change) -> Result<String, ChangeError> {
    let other = |message: String| ChangeError::Other(message);
    let before = parse(text).map_err(|error| other(error.to_string()))?;
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| other(error.to_string()))?;
    let position = |name: &str| before.requests.iter().position(|request| request.name == name);
    let gone = |name: &str| other(format!("there is no request {name:?} any more"));
    match change {
        Change::Save { request, replace } => {
            check_name(&request.name).map_err(other)?;
            let requests = requests_of(&mut document)?;
            match position(&request.name) {
                Some(_) if !replace => return Err(ChangeError::Exists(request.name.clone())),
                Some(at) => {
                    requests.get_mut(at).into_iter().for_each(|table| write(table, request))
                }
                None => {
                    let mut table = Table::new();
                    if !text.trim().is_empty() {
                        table.decor_mut().set_prefix("\n");
                    }
                    write(&mut table, request);
                    requests.push(table);
                }
            }
        }
        Change::Rename { from, to } => {
            check_name(to).map_err(other)?;
            let at = position(from).ok_or_else(|| gone(from))?;
            if from != to && position(to).is_some() {
                return Err(ChangeError::Exists(to.clone()));
            }
            let table = requests_of(&mut document)?.get_mut(at);
            table.into_iter().for_each(|table| set(table, "name", to.as_str()));
        }
        Change::Delete(name) => {
            let at = position(name).ok_or_else(|| gone(name))?;
            let requests = requests_of(&mut document)?;
            requests.remove(at);
            if requests.is_empty() {
                document.remove(REQUESTS);
            }
        }
    }
    let head = if text.trim().is_empty() { HEAD } else { "" };
    let after = format!("{head}{document}");
    // The limits, and that the console reads what it writes.
    parse(&after).map_err(|error| other(error.message))?;
    Ok(after)
}

fn requests_of(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, ChangeError> {
    let new = || Item::ArrayOfTables(ArrayOfTables::new());
    let requests = document.entry(REQUESTS).or_insert_with(new).as_array_of_tables_mut();
    requests.ok_or_else(|| ChangeError::Other("requests are tables: [[requests]]".to_owned()))
}

fn write(table: &mut Table, request: &SavedRequest) {
    set(table, "name", request.name.as_str());
    match request.service.name() {
        Some(service) => set(table, "service", service),
        None => drop(table.remove("service")),
    }
    set(table, "method", request.method.as_str());
    set(table, "args", request.args.positional());
    if request.args.keyword() == "{}" {
        table.remove("kwargs");
    } else {
        set(table, "kwargs", request.args.keyword());
    }
    let target = request.target.as_ref().map(ToString::to_string);
    set(table, "target", target.as_deref().unwrap_or(ANY));
    set(table, "timeout", flag_duration(request.timeout));
    if request.stream {
        set(table, "stream", true);
    } else {
        table.remove("stream");
    }
}

/// Sets a value; the comments above and after the former one stay.
fn set(table: &mut Table, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    match table.get_mut(key) {
        Some(Item::Value(before)) => {
            *value.decor_mut() = before.decor().clone();
            *before = value;
        }
        _ => drop(table.insert(key, Item::Value(value))),
    }
}

#[cfg(test)]
mod tests;
