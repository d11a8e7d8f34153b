//! `rpcd describe`: everything about one method.
//!
//! - [`examples`]: commands that call it.

mod examples;

use rpc_client::{CallError, Catalog, Code, Target};
use rpc_wire::most_similar;
use rpc_wire::signature::{Effect, Signature, to_openrpc};
use serde_json::Value;

use super::offers::{self, Part};
use super::{no_instance, reserved, signature};
use crate::arguments::schema::type_name;
use crate::failure::{Exit, Failure, NO_SUCH_METHOD};
use crate::output::{self, table::Table};
use crate::plan::Ask;

/// Instances that are named where signatures differ.
const NAMED: usize = 5;

/// Describes the method of that name.
///
/// # Errors
/// No instance could be asked, there is no such method, or a service must be chosen.
pub async fn describe(ask: Ask, name: &str) -> Result<(), Failure> {
    if let Some(method) = reserved::find(name) {
        return show(&ask, method, &[], &[]);
    }
    if let Target::Registry { .. } = ask.target {
        return of_all(&ask, name).await;
    }
    let methods = super::methods::listed(&ask).await?;
    let Some(method) = methods.iter().find(|method| method.name == name) else {
        let near = reserved::nearest(name, &methods);
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => "rpcd methods lists them".to_owned(),
        };
        let message = format!("{} has no method {name}; {hint}", ask.target);
        let failure = Failure::new(Exit::Failed, message).with_code(Code::MethodNotFound);
        return Err(failure.with_kind(NO_SUCH_METHOD).with_nearest(near));
    };
    show(&ask, method, &[], &[])
}

/// Describes a method of the instances that a registry lists.
async fn of_all(ask: &Ask, name: &str) -> Result<(), Failure> {
    let catalog = super::methods::catalog(ask).await?;
    let sizes = offers::sizes(&catalog);
    let method = catalog.method(name);
    let known = method.clone().map(offers::chosen).transpose()?.flatten();
    offers::warn_of_unknown(&catalog);
    let (Some(method), Some(variant)) = (method, known) else {
        let error = no_such_method(ask, &catalog, name);
        let failure = error.into();
        return Err(no_instance::with_not_asked(failure, &ask.target, &ask.options).await);
    };
    if let Some(hint) = offers::unnamed_hint(&method) {
        output::warn(&hint);
    }
    let parts = offers::parts(&variant, &sizes);
    let others = method.variants.iter().filter(|other| other.signature != variant.signature);
    let others: Vec<Other<'_>> =
        others.map(|other| (other.signature, offers::parts(other, &sizes))).collect();
    show(ask, variant.signature, &parts, &others)
}

/// In the words of a call, which fails likewise; what every server has can be described, too.
fn no_such_method(ask: &Ask, catalog: &Catalog, name: &str) -> CallError {
    let mut none = catalog.no_such_method(name);
    none.service.clone_from(&ask.options.service);
    let count = none.nearest.len().max(1);
    let offered = none.nearest.iter().map(String::as_str);
    let nearest = most_similar(name, offered.chain(reserved::names()), count);
    none.nearest = nearest.into_iter().map(str::to_owned).collect();
    CallError::NoSuchMethod(Box::new(none))
}

/// Another signature of the method, and who offers it.
type Other<'a> = (&'a Signature, Vec<Part<'a>>);

