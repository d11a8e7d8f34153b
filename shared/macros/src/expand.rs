//! Turns the function's tokens into the tokens of its method.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, ItemFn, Lit, Meta, Result, ReturnType, Type};

use crate::arguments::Arguments;
use crate::example::Example;
use crate::options::Options;

/// The function, and beside it the type that makes its method.
pub(crate) fn method(options: &Options, mut function: ItemFn) -> Result<TokenStream> {
    let examples = Example::take(&mut function.attrs);
    let arguments = Arguments::read(&mut function.sig.inputs)?;
    let server = if options.inside { quote!(crate) } else { quote!(::rpc_server) };
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let name = match &options.name {
        Some(name) => name.value(),
        None => ident.to_string().trim_start_matches("r#").to_owned(),
    };
    let doc = documentation(&function.attrs);
    let body = body(options, &function, &server)?;
    let names = arguments.parameters.iter().map(|parameter| &parameter.name);
    let defaults = arguments.parameters.iter().filter_map(|parameter| {
        let (name, default) = (&parameter.name, parameter.default.as_ref()?);
        Some(quote!(.default(#name, #default)))
    });
    let examples = examples.iter().map(|example| Example::read(example, &arguments));
    let examples = examples.collect::<Result<Vec<_>>>()?;
    let examples = examples.iter().map(|example| example.build(&server));
    let properties = properties(options, &function.attrs);
    let checks = checks(&arguments, &server);
    let about = format!("Makes the method `{name}`.");
    Ok(quote! {
        #function

        #[doc = #about]
        #[allow(non_camel_case_types, reason = "named after the function it stands for")]
        #visibility struct #ident {}

        impl #ident {
            #[doc = #about]
            #[allow(deprecated, reason = "a deprecated method is still served")]
            #visibility fn method() -> #server::Method {
                #checks
                #server::Method::named(#name)
                    .doc(#doc)
                    #(.#properties())*
                    .parameters([#(#names),*])
                    #(#defaults)*
                    #(#examples)*
                    .#body(#ident)
            }
        }
    })
}

/// The builder's methods for what is said of the method.
fn properties(options: &Options, attributes: &[Attribute]) -> Vec<Ident> {
    let deprecated = attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"));
    let effect = options.effect.builder();
    effect
        .into_iter()
        .chain(deprecated.then_some("deprecated"))
        .map(|name| format_ident!("{name}"))
        .collect()
}

/// Statements that fail to compile at the argument whose type does not fit: the builder would only
/// say that one of them does not.
fn checks(arguments: &Arguments, server: &TokenStream) -> TokenStream {
    let extractors = arguments.extractors.iter();
    let extractors =
        extractors.map(|ty| quote_spanned!(ty.span()=> #server::method::is_extractor::<#ty>();));
    let parameters = arguments.parameters.iter().map(|parameter| &parameter.ty);
    let parameters =
        parameters.map(|ty| quote_spanned!(ty.span()=> #server::method::is_argument::<#ty>();));
    quote!(#(#extractors)* #(#parameters)*)
}

/// The builder's method for this kind of body, at the place of the return type, where its errors
/// belong.
fn body(options: &Options, function: &ItemFn, server: &TokenStream) -> Result<TokenStream> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a method cannot be generic"));
    }
    let kind = match (signature.asyncness.is_some(), options.blocking, options.stream) {
        (false, false, true) => "stream",
        (true, false, false) => "asynchronous",
        (false, true, false) => "blocking",
        (false, false, false) => "sync",
        _ => {
            let text = "a method must be one of: plain, `async`, `blocking` or `stream`";
            return Err(Error::new_spanned(signature, text));
        }
    };
    let (span, is_result) = match &signature.output {
        ReturnType::Type(_, output) => (output.span(), is_result(output)),
        ReturnType::Default => (signature.ident.span(), false),
    };
    let ident = Ident::new(kind, span);
    let fallible = respanned(quote!(#server::method::Fallible), span);
    Ok(match (kind, is_result) {
        ("stream", _) | (_, false) => quote!(#ident),
        ("asynchronous", true) => quote_spanned!(span=> #ident::<_, _, #fallible, _>),
        (_, true) => quote_spanned!(span=> #ident::<_, _, #fallible>),
    })
}

fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let at_span = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.into_iter().map(at_span).collect()
}

/// Whether a type is written as a `Result`. Others are told by their type, which fails only for an
/// error that could be a value, too.
fn is_result(output: &Type) -> bool {
    let Type::Path(path) = output else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Result")
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
