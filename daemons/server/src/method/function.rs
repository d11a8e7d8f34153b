//! Functions of several arguments, and the types of these, as one trait each.

use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::arguments::Parameters;
use crate::extract::{FromCall, Needs, Parts};

/// A function or closure of extractors and parameters, given as a tuple `P`.
pub trait Function<P>: Send + Sync + 'static {
    /// Its return type.
    type Output;
    /// Calls it.
    fn apply(&self, arguments: P) -> Self::Output;
}

/// A type that a parameter can have: serde reads it from JSON, and schemars describes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a parameter",
    label = "not read from JSON, or without a schema",
    note = "a parameter's type owns its data (`String`, not `&str`) and needs \
            `#[derive(serde::Deserialize, schemars::JsonSchema)]`",
    note = "an argument that is not from the caller has `#[extract]`, and comes first"
)]
pub trait Argument: DeserializeOwned + JsonSchema + Send + 'static {}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema + Send + 'static> Argument for T {}

/// The types of a function's arguments: at most four extractors ([`FromCall`]), then a method's `N`
/// parameters ([`Argument`]).
#[diagnostic::on_unimplemented(
    message = "a function of `{Self}` does not fit {N} parameters",
    label = "other arguments than its named parameters",
    note = "name every parameter with `.parameters([…])`, at most eight; extractors come first, at \
            most four"
)]
pub trait Types<const N: usize>: Sized + Send + 'static {
    /// The JSON Schema of each parameter.
    fn schemas() -> [Value; N];

    /// The states that the extractors need.
    fn needs() -> Needs;

    #[doc(hidden)]
    fn read(
        parameters: &Parameters,
        values: [Json<'_>; N],
        parts: &Parts<'_>,
    ) -> Result<Self, Fault>;

    /// Whether the values that there are fit the parameters.
    #[doc(hidden)]
    fn check(parameters: &Parameters, values: &[Option<Box<RawValue>>]) -> Result<(), Fault>;
}

/// The schema of one type, without the keys that only a whole document needs.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
        if object.is_empty() {
            return Value::Bool(true);
        }
    }
    schema
}

macro_rules! functions {
    ($($($type:ident $value:ident),*;)*) => {$(
        impl<F, R, $($type),*> Function<($($type,)*)> for F
        where
            F: Fn($($type),*) -> R + Send + Sync + 'static,
        {
            type Output = R;
            fn apply(&self, ($($value,)*): ($($type,)*)) -> R {
                self($($value),*)
            }
        }
    )*};
}

functions! {
    ;
    A a;
    A a, B b;
    A a, B b, C c;
    A a, B b, C c, D d;
    A a, B b, C c, D d, E e;
    A a, B b, C c, D d, E e, G g;
    A a, B b, C c, D d, E e, G g, H h;
    A a, B b, C c, D d, E e, G g, H h, I i;
    A a, B b, C c, D d, E e, G g, H h, I i, J j;
    A a, B b, C c, D d, E e, G g, H h, I i, J j, K k;
    A a, B b, C c, D d, E e, G g, H h, I i, J j, K k, L l;
    A a, B b, C c, D d, E e, G g, H h, I i, J j, K k, L l, M m;
}

/// One `Types` per number of extractors and of parameters.
macro_rules! types {
    ($($count:literal: $($type:ident $value:ident $index:literal),*;)*) => {$(
        types!(@ ; $count; $($type $value $index),*);
        types!(@ W; $count; $($type $value $index),*);
        types!(@ W X; $count; $($type $value $index),*);
        types!(@ W X Y; $count; $($type $value $index),*);
        types!(@ W X Y Z; $count; $($type $value $index),*);
    )*};
    (@ $($extractor:ident)*; $count:literal; $($type:ident $value:ident $index:literal),*) => {
        impl<$($extractor,)* $($type),*> Types<$count> for ($($extractor,)* $($type,)*)
        where
            $($extractor: FromCall,)*
            $($type: Argument,)*
        {
            fn schemas() -> [Value; $count] {
                [$(schema_of::<$type>()),*]
            }

            fn needs() -> Needs {
                #[allow(unused_mut, reason = "a method without extractors needs nothing")]
                let mut needs = Needs::default();
                $($extractor::needs(&mut needs);)*
                needs
            }

            #[allow(unused_variables, reason = "a method without parameters reads nothing")]
            fn read(
                parameters: &Parameters,
                values: [Json<'_>; $count],
                parts: &Parts<'_>,
            ) -> Result<Self, Fault> {
                let [$($value),*] = values;
                Ok((
                    $($extractor::from_call(parts)?,)*
                    $(parameters.read::<$type>($index, $value)?,)*
                ))
            }

            #[allow(unused_variables, reason = "a method without parameters has no values")]
            fn check(
                parameters: &Parameters,
                values: &[Option<Box<RawValue>>],
            ) -> Result<(), Fault> {
                $(if let Some(Some(value)) = values.get($index) {
                    parameters.read::<$type>($index, value.into())?;
                })*
                Ok(())
            }
        }
    };
}

types! {
    0: ;
    1: A a 0;
    2: A a 0, B b 1;
    3: A a 0, B b 1, C c 2;
    4: A a 0, B b 1, C c 2, D d 3;
    5: A a 0, B b 1, C c 2, D d 3, E e 4;
    6: A a 0, B b 1, C c 2, D d 3, E e 4, G g 5;
    7: A a 0, B b 1, C c 2, D d 3, E e 4, G g 5, H h 6;
    8: A a 0, B b 1, C c 2, D d 3, E e 4, G g 5, H h 6, I i 7;
}
