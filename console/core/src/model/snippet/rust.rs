//! A call as a program in Rust.

use rpc_wire::is_hidden;

use super::Snippet;
use super::environment::{self, Part};
use crate::model::access::TokenPlace;

impl Snippet {
    /// A whole program; tests compare it with the examples `copied_….rs`, which are compiled.
    pub(super) fn rust(&self) -> Result<String, String> {
        let method = &self.method;
        let timeout = match self.timeout.subsec_nanos() {
            0 => format!("from_secs({})", self.timeout.as_secs()),
            _ => format!("from_millis({})", self.timeout.as_millis()),
        };
        let open = match &self.target {
            Some(key) => format!("direct({:?}, options)?", key.to_string()),
            None => {
                let service = self.service.name();
                let service = service.map(|name| format!(".service({})", debug(name)));
                let service = service.unwrap_or_default();
                format!("through_registry({:?}, options)?{service}", self.registry)
            }
        };
        let words: Vec<String> = self.words()?.iter().map(|word| expression(word)).collect();
        let args = match &words[..] {
            [] => "let args = Args::none();".to_owned(),
            words => format!("let args = Args::from_words([{}])?;", words.join(", ")),
        };
        let send = if self.stream {
            format!(
                "for item in client.stream({method:?}, args)? {{\n        \
                     println!(\"{{}}\", item?.value);\n    \
                 }}"
            )
        } else {
            format!("println!(\"{{}}\", client.call({method:?}, args)?);")
        };
        let (names, options) = self.options();
        Ok(format!(
            "use std::time::Duration;\n\
             \n\
             use rpc_client::blocking::Client;\n\
             use rpc_client::{{{names}}};\n\
             \n\
             fn main() -> Result<(), Box<dyn std::error::Error>> {{\n    \
                 let timeout = Duration::{timeout};\n    \
                 {options}\n    \
                 let client = Client::{open};\n    \
                 {args}\n    \
                 {send}\n    \
                 Ok(())\n\
             }}\n"
        ))
    }

    /// What is used of the library, and the options of the client.
    fn options(&self) -> (String, String) {
        let (mut names, mut lines) = (vec!["Args", "ClientOptions"], Vec::new());
        let mut fields = vec!["timeout".to_owned()];
        if let Some(tls) = &self.access.tls {
            names.push("ClientTlsOptions");
            lines.push("// The feature tls of rpc-client has it.".to_owned());
            let path = |name: &str, path: &String| format!("{name}: Some({}.into()),", debug(path));
            let mut files: Vec<_> = tls.ca.iter().map(|ca| path("ca", ca)).collect();
            if let Some((cert, key)) = &tls.own {
                files.extend([path("cert", cert), path("key", key)]);
            }
            lines.extend(structure("let tls_files = ClientTlsOptions", &files));
            fields.extend(["tls: true".to_owned(), "tls_files".to_owned()]);
            if let (Some(_), Some(service)) = (&self.target, self.service.name()) {
                names.push("ListedAs");
                lines.push(format!(
                    "let listed = ListedAs {{ service: Some({}.into()), ..ListedAs::default() }};",
                    debug(service)
                ));
                fields.push("listed: Some(listed)".to_owned());
            }
        }
        if let Some(token) = &self.access.token {
            names.push("SecretString");
            lines.push(match token {
                TokenPlace::Environment => {
                    "let token = SecretString::from(std::env::var(\"RPCD_TOKEN\")?);".to_owned()
                }
                TokenPlace::File(path) => format!(
                    "let token = SecretString::from(std::fs::read_to_string({})?.trim());",
                    debug(path)
                ),
            });
            fields.push("token: Some(token.into())".to_owned());
            if self.access.in_plain && self.access.tls.is_none() {
                fields.push("allow_plaintext_token: true".to_owned());
            }
        }
        if fields.len() == 1 {
            let options = "let options = ClientOptions { timeout, ..ClientOptions::default() };";
            return (names.join(", "), options.to_owned());
        }
        let fields: Vec<_> = fields.into_iter().map(|field| format!("{field},")).collect();
        lines.extend(structure("let options = ClientOptions", &fields));
        (names.join(", "), lines.join("\n    "))
    }
}

/// The lines of a structure with these fields.
fn structure(start: &str, fields: &[String]) -> Vec<String> {
    let name = start.rsplit(' ').next().unwrap_or_default();
    let mut lines = vec![format!("{start} {{")];
    lines.extend(fields.iter().map(|field| format!("    {field}")));
    lines.extend([format!("    ..{name}::default()"), "};".to_owned()]);
    lines
}

/// A Rust string literal, raw if that is easier to read.
fn literal(text: &str) -> String {
    if !text.contains(['"', '\\']) || text.contains(is_hidden) {
        return debug(text);
    }
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

/// A Rust string literal in which every hidden character is escaped.
fn debug(text: &str) -> String {
    let mut escaped = String::new();
    for c in format!("{text:?}").chars() {
        if is_hidden(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    escaped
}

/// A word as an expression of Rust.
fn expression(word: &str) -> String {
    let parts = environment::parts(word);
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        return literal(word);
    }
    let (mut format, mut values) = (String::new(), String::new());
    for part in parts {
        match part {
            Part::Text(text) => format.push_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Variable(name) => {
                format.push_str("{}");
                values.push_str(&format!(", std::env::var({name:?})?"));
            }
            Part::File(path) => {
                format.push_str("{}");
                values.push_str(&format!(", std::fs::read_to_string({})?.trim()", debug(path)));
            }
        }
    }
    format!("format!({}{values}).as_str()", debug(&format))
}

#[cfg(test)]
mod tests {
    use rpc_wire::call::Args;
    use serde_json::json;

    use super::super::tests::{secured, snippet};
    use super::super::{Format, Snippet};
    use crate::model::service::Service;

    /// The code of an example, without its header.
    fn example(name: &str) -> String {
        let path = format!("{}/../../examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.split_once("\n\nuse ").map(|(_, rest)| format!("use {rest}")).unwrap()
    }

    #[test]
    fn rust_snippets_are_the_compiled_examples() {
        let mut snippet = snippet();
        assert_eq!(snippet.write(Format::Rust).unwrap(), example("copied_call"));
        (snippet.stream, snippet.args) = (true, Args::none());
        snippet.target.clone_from(&snippet.peer);
        "countdown".clone_into(&mut snippet.method);
        assert_eq!(snippet.write(Format::Rust).unwrap(), example("copied_stream"));
        let target = snippet.target.clone();
        let secured =
            Snippet { target, service: Service::named("shop"), args: Args::none(), ..secured() };
        assert_eq!(secured.write(Format::Rust).unwrap(), example("copied_secure_call"));
    }

    #[test]
    fn rust_and_python_escape_quotes_and_hashes() {
        let mut snippet = snippet();
        snippet.args = Args::from_values(&[json!("a\"# b")], &serde_json::Map::new());
        let rust = snippet.write(Format::Rust).unwrap();
        assert!(rust.contains(r####"[r##""a\"# b""##]"####), "{rust}");
        let python = snippet.write(Format::Python).unwrap();
        assert!(python.contains(r#"("127.0.0.1", 8089)"#), "{python}");
    }
}