fn show(
    ask: &Ask,
    method: &Signature,
    offered_by: &[Part<'_>],
    others: &[Other<'_>],
) -> Result<(), Failure> {
    if ask.json {
        let mut document = to_openrpc("", "", [method])["methods"][0].take();
        if !offered_by.is_empty() {
            document["x-offered-by"] = offers::document(offered_by);
        }
        if !others.is_empty() {
            document["x-other-signatures"] = others.iter().map(other_document).collect();
        }
        return output::value(&document.to_string(), true);
    }
    let mut lines = text(method, &ask.typed);
    if !offered_by.is_empty() {
        let mut table = Table::new(&[], &[]);
        for part in offered_by {
            let instances = format!("{} instances", part.count());
            table.push(vec![offers::shown(part.service).to_owned(), instances]);
        }
        lines.extend([String::new(), "Offered by".to_owned()]);
        lines.extend(table.lines().iter().skip(1).map(|line| format!("  {line}")));
    }
    if !others.is_empty() {
        let title = "Other signatures (choose an instance by -i and -p)".to_owned();
        lines.extend([String::new(), title]);
        lines.extend(others.iter().flat_map(other_lines));
    }
    lines.iter().try_for_each(|line| output::text(line))
}

fn other_document((method, offered_by): &Other<'_>) -> Value {
    let mut document = to_openrpc("", "", [*method])["methods"][0].take();
    document["x-offered-by"] = offers::document(offered_by);
    document
}

/// The signature, and who offers it: there is no other way to call it than by address.
fn other_lines((method, offered_by): &Other<'_>) -> Vec<String> {
    let mut lines = vec![format!("  {}", signature::of(method))];
    for part in offered_by {
        let mut named: Vec<String> =
            part.instances.iter().take(NAMED).map(ToString::to_string).collect();
        if part.instances.len() > NAMED {
            named.push(format!("{} more", part.instances.len() - NAMED));
        }
        let (service, count) = (offers::shown(part.service), part.count());
        lines.push(format!("    {service}  {count} instances: {}", named.join(", ")));
    }
    lines
}

/// What a caller may do with it.
fn notes(method: &Signature) -> Option<String> {
    let effect = match method.effect {
        Effect::ReadOnly => Some("Read-only: a call changes nothing."),
        Effect::Idempotent => {
            Some("Idempotent: calling it twice has the effect of calling it once.")
        }
        Effect::Unknown => None,
    };
    let deprecated = method.deprecated.then_some("Deprecated.");
    let notes: Vec<&str> = deprecated.into_iter().chain(effect).collect();
    (!notes.is_empty()).then(|| notes.join(" "))
}

/// The description, line by line.
fn text(method: &Signature, typed: &str) -> Vec<String> {
    let mut lines = vec![signature::of(method)];
    if !method.doc.is_empty() {
        lines.push(String::new());
        lines.extend(method.doc.lines().map(|line| format!("  {line}").trim_end().to_owned()));
    }
    if let Some(notes) = notes(method) {
        lines.extend([String::new(), format!("  {notes}")]);
    }
    if !method.parameters.is_empty() {
        lines.extend([String::new(), "Parameters".to_owned()]);
        let mut table = Table::new(&[], &[]);
        for parameter in &method.parameters {
            let needed = match &parameter.default {
                Some(default) => format!("default {default}"),
                None if parameter.is_required() => "required".to_owned(),
                None => "optional".to_owned(),
            };
            let doc = parameter.description().replace('\n', " ");
            table.push(vec![parameter.name.clone(), type_name(&parameter.schema), needed, doc]);
        }
        lines.extend(table.lines().iter().skip(1).map(|line| format!("  {line}")));
        for parameter in method.parameters.iter().filter(|it| is_nested(&it.schema)) {
            lines.extend([String::new(), format!("Schema of {}", parameter.name)]);
            lines.extend(schema(&parameter.schema));
        }
    }
    if let Some(result) = &method.result {
        let what = if method.stream { "Each item of the stream" } else { "Result" };
        lines.extend([String::new(), what.to_owned()]);
        lines.extend(schema(result));
    }
    if !method.examples.is_empty() {
        lines.extend([String::new(), "Examples".to_owned()]);
        lines.extend(examples::given(method, typed).into_iter().map(|it| format!("  {it}")));
    }
    lines.extend([String::new(), "Call it".to_owned()]);
    lines.extend(examples::commands(method, typed).into_iter().map(|it| format!("  {it}")));
    lines
}

/// A schema that its name alone does not tell.
fn is_nested(schema: &Value) -> bool {
    ["properties", "$ref", "$defs", "items", "anyOf", "oneOf"]
        .iter()
        .any(|key| schema.get(*key).is_some())
        || schema["enum"].is_array()
}

fn schema(schema: &Value) -> Vec<String> {
    if !is_nested(schema) {
        let doc = signature::doc(schema);
        return vec![format!("  {}  {doc}", type_name(schema)).trim_end().to_owned()];
    }
    let text = output::pretty::indented(&schema.to_string(), false);
    text.lines().map(|line| format!("  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    #[test]
    fn a_description_has_everything_that_discovery_says() {
        let order = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        let method = Signature {
            name: "order".to_owned(),
            doc: "Orders.\n\nAt once.".to_owned(),
            parameters: vec![
                Parameter::required("what", order),
                Parameter::required("note", json!({"type": "string", "description": "For whom."})),
                Parameter::optional("c", json!({"type": "number"}), json!(10)),
            ],
            result: Some(json!({"type": "string"})),
            effect: Effect::Idempotent,
            deprecated: true,
            ..Signature::default()
        };
        let expected = "\
order(what: object, note: string, c: number = 10) -> string

  Orders.

  At once.

  Deprecated. Idempotent: calling it twice has the effect of calling it once.

Parameters
  what  object  required
  note  string  required    For whom.
  c     number  default 10

Schema of what
  {
    \"properties\": {
      \"id\": {\"type\": \"integer\"}
    },
    \"type\": \"object\"
  }

Result
  string

Call it
  rpcd call order '{\"id\":1}' text -p 7
  rpcd call order what='{\"id\":1}' note=text c=10 -p 7
  rpcd call order -d '{\"c\":10,\"note\":\"text\",\"what\":{\"id\":1}}' -p 7";
        assert_eq!(text(&method, "-p 7").join("\n"), expected);
    }
}
