//! Reads one method of the trait.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Attribute, Block, Error, GenericArgument, LitStr, PathArguments, Result, ReturnType, Signature,
    TraitItemFn, Type, TypeImplTrait, TypeParamBound,
};

use super::Options;
use super::parameter::{self, Parameter, Parameters, ends_with};
use crate::arguments::Arguments;
use crate::example::Example;
use crate::expand::documentation;
use crate::options::Effect;

/// A method of the trait.
pub(super) struct Method {
    /// Doc comments, `#[deprecated]` and attributes for the compiler.
    pub(super) attributes: Vec<Attribute>,
    pub(super) ident: Ident,
    /// Its name for callers.
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) effect: Effect,
    pub(super) examples: Vec<Example>,
    pub(super) deprecated: bool,
    pub(super) call: Option<(Ident, Type)>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) kind: Kind,
    /// The return type as written.
    pub(super) output: ReturnType,
    pub(super) result: Outcome,
    pub(super) body: Option<Block>,
}

/// How a method runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Async,
    Blocking,
    Stream,
}

/// The types of a result, or of an item of a stream.
pub(super) struct Outcome {
    pub(super) result: Type,
    /// `E` of `Result<T, E>`.
    pub(super) error: Option<Type>,
}

/// Names of the client's own methods.
const OF_CLIENT: [&str; 4] = ["new", "any_service", "with", "in_process"];

impl Method {
    /// # Errors
    /// It cannot be called from elsewhere.
    pub(super) fn read(function: TraitItemFn, options: &Options) -> Result<Self> {
        let TraitItemFn { mut attrs, sig, default: body, .. } = function;
        if !sig.generics.params.is_empty() {
            let text = "a method cannot be generic: its callers know one set of types";
            return Err(Error::new_spanned(&sig.generics, text));
        }
        let rpc = Rpc::take(&mut attrs)?;
        let examples = Example::take(&mut attrs);
        let ident = sig.ident.clone();
        let own_name = ident.to_string().trim_start_matches("r#").to_owned();
        if options.sides.client() && OF_CLIENT.contains(&&*own_name) {
            let text = format!(
                "the client has a method `{own_name}` of its own; \
                 choose another name and add `#[rpc(name = \"{own_name}\")]`"
            );
            return Err(Error::new(ident.span(), text));
        }
        let Parameters { call, given } = parameter::parameters(&sig)?;
        let (kind, result) = kind(&sig, rpc.blocking)?;
        let arguments = Arguments::of(given.iter().map(Parameter::as_argument));
        let examples = examples.iter().map(|example| Example::read(example, &arguments));
        let examples = examples.collect::<Result<_>>()?;
        Ok(Self {
            doc: documentation(&attrs),
            deprecated: attrs.iter().any(|attribute| attribute.path().is_ident("deprecated")),
            attributes: attrs,
            ident,
            name: rpc.name.map_or(own_name, |name| name.value()),
            effect: rpc.effect,
            examples,
            call,
            parameters: given,
            kind,
            output: sig.output,
            result,
            body,
        })
    }

    /// The names of all parameters, as the trait's method takes them.
    pub(super) fn arguments(&self) -> TokenStream {
        let call = self.call.iter().map(|(ident, _)| ident);
        let given = self.parameters.iter().map(|parameter| &parameter.ident);
        let all = call.chain(given);
        quote!(#(#all),*)
    }
}

/// What `#[rpc(…)]` says.
#[derive(Default)]
struct Rpc {
    effect: Effect,
    blocking: bool,
    name: Option<LitStr>,
}

impl Rpc {
    /// Reads it and removes it from the attributes.
    fn take(attributes: &mut Vec<Attribute>) -> Result<Self> {
        let mut rpc = Self::default();
        for attribute in attributes.iter() {
            if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                let text = "a method of a service cannot be conditional: put `cfg` on the trait";
                return Err(Error::new_spanned(attribute, text));
            }
            if attribute.path().is_ident("rpc") {
                attribute.parse_nested_meta(|meta| rpc.option(&meta))?;
            }
        }
        attributes.retain(|attribute| !attribute.path().is_ident("rpc"));
        Ok(rpc)
    }

    fn option(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
        let effect = if meta.path.is_ident("read_only") {
            Effect::ReadOnly
        } else if meta.path.is_ident("idempotent") {
            Effect::Idempotent
        } else if meta.path.is_ident("blocking") {
            self.blocking = true;
            return Ok(());
        } else if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
            return Ok(());
        } else {
            let text = "expected `read_only`, `idempotent`, `blocking` or `name = \"…\"`";
            return Err(meta.error(text));
        };
        if self.effect != Effect::Unknown && self.effect != effect {
            let text = "a method that is `read_only` is idempotent already; keep one of the two";
            return Err(meta.error(text));
        }
        self.effect = effect;
        Ok(())
    }
}

fn kind(signature: &Signature, blocking: bool) -> Result<(Kind, Outcome)> {
    let output = match &signature.output {
        ReturnType::Type(_, output) => Some(&**output),
        ReturnType::Default => None,
    };
    let item = match output {
        Some(Type::ImplTrait(output)) => Some(stream_item(output)?),
        _ => None,
    };
    let kind = match (item, &signature.asyncness, blocking) {
        (Some(item), None, false) => return Ok((Kind::Stream, outcome(item)?)),
        (Some(_), Some(asyncness), _) => {
            let text = "a method that returns a stream is a plain `fn`: it awaits in the stream";
            return Err(Error::new(asyncness.span, text));
        }
        (None, Some(_), false) => Kind::Async,
        (None, None, true) => Kind::Blocking,
        (_, _, true) => {
            let text = "a method with `#[rpc(blocking)]` is a plain `fn` without a stream";
            return Err(Error::new(signature.ident.span(), text));
        }
        (None, None, false) => {
            let text = "a method of a service is an `async fn`, returns `impl Stream<Item = …>`, \
                        or has `#[rpc(blocking)]`";
            return Err(Error::new(signature.fn_token.span, text));
        }
    };
    let unit = syn::parse_quote!(());
    Ok((kind, outcome(output.unwrap_or(&unit))?))
}

/// `T` of `impl Stream<Item = T>`.
fn stream_item(output: &TypeImplTrait) -> Result<&Type> {
    let bounds = output.bounds.iter();
    let arguments = bounds.filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) if ends_with(&bound.path, "Stream") => {
            match &bound.path.segments.last()?.arguments {
                PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
                _ => None,
            }
        }
        _ => None,
    });
    let item = arguments.flatten().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
        _ => None,
    });
    let text = "the only `impl` type that a method can return is `impl Stream<Item = …>`";
    item.ok_or_else(|| Error::new_spanned(output, text))
}

/// `T`, or `T` and `E` of `Result<T, E>`.
fn outcome(ty: &Type) -> Result<Outcome> {
    let Type::Path(path) = ty else { return Ok(Outcome { result: ty.clone(), error: None }) };
    let Some(segment) = path.path.segments.last().filter(|segment| segment.ident == "Result")
    else {
        return Ok(Outcome { result: ty.clone(), error: None });
    };
    let types = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    match types[..] {
        [GenericArgument::Type(result), GenericArgument::Type(error)] => {
            Ok(Outcome { result: result.clone(), error: Some(error.clone()) })
        }
        _ => {
            let text = "name the error's type, which callers get: `Result<T, E>`";
            Err(Error::new_spanned(ty, text))
        }
    }
}
