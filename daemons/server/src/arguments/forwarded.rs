//! Arguments for a method that another program has: bound by the names and defaults that it listed.

use rpc_wire::call::Args;
use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use rpc_wire::signature::Signature;
use serde_json::value::{RawValue, to_raw_value};

use super::{Arguments, Parameters};

/// The parameters of such a method.
#[derive(Debug, Clone)]
pub(crate) struct ForwardedParameters {
    parameters: Parameters,
    /// Whether the default in `parameters` is the true one, or stands for one that only the program
    /// knows.
    default_is_known: Vec<bool>,
}

impl ForwardedParameters {
    pub(crate) fn new(signature: &Signature) -> Self {
        let declared = &signature.parameters;
        let default = |parameter: &rpc_wire::signature::Parameter| {
            let unknown = || RawValue::NULL.to_owned();
            match &parameter.default {
                Some(value) => Some(to_raw_value(value).unwrap_or_else(|_| unknown())),
                None => (!parameter.required).then(unknown),
            }
        };
        Self {
            default_is_known: declared.iter().map(|it| it.default.is_some()).collect(),
            parameters: Parameters::new(
                signature.name.clone(),
                declared.iter().map(|it| it.name.clone()).collect(),
                declared.iter().map(default).collect(),
            ),
        }
    }

    /// The arguments by position, with defaults in the places of those that were not given. What
    /// follows a parameter whose value only the program knows goes by name.
    ///
    /// # Errors
    /// As [`Parameters::bind`].
    pub(crate) fn bind(&self, given: Arguments<'_>) -> Result<Args, Fault> {
        let Parameters { names, defaults, .. } = &self.parameters;
        let mut slots = vec![None; names.len()];
        self.parameters.assign(given, &mut slots)?;
        if slots.iter().zip(defaults).any(|(slot, default)| slot.is_none() && default.is_none()) {
            return Err(self.parameters.missing(&slots));
        }
        for (slot, (default, known)) in
            slots.iter_mut().zip(defaults.iter().zip(&self.default_is_known))
        {
            *slot = slot.or_else(|| default.as_ref().filter(|_| *known).map(Json::from));
        }
        let by_position = slots.iter().position(Option::is_none).unwrap_or(slots.len());
        let (list, rest) = slots.split_at(by_position);
        let by_name = names.iter().skip(by_position).zip(rest);
        Ok(Args::from_parts(
            list.iter().copied().flatten(),
            by_name.filter_map(|(name, slot)| Some((name.as_str(), (*slot)?))),
        ))
    }
}

#[cfg(test)]
mod tests {
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    use super::*;

    /// `scale(value, factor=2, [unit], digits=1)`
    fn scale() -> ForwardedParameters {
        let unit = Parameter { required: false, ..Parameter::required("unit", json!(true)) };
        ForwardedParameters::new(&Signature {
            name: "scale".to_owned(),
            parameters: vec![
                Parameter::required("value", json!(true)),
                Parameter::optional("factor", json!(true), json!(2)),
                unit,
                Parameter::optional("digits", json!(true), json!(1)),
            ],
            ..Signature::default()
        })
    }

    fn bound(positional: &str, keyword: &str) -> Result<(String, String), String> {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (positional, keyword) = (raw(positional), raw(keyword));
        let given =
            Arguments { positional: Some((&positional).into()), keyword: Some((&keyword).into()) };
        let args = scale().bind(given).map_err(|fault| fault.message)?;
        Ok((args.positional().to_owned(), args.keyword().to_owned()))
    }

    #[test]
    fn arguments_arrive_by_position_with_defaults_as_far_as_they_are_known() {
        let is = |list: &str, object: &str| Ok((list.to_owned(), object.to_owned()));
        assert_eq!(bound(r#"[1,3,"m",0]"#, "{}"), is(r#"[1,3,"m",0]"#, "{}"));
        assert_eq!(bound("[1]", "{}"), is("[1,2]", r#"{"digits":1}"#));
        assert_eq!(bound("[]", r#"{"unit":"m","value":1}"#), is(r#"[1,2,"m",1]"#, "{}"));
    }

    #[test]
    fn they_arrive_on_one_line() {
        let expected = (r#"[["a b",1],2]"#.to_owned(), r#"{"digits":{"a":1}}"#.to_owned());
        assert_eq!(bound("[[\"a b\",\n1]]", "{\"digits\":{\"a\":\r\n1}}"), Ok(expected));
    }

    #[test]
    fn what_does_not_fit_the_listed_parameters_is_refused_here() {
        let missing = "scale() missing 1 required positional argument: 'value'";
        assert_eq!(bound("[]", "{}"), Err(missing.to_owned()));
        let many = "scale() takes from 1 to 4 positional arguments but 5 were given";
        assert_eq!(bound("[1,2,3,4,5]", "{}"), Err(many.to_owned()));
        assert!(bound("[1]", r#"{"x":1}"#).unwrap_err().contains("unexpected keyword"));
    }
}
