//! `#[example("what it shows": argument, … => result)]` on a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Expr, LitStr, Result, Token};

use crate::arguments::Arguments;

/// A call that shows how a method is used.
pub(crate) struct Example {
    name: Option<LitStr>,
    arguments: Vec<Expr>,
    result: Option<Expr>,
}

impl Parse for Example {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut example = Self { name: None, arguments: Vec::new(), result: None };
        if input.peek(LitStr) && input.peek2(Token![:]) {
            example.name = Some(input.parse()?);
            input.parse::<Token![:]>()?;
        }
        while !input.is_empty() && !input.peek(Token![=>]) {
            example.arguments.push(input.parse()?);
            if !input.peek(Token![,]) {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        if input.peek(Token![=>]) {
            input.parse::<Token![=>]>()?;
            example.result = Some(input.parse()?);
        }
        if input.is_empty() {
            return Ok(example);
        }
        Err(input.error("expected `#[example(\"what it shows\": argument, … => result)]`"))
    }
}

impl Example {
    /// Removes the examples from a function's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
        let is_example = |attribute: &mut Attribute| attribute.path().is_ident("example");
        attributes.extract_if(.., is_example).collect()
    }

    /// Reads one, which must fit the parameters.
    pub(crate) fn read(attribute: &Attribute, of: &Arguments) -> Result<Self> {
        let example: Self = match &attribute.meta {
            // Without parentheses: a call without arguments.
            syn::Meta::Path(_) => Self { name: None, arguments: Vec::new(), result: None },
            _ => attribute.parse_args()?,
        };
        let (given, all) = (example.arguments.len(), of.parameters.len());
        if let Some(extra) = example.arguments.get(all) {
            let parameters = if all == 1 { "parameter" } else { "parameters" };
            let text = format!("the method has {all} {parameters}, the example {given} arguments");
            return Err(Error::new_spanned(extra, text));
        }
        if let Some(missing) = of.required().nth(given) {
            let text = format!("`{}` has no default, so an example must give it", missing.name);
            return Err(Error::new_spanned(attribute, text));
        }
        Ok(example)
    }

    /// The call of the builder.
    pub(crate) fn build(&self, server: &TokenStream) -> TokenStream {
        let arguments = &self.arguments;
        let name = self.name.iter();
        let result = self.result.iter();
        quote! {
            .example(
                #server::method::Example::of((#(#arguments,)*))
                    #(.named(#name))*
                    #(.result(#result))*
            )
        }
    }
}
