//! Turns the function's tokens into the tokens of its method.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, LitStr, Meta, Pat, Result, ReturnType,
    Token, Type,
};

/// The options in the attribute's parentheses.
#[derive(Default)]
pub(crate) struct Options {
    /// The method's name, if it is not the function's.
    name: Option<LitStr>,
    /// It runs on the blocking pool.
    blocking: bool,
    /// It returns a stream.
    stream: bool,
    /// It is defined inside the server crate itself.
    inside: bool,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            if input.peek(Token![crate]) {
                input.parse::<Token![crate]>()?;
                options.inside = true;
            } else {
                let word: Ident = input.parse()?;
                if word == "name" {
                    input.parse::<Token![=]>()?;
                    options.name = Some(input.parse()?);
                } else if word == "blocking" {
                    options.blocking = true;
                } else if word == "stream" {
                    options.stream = true;
                } else {
                    let text = "expected `blocking`, `stream` or `name = \"…\"`";
                    return Err(Error::new(word.span(), text));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// The function, and beside it the type that makes its method.
pub(crate) fn method(options: &Options, mut function: ItemFn) -> Result<TokenStream> {
    let parameters = parameters(&mut function)?;
    let server = if options.inside { quote!(crate) } else { quote!(::rpc_server) };
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let name = match &options.name {
        Some(name) => name.value(),
        None => ident.to_string().trim_start_matches("r#").to_owned(),
    };
    let doc = documentation(&function.attrs);
    let body = format_ident!("{}", body(options, &function)?);
    let names = parameters.iter().map(|parameter| &parameter.name);
    let defaults = parameters.iter().filter_map(|parameter| {
        let (name, default) = (&parameter.name, parameter.default.as_ref()?);
        Some(quote!(.default(#name, #default)))
    });
    let about = format!("Makes the method `{name}`.");
    Ok(quote! {
        #function

        #[doc = #about]
        #[allow(non_camel_case_types, reason = "named after the function it stands for")]
        #visibility struct #ident {}

        impl #ident {
            #[doc = #about]
            #visibility fn method() -> #server::Method {
                #server::Method::named(#name)
                    .doc(#doc)
                    .parameters([#(#names),*])
                    #(#defaults)*
                    .#body(#ident)
            }
        }
    })
}

struct Parameter {
    name: String,
    default: Option<Expr>,
}

/// Reads the parameters and removes their `#[default(…)]` from the function.
fn parameters(function: &mut ItemFn) -> Result<Vec<Parameter>> {
    const MAX_PARAMETERS: usize = 8;
    let mut parameters: Vec<Parameter> = Vec::new();
    for argument in &mut function.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new(
                argument.span(),
                "a method cannot take `self`; use a free function",
            ));
        };
        let Pat::Ident(pattern) = &*argument.pat else {
            return Err(Error::new(
                argument.pat.span(),
                "a parameter must be a plain name, not a pattern",
            ));
        };
        let name = pattern.ident.to_string().trim_start_matches("r#").to_owned();
        let mut default = None;
        for attribute in &argument.attrs {
            if !attribute.path().is_ident("default") {
                return Err(Error::new(attribute.span(), "expected `#[default(…)]`"));
            }
            default = Some(attribute.parse_args::<Expr>()?);
        }
        argument.attrs.clear();
        if default.is_none() && parameters.iter().any(|earlier| earlier.default.is_some()) {
            let text = "a parameter without a default cannot follow one with a default";
            return Err(Error::new(argument.span(), text));
        }
        parameters.push(Parameter { name, default });
    }
    if parameters.len() > MAX_PARAMETERS {
        let text = "a method takes at most eight parameters; use a struct for more";
        return Err(Error::new(function.sig.inputs.span(), text));
    }
    Ok(parameters)
}

/// The builder's method for this kind of body.
fn body(options: &Options, function: &ItemFn) -> Result<&'static str> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a method cannot be generic"));
    }
    let can_fail = returns_result(&signature.output);
    match (signature.asyncness.is_some(), options.blocking, options.stream) {
        (false, false, true) => Ok("stream"),
        (true, false, false) => Ok(if can_fail { "try_asynchronous" } else { "asynchronous" }),
        (false, true, false) => Ok(if can_fail { "try_blocking" } else { "blocking" }),
        (false, false, false) => Ok(if can_fail { "try_sync" } else { "sync" }),
        _ => Err(Error::new(
            signature.span(),
            "a method must be one of: plain, `async`, `blocking` or `stream`",
        )),
    }
}

fn returns_result(output: &ReturnType) -> bool {
    match output {
        ReturnType::Type(_, answer) => match &**answer {
            Type::Path(path) => path.path.segments.last().is_some_and(|s| s.ident == "Result"),
            _ => false,
        },
        ReturnType::Default => false,
    }
}

/// The doc comment as written.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}
