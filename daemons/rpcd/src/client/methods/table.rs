//! Methods in columns: the call, who offers it, what it does.

use rpc_wire::signature::Signature;

use super::signature;

/// A longer signature has a line of its own, so that it does not push the others' docs away.
const WIDEST: usize = 56;

/// One method.
#[derive(Debug)]
pub(super) struct Row {
    /// Its service.
    pub(super) service: Option<String>,
    /// How to call it.
    pub(super) call: String,
    /// How many instances offer it.
    pub(super) offered: String,
    /// What it does, in one line.
    pub(super) doc: String,
}

impl Row {
    /// The method of a server that is known.
    pub(super) fn new(method: &Signature) -> Self {
        let doc = method.doc.lines().next().unwrap_or_default();
        let note = if method.deprecated { "(deprecated) " } else { "" };
        Self {
            service: None,
            call: signature::of(method),
            offered: String::new(),
            doc: format!("{note}{doc}").trim_end().to_owned(),
        }
    }

    fn name(&self) -> String {
        match &self.service {
            Some(service) => format!("{service} · {}", self.call),
            None => self.call.clone(),
        }
    }
}

/// The heading, and a line or two per method.
pub(super) fn lines(rows: &[Row]) -> (String, Vec<String>) {
    let has_services = rows.iter().any(|row| row.service.is_some());
    let heading = Row {
        service: has_services.then(|| "SERVICE".to_owned()),
        call: "METHOD".to_owned(),
        offered: if has_services { "INSTANCES".to_owned() } else { String::new() },
        doc: "DESCRIPTION".to_owned(),
    };
    let names: Vec<String> = rows.iter().map(Row::name).collect();
    let lengths = names.iter().map(|name| name.chars().count());
    let least = heading.name().chars().count();
    let width = lengths.filter(|length| *length <= WIDEST).max().unwrap_or(0).max(least);
    let counts = rows.iter().map(|row| row.offered.len()).max().unwrap_or(0);
    let counts = counts.max(heading.offered.len());
    let tail = |row: &Row| match counts {
        0 => row.doc.clone(),
        _ => format!("{:counts$}  {}", row.offered, row.doc).trim_end().to_owned(),
    };
    let mut lines = Vec::new();
    for (row, name) in rows.iter().zip(names) {
        if name.chars().count() <= width {
            lines.push(format!("{name:width$}  {}", tail(row)).trim_end().to_owned());
        } else {
            lines.push(name);
            if !tail(row).is_empty() {
                lines.push(format!("{:width$}  {}", "", tail(row)));
            }
        }
    }
    (format!("{:width$}  {}", heading.name(), tail(&heading)), lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    #[test]
    fn a_long_signature_does_not_pad_the_others() {
        let method = |name: &str, parameters: usize| Signature {
            name: name.to_owned(),
            doc: format!("Does {name}.\nMore."),
            parameters: (0..parameters)
                .map(|at| Parameter::required(format!("argument_{at}"), json!(true)))
                .collect(),
            ..Signature::default()
        };
        let methods = [method("a", 0), method("long", 20), method("bcdefg", 0)];
        let rows: Vec<Row> = methods.iter().map(Row::new).collect();
        let (heading, lines) = lines(&rows);
        assert_eq!(heading, "METHOD    DESCRIPTION");
        assert_eq!(
            (lines[0].as_str(), lines[3].as_str()),
            ("a()       Does a.", "bcdefg()  Does bcdefg.")
        );
        assert!(lines[1].starts_with("long(argument_0, ") && lines[2] == "          Does long.");
    }

    #[test]
    fn with_services_there_are_columns_of_who_offers_what() {
        let row = |service: &str, call: &str, offered: &str, doc: &str| Row {
            service: Some(service.to_owned()),
            call: call.to_owned(),
            offered: offered.to_owned(),
            doc: doc.to_owned(),
        };
        let rows = [row("orders", "get(id)", "2 of 3", "Gets."), row("b", "put()", "1 of 1", "")];
        let (heading, lines) = lines(&rows);
        assert_eq!(heading, "SERVICE · METHOD  INSTANCES  DESCRIPTION");
        let expected = ["orders · get(id)  2 of 3     Gets.", "b · put()         1 of 1"];
        assert_eq!(lines, expected);
    }
}
