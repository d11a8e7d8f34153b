//! Binds positional and keyword values to declared parameters, with Python's error texts.

mod forwarded;

use std::borrow::Cow;

use rpc_wire::exact;
use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub(crate) use forwarded::ForwardedParameters;

/// The arguments of a call as received.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arguments<'a> {
    /// A JSON array, or anything else a peer sent.
    pub(crate) positional: Option<Json<'a>>,
    /// A JSON object, or anything else a peer sent.
    pub(crate) keyword: Option<Json<'a>>,
}

impl Arguments<'_> {
    /// Bytes of both.
    pub(crate) fn len(&self) -> usize {
        let bytes = |json: Option<Json<'_>>| json.map_or(0, |json| json.text().len());
        bytes(self.positional) + bytes(self.keyword)
    }
}

/// The declared parameters of a method: names and defaults, required ones first.
#[derive(Debug, Clone)]
pub struct Parameters {
    method: String,
    names: Vec<String>,
    /// The JSON text of each default; `None` where the parameter is required.
    defaults: Vec<Option<Box<RawValue>>>,
}

impl Parameters {
    pub(crate) fn new(
        method: String,
        names: Vec<String>,
        defaults: Vec<Option<Box<RawValue>>>,
    ) -> Self {
        Self { method, names, defaults }
    }

    /// The error texts name the method, so they must be renamed with it.
    pub(crate) fn rename(&mut self, method: String) {
        self.method = method;
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// # Errors
    /// This many positional arguments are too many or too few.
    pub(crate) fn accept(&self, positional: usize) -> Result<(), String> {
        if positional > self.names.len() {
            return Err(self.too_many(positional).message);
        }
        let given = vec![Some(Json::NULL); positional];
        let all: Vec<_> =
            given.into_iter().chain(std::iter::repeat(None)).take(self.names.len()).collect();
        let is_missing =
            |(slot, default): (&Option<Json<'_>>, &Option<_>)| slot.is_none() && default.is_none();
        match std::iter::zip(&all, &self.defaults).any(is_missing) {
            true => Err(self.missing(&all).message),
            false => Ok(()),
        }
    }

    /// One value for each of the `N` parameters, without allocating.
    ///
    /// # Errors
    /// The texts of the older system, in its order: an unexpected keyword, too many, too few.
    pub(crate) fn bind<'a, const N: usize>(
        &'a self,
        given: Arguments<'a>,
    ) -> Result<[Json<'a>; N], Fault> {
        let mut slots: [Option<Json<'a>>; N] = [None; N];
        self.assign(given, &mut slots)?;
        let mut bound = [Json::NULL; N];
        for (index, slot) in slots.into_iter().enumerate() {
            let default = || self.defaults.get(index).and_then(Option::as_ref).map(Json::from);
            bound[index] = match slot.or_else(default) {
                Some(value) => value,
                None => return Err(self.missing(&slots)),
            };
        }
        Ok(bound)
    }

    /// Puts the given values into the slots of their parameters, as many as there are names.
    #[inline]
    fn assign<'a>(
        &self,
        given: Arguments<'a>,
        slots: &mut [Option<Json<'a>>],
    ) -> Result<(), Fault> {
        let mut positional = 0;
        if let Some(list) = given.positional {
            for value in list.elements().ok_or_else(Fault::positional_is_no_list)? {
                if let Some(slot) = slots.get_mut(positional) {
                    *slot = Some(value);
                }
                positional += 1;
            }
        }
        if let Some(object) = given.keyword {
            for (name, value) in object.entries().ok_or_else(Fault::keyword_is_no_object)? {
                let name = name.as_string().unwrap_or(Cow::Borrowed(name.text()));
                match self.names.iter().position(|known| *known == name) {
                    None => return Err(self.unexpected(&name)),
                    Some(index) if index < positional => return Err(self.multiple(&name)),
                    Some(index) => slots[index] = Some(value),
                }
            }
        }
        if positional > slots.len() {
            return Err(self.too_many(positional));
        }
        Ok(())
    }

    /// Reads a bound value as the parameter's type.
    ///
    /// # Errors
    /// It does not fit, or one of its integers would be rounded.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        index: usize,
        value: Json<'_>,
    ) -> Result<T, Fault> {
        let wrong = |why: &str| {
            let name = self.names.get(index).map_or("?", String::as_str);
            Fault::bad_arguments(format!("{}() argument '{name}': {why}", self.method))
        };
        exact::check(value).map_err(|inexact| wrong(&inexact.to_string()))?;
        value.read().map_err(|error| wrong(&explain(&error)))
    }

    fn required(&self) -> usize {
        self.defaults.iter().filter(|default| default.is_none()).count()
    }

    fn too_many(&self, given: usize) -> Fault {
        let (required, all) = (self.required(), self.names.len());
        let takes =
            if required < all { format!("from {required} to {all}") } else { all.to_string() };
        let arguments = if required == all && all == 1 { "argument" } else { "arguments" };
        let were = if given == 1 { "was" } else { "were" };
        Fault::bad_arguments(format!(
            "{}() takes {takes} positional {arguments} but {given} {were} given",
            self.method
        ))
    }

    fn missing(&self, slots: &[Option<Json<'_>>]) -> Fault {
        let missing: Vec<String> =
            std::iter::zip(&self.names, std::iter::zip(slots, &self.defaults))
                .filter(|(_, (slot, default))| slot.is_none() && default.is_none())
                .map(|(name, _)| format!("'{name}'"))
                .collect();
        let names = match missing.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first, second] => format!("{first} and {second}"),
            [most @ .., last] => format!("{}, and {last}", most.join(", ")),
        };
        let arguments = if missing.len() == 1 { "argument" } else { "arguments" };
        Fault::bad_arguments(format!(
            "{}() missing {} required positional {arguments}: {names}",
            self.method,
            missing.len()
        ))
    }

