//! Filling in the examples of a method.

use super::Form;

impl Form {
    /// Fills in the next example of the method, after the last the first; returns which one. `None`:
    /// it has none.
    pub fn fill_example(&mut self) -> Option<String> {
        let count = self.signature.examples.len();
        let at = self.next_example.checked_rem(count)?;
        let example = self.signature.examples.get(at)?.clone();
        let arguments: serde_json::Map<_, _> = example.arguments.into_iter().collect();
        let was_json = self.json.take().is_some();
        self.reset();
        self.fill(&serde_json::Value::Object(arguments).to_string());
        if was_json {
            self.open_json(&self.to_json(), None);
        }
        self.next_example = at + 1;
        let name =
            if example.name.is_empty() { String::new() } else { format!(": {}", example.name) };
        Some(format!("example {} of {count}{name}", at + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::{Example, Parameter, Signature};
    use serde_json::json;

    #[test]
    fn examples_are_filled_in_one_after_the_other() {
        let number = || json!({"type": "number"});
        let parameters = vec![
            Parameter::required("a", number()),
            Parameter::required("b", number()),
            Parameter::optional("c", number(), json!(10)),
        ];
        let mut form = Form::new(Signature { parameters, ..Signature::default() });
        assert_eq!(form.fill_example(), None);
        let example = |name: &str, b: i64| Example {
            name: name.to_owned(),
            arguments: vec![("a".to_owned(), json!(1)), ("b".to_owned(), json!(b))],
            result: None,
        };
        let examples = vec![example("two", 2), example("", 3)];
        form.signature = Signature { examples, ..Signature::clone(&form.signature) }.into();
        form.fields[2].set_text("9");
        for (filled, positional) in [
            ("example 1 of 2: two", "[1,2]"),
            ("example 2 of 2", "[1,3]"),
            ("example 1 of 2: two", "[1,2]"),
        ] {
            assert_eq!(form.fill_example().as_deref(), Some(filled));
            let args = form.preview().unwrap();
            assert_eq!((args.positional(), args.keyword()), (positional, "{}"));
        }
    }
}
