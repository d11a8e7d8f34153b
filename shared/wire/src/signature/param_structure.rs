//! Whether a method takes its arguments by position, by name, or either way.

use serde_json::Value;

use super::Signature;
use crate::call::Args;

/// OpenRPC's `paramStructure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParamStructure {
    /// A caller may choose.
    #[default]
    Either,
    /// All of them have names.
    ByName,
    /// None of them has a name.
    ByPosition,
}

impl ParamStructure {
    /// Its word in a document.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Either => "either",
            Self::ByName => "by-name",
            Self::ByPosition => "by-position",
        }
    }

    /// What a word stands for: an unknown one forbids nothing.
    pub(super) fn of_word(word: &str) -> Self {
        let all = [Self::ByName, Self::ByPosition];
        all.into_iter().find(|it| it.word() == word).unwrap_or_default()
    }
}

impl Signature {
    /// The arguments in the form that the method takes, and in one form where not all of them have names unless the
    /// server `mixes` them: all others than those of JSON-RPC do. They stay as they are where names or order do not
    /// say how.
    #[must_use]
    pub fn arranged(&self, args: Args, mixes: bool) -> Args {
        let arranged = match self.param_structure {
            ParamStructure::Either if mixes || args.in_one().is_some() => None,
            ParamStructure::Either | ParamStructure::ByName => {
                args.by_name(self.parameters.iter().map(|it| it.name.as_str()))
            }
            ParamStructure::ByPosition => args.by_position(self.parameters.iter().map(|it| {
                let default = it.default.as_ref().unwrap_or(&Value::Null);
                (it.name.as_str(), (!it.required).then_some(default))
            })),
        };
        arranged.unwrap_or(args)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signature::Parameter;

    fn arranged(param_structure: ParamStructure, mixes: bool, words: &[&str]) -> String {
        let any = || json!(true);
        let unknown = Parameter { required: false, ..Parameter::required("b", any()) };
        let parameters = vec![
            Parameter::required("a", any()),
            unknown,
            Parameter::optional("c", any(), json!(3)),
            Parameter::optional("d", any(), json!(4)),
        ];
        let method = Signature { parameters, param_structure, ..Signature::default() };
        let args = method.arranged(Args::from_words(words.iter().copied()).unwrap(), mixes);
        match args.in_one() {
            Some(args) => args.to_owned(),
            None => format!("{} {}", args.positional(), args.keyword()),
        }
    }

    #[test]
    fn what_must_have_names_gets_them_in_the_order_of_the_parameters() {
        let by_name = |words: &[&str]| arranged(ParamStructure::ByName, true, words);
        assert_eq!(by_name(&["1.50", "x"]), r#"{"a":1.50,"b":"x"}"#);
        assert_eq!(by_name(&["1", "d=2"]), r#"{"a":1,"d":2}"#);
        assert_eq!(by_name(&["d=2", "z=1"]), r#"{"d":2,"z":1}"#);
        assert_eq!(by_name(&["1", "2", "3", "4", "5"]), "[1,2,3,4,5]", "the last has no name");
        assert_eq!(by_name(&["1", "a=2"]), r#"[1] {"a":2}"#);
    }

    #[test]
    fn what_must_have_no_names_goes_by_order_with_defaults_between() {
        let by_position = |words: &[&str]| arranged(ParamStructure::ByPosition, true, words);
        assert_eq!(by_position(&["a=1.50"]), "[1.50]");
        assert_eq!(by_position(&["d=7", "a=1"]), "[1,null,3,7]");
        assert_eq!(by_position(&["1", "2", "c=0"]), "[1,2,0]");
        assert_eq!(by_position(&["1", "2"]), "[1,2]");
        assert_eq!(by_position(&["b=1"]), r#"{"b":1}"#, "the first must be given");
        assert_eq!(by_position(&["a=1", "z=1"]), r#"{"a":1,"z":1}"#);
        assert_eq!(by_position(&["1", "a=2"]), r#"[1] {"a":2}"#);
    }

    #[test]
    fn some_with_names_and_some_without_are_left_to_servers_that_take_them() {
        let either = |mixes| arranged(ParamStructure::Either, mixes, &["1", "d=2"]);
        assert_eq!(
            (either(true).as_str(), either(false).as_str()),
            (r#"[1] {"d":2}"#, r#"{"a":1,"d":2}"#)
        );
        assert_eq!(arranged(ParamStructure::Either, false, &["1", "2"]), "[1,2]");
        assert_eq!(arranged(ParamStructure::Either, false, &["a=1"]), r#"{"a":1}"#);
    }
}
