//! Reads the trait.

use quote::ToTokens;
use syn::{Error, ItemTrait, Result, TraitItem};

use super::{Method, Options, Service};

/// # Errors
/// Something in it cannot be called from elsewhere. Every mistake is reported, not only the first.
pub(super) fn service(options: Options, item: ItemTrait) -> Result<Service> {
    let mut errors = Errors::default();
    if !item.generics.params.is_empty() {
        errors
            .add(&item.generics, "a service cannot be generic: its callers know one set of types");
    }
    if !item.supertraits.is_empty() {
        let text = "a service has no supertraits; it is `Send + Sync + 'static` in any case";
        errors.add(&item.supertraits, text);
    }
    let mut methods: Vec<Method> = Vec::new();
    for item in item.items {
        let TraitItem::Fn(function) = item else {
            errors.add(&item, "a service has methods only");
            continue;
        };
        match Method::read(function, &options) {
            Ok(method) => {
                if methods.iter().any(|earlier| earlier.name == method.name) {
                    errors.add(&method.ident, "another method has this name");
                }
                methods.push(method);
            }
            Err(error) => errors.push(error),
        }
    }
    errors.none_or()?;
    Ok(Service {
        options,
        attributes: item.attrs,
        visibility: item.vis,
        ident: item.ident,
        methods,
    })
}

/// The errors found so far.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn add(&mut self, at: &impl ToTokens, text: &str) {
        self.push(Error::new_spanned(at, text));
    }

    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    fn none_or(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
