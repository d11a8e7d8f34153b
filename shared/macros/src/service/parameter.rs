//! Reads the parameters of a trait's method.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Lit, Meta, Pat, PatType, Path, Receiver, ReceiverKind,
    Result, Signature, Type,
};

use crate::arguments;

/// A parameter that callers give.
pub(super) struct Parameter {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) default: Option<Default>,
}

/// What `#[default(…)]` says.
pub(super) enum Default {
    /// `#[default]`.
    OfType,
    Value(Expr),
}

impl Parameter {
    /// The type whose `None` stands for the default; `None` for a required parameter.
    pub(super) fn optional_type(&self) -> Option<TokenStream> {
        let ty = &self.ty;
        self.default.as_ref()?;
        Some(match self.is_none_by_default() {
            true => quote!(#ty),
            false => quote!(::core::option::Option<#ty>),
        })
    }

    /// Whether it is an `Option` whose default is `None`: then an `Option` around it would only let
    /// callers say the same in two ways.
    pub(super) fn is_none_by_default(&self) -> bool {
        let is_none = match &self.default {
            Some(Default::OfType) => true,
            Some(Default::Value(Expr::Path(value))) => ends_with(&value.path, "None"),
            _ => false,
        };
        is_none && is_named(&self.ty, "Option")
    }

    /// As examples need it.
    pub(super) fn as_argument(&self) -> arguments::Parameter {
        let default = self.default.as_ref().map(|default| match default {
            Default::OfType => syn::parse_quote!(::core::default::Default::default()),
            Default::Value(value) => value.clone(),
        });
        arguments::Parameter { name: self.name.clone(), ty: self.ty.clone(), default }
    }

    /// The default as a value of the parameter's type.
    pub(super) fn default_value(&self) -> Option<TokenStream> {
        let ty = &self.ty;
        Some(match self.default.as_ref()? {
            Default::OfType => quote!(<#ty as ::core::default::Default>::default()),
            // A text as a `String`, or whatever type is made of one.
            Default::Value(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
                let made = quote_spanned!(text.span()=> ::core::convert::Into::into(#text));
                quote!({
                    let value: #ty = #made;
                    value
                })
            }
            Default::Value(value) => quote!({
                let value: #ty = #value;
                value
            }),
        })
    }
}

/// The parameters of a method: the context of the call, and what callers give.
pub(super) struct Parameters {
    /// `call: Call`.
    pub(super) call: Option<(Ident, Type)>,
    pub(super) given: Vec<Parameter>,
}

const MAX_PARAMETERS: usize = 8;

/// # Errors
/// There is no `&self`, or a parameter cannot be given by a caller.
pub(super) fn parameters(signature: &Signature) -> Result<Parameters> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => check_receiver(receiver)?,
        _ => {
            let text = "a method of a service takes `&self` first";
            return Err(Error::new(signature.ident.span(), text));
        }
    }
    let (mut call, mut given) = (None, Vec::<Parameter>::new());
    for (position, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let (ident, ty) = (name(input)?, &*input.ty);
        if is_named(ty, "State") {
            let text = "a method of a service has `&self` for its state; keep it there";
            return Err(Error::new_spanned(ty, text));
        }
        if is_named(ty, "Call") {
            if position > 0 {
                let text = "`Call` comes right after `&self`: callers do not give it";
                return Err(Error::new_spanned(input, text));
            }
            call = Some((ident, ty.clone()));
            continue;
        }
        let parameter = parameter(input, ident)?;
        if parameter.default.is_none() && given.iter().any(|earlier| earlier.default.is_some()) {
            let text = "a parameter without a default cannot follow one with a default";
            return Err(Error::new_spanned(&*input.pat, text));
        }
        if given.len() == MAX_PARAMETERS {
            let text = "a method takes at most eight parameters; use a struct for more";
            return Err(Error::new_spanned(&*input.pat, text));
        }
        given.push(parameter);
    }
    Ok(Parameters { call, given })
}

fn check_receiver(receiver: &Receiver) -> Result<()> {
    match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => Ok(()),
        _ => {
            let text = "a method of a service takes `&self`: many calls run at the same time";
            Err(Error::new_spanned(receiver, text))
        }
    }
}

fn name(input: &PatType) -> Result<Ident> {
    match &*input.pat {
        Pat::Ident(pattern)
            if pattern.by_ref.is_none()
                && pattern.mutability.is_none()
                && pattern.subpat.is_none() =>
        {
            Ok(pattern.ident.clone())
        }
        pattern => {
            let text = "a parameter must be a plain name, not a pattern: callers use it";
            Err(Error::new_spanned(pattern, text))
        }
    }
}

fn parameter(input: &PatType, ident: Ident) -> Result<Parameter> {
    match &*input.ty {
        Type::Reference(reference) => {
            let text = "a parameter must be an owned type, as it is read from the request: \
                        `String` instead of `&str`, `Vec<T>` instead of `&[T]`";
            return Err(Error::new_spanned(reference, text));
        }
        Type::ImplTrait(any) => {
            let text = "a parameter has one type, which callers know; `impl` stands for many";
            return Err(Error::new_spanned(any, text));
        }
        _ => {}
    }
    let mut default = None;
    for attribute in &input.attrs {
        default = Some(read_default(attribute)?);
    }
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    Ok(Parameter { ident, name, ty: (*input.ty).clone(), default })
}

fn read_default(attribute: &Attribute) -> Result<Default> {
    match &attribute.meta {
        Meta::Path(path) if path.is_ident("default") => Ok(Default::OfType),
        Meta::List(list) if list.path.is_ident("default") => {
            Ok(Default::Value(attribute.parse_args()?))
        }
        _ => Err(Error::new_spanned(attribute, "expected `#[default(…)]` or `#[default]`")),
    }
}

/// Whether the type is a path that ends with `name`.
pub(super) fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if ends_with(&path.path, name))
}

pub(super) fn ends_with(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == name)
}
