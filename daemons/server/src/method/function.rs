//! Functions of several arguments, and the types of these, as one trait each.

use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::arguments::Parameters;

/// A function or closure of up to eight arguments, given as a tuple `P`.
pub trait Function<P>: Send + Sync + 'static {
    /// Its return type.
    type Output;
    /// Calls it.
    fn apply(&self, arguments: P) -> Self::Output;
}

/// The types of a method's `N` parameters: a tuple of types that are read from JSON
/// ([`DeserializeOwned`]) and describe themselves ([`JsonSchema`]).
pub trait Types<const N: usize>: Sized + Send + 'static {
    /// The JSON Schema of each.
    fn schemas() -> [Value; N];

    #[doc(hidden)]
    fn read(parameters: &Parameters, values: [Json<'_>; N]) -> Result<Self, Fault>;

    #[doc(hidden)]
    fn check_defaults(
        parameters: &Parameters,
        defaults: &[Option<Box<RawValue>>],
    ) -> Result<(), Fault>;
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
    ($($count:literal: $($type:ident $value:ident $index:literal),*;)*) => {$(
        impl<F, R, $($type),*> Function<($($type,)*)> for F
        where
            F: Fn($($type),*) -> R + Send + Sync + 'static,
        {
            type Output = R;
            fn apply(&self, ($($value,)*): ($($type,)*)) -> R {
                self($($value),*)
            }
        }

        impl<$($type),*> Types<$count> for ($($type,)*)
        where
            $($type: DeserializeOwned + JsonSchema + Send + 'static,)*
        {
            fn schemas() -> [Value; $count] {
                [$(schema_of::<$type>()),*]
            }

            #[allow(unused_variables, reason = "a method without parameters reads nothing")]
            fn read(parameters: &Parameters, values: [Json<'_>; $count]) -> Result<Self, Fault> {
                let [$($value),*] = values;
                Ok(($(parameters.read::<$type>($index, $value)?,)*))
            }

            #[allow(unused_variables, reason = "a method without parameters has no defaults")]
            fn check_defaults(
                parameters: &Parameters,
                defaults: &[Option<Box<RawValue>>],
            ) -> Result<(), Fault> {
                $(if let Some(Some(default)) = defaults.get($index) {
                    parameters.read::<$type>($index, default.into())?;
                })*
                Ok(())
            }
        }
    )*};
}

functions! {
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