    fn unexpected(&self, keyword: &str) -> Fault {
        let keyword = shorten(keyword);
        let method = &self.method;
        Fault::bad_arguments(format!("{method}() got an unexpected keyword argument '{keyword}'"))
    }

    fn multiple(&self, keyword: &str) -> Fault {
        let method = &self.method;
        Fault::bad_arguments(format!("{method}() got multiple values for argument '{keyword}'"))
    }
}

/// serde's message without positions and names of Rust types, which mean nothing to the caller, at
/// most a line long.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    match text.rsplit_once("expected ") {
        Some((start, "f32" | "f64")) => shorten(&format!("{start}expected a number")).into_owned(),
        Some((
            start,
            "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize",
        )) => shorten(&format!("{start}expected a whole number")).into_owned(),
        _ => shorten(text).into_owned(),
    }
}

fn shorten(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 120;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn parameters(method: &str, names: &[(&str, Option<&str>)]) -> Parameters {
        Parameters::new(
            method.to_owned(),
            names.iter().map(|(name, _)| (*name).to_owned()).collect(),
            names.iter().map(|(_, default)| default.map(raw)).collect(),
        )
    }

    fn check<const N: usize>(parameters: &Parameters, args: &str, kwargs: &str, expected: &str) {
        let (args, kwargs) = (raw(args), raw(kwargs));
        let given = Arguments { positional: Some((&args).into()), keyword: Some((&kwargs).into()) };
        let answer = match parameters.bind::<N>(given) {
            Ok(bound) => bound.map(Json::text).join(" "),
            Err(fault) => fault.classic_text(),
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn arguments_bind_or_fail_with_pythons_error_texts() {
        let add = parameters("add", &[("a", None), ("b", None), ("c", Some("10"))]);
        check::<3>(&add, "[1, 2]", "{}", "1 2 10");
        check::<3>(&add, "[1]", r#"{"b":2,"c":5}"#, "1 2 5");
        check::<3>(&add, "[]", r#"{"b":2,"a":1,"b":3}"#, "1 3 10");
        let error = |args, kwargs, text: &str| {
            check::<3>(&add, args, kwargs, &format!("Argument error: {text}"));
        };
        error("[1]", "{}", "add() missing 1 required positional argument: 'b'");
        error("[]", "{}", "add() missing 2 required positional arguments: 'a' and 'b'");
        error("[1,2,3,4]", "{}", "add() takes from 2 to 3 positional arguments but 4 were given");
        error("[1,2]", r#"{"z":1}"#, "add() got an unexpected keyword argument 'z'");
        error("[1,2]", r#"{"a":1}"#, "add() got multiple values for argument 'a'");
        error("[1,2,3,4]", r#"{"z":1}"#, "add() got an unexpected keyword argument 'z'");
        error("{}", "{}", "method_args must be a list");
        error("[]", "[]", "method_kwargs must be an object");
    }

    #[test]
    fn plurals_match_python() {
        let square = parameters("square", &[("number", None)]);
        let text = "Argument error: square() takes 1 positional argument but 2 were given";
        check::<1>(&square, "[1,2]", "{}", text);
        let now = parameters("now", &[]);
        let text = "Argument error: now() takes 0 positional arguments but 1 was given";
        check::<0>(&now, "[1]", "{}", text);
        let three = parameters("f", &[("a", None), ("b", None), ("c", None)]);
        let text = "Argument error: f() missing 3 required positional arguments: 'a', 'b', and 'c'";
        check::<3>(&three, "[]", "{}", text);
    }

    #[test]
    fn a_value_of_another_type_names_its_parameter() {
        let square = parameters("square", &[("number", None)]);
        let fault = square.read::<f64>(0, (&raw(r#""two""#)).into()).unwrap_err();
        assert_eq!(
            fault.classic_text(),
            "Argument error: square() argument 'number': invalid type: string \"two\", expected a number"
        );
        assert!(square.read::<f64>(0, (&raw("123456789012345678901234567890")).into()).is_err());
    }
}
