//! Writes the adapter that makes the methods of a server from an implementation.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::method::{Kind, Method};
use super::{Service, hidden};

pub(super) fn server(service: &Service) -> TokenStream {
    let Service { visibility, ident, options, methods, .. } = service;
    let (server, name) = (service.server_ident(), &options.name);
    let (shared, own) = (hidden("S"), hidden("service"));
    let version = match &options.version {
        Some(version) => quote!(::core::option::Option::Some(#version)),
        None => quote!(::core::option::Option::None),
    };
    let methods = methods.iter().map(|method| made(service, method));
    let about = format!(
        "Serves an implementation of [`{ident}`]: `Server::builder().service({server}::new(…))`."
    );
    quote! {
        #[doc = #about]
        #visibility struct #server<#shared> {
            service: ::std::sync::Arc<#shared>,
        }

        impl<#shared: #ident> #server<#shared> {
            /// Serves this implementation, or the one in an `Arc`.
            #visibility fn new(service: #shared) -> Self {
                Self { service: ::std::sync::Arc::new(service) }
            }
        }

        impl<#shared> ::core::fmt::Debug for #server<#shared> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!(#server)).finish_non_exhaustive()
            }
        }

        #[allow(deprecated, reason = "a deprecated method is still served")]
        #[allow(clippy::too_many_arguments, reason = "as many as the trait's method has")]
        impl<#shared: #ident> ::rpc_server::service::Service for #server<#shared> {
            fn name(&self) -> &str {
                #name
            }

            fn version(&self) -> ::core::option::Option<&str> {
                #version
            }

            fn methods(self) -> ::std::vec::Vec<::rpc_server::Method> {
                let #own = self.service;
                ::std::vec![#(#methods),*]
            }
        }
    }
}

/// Statements that fail to compile at the type that does not fit.
fn checks(method: &Method) -> TokenStream {
    let parameters = method.parameters.iter().map(|parameter| check("is_argument", &parameter.ty));
    let result = check("is_output", &method.result.result);
    let error = method.result.error.iter().map(|error| check("is_error", error));
    quote!(#(#parameters)* #result #(#error)*)
}

fn check(what: &str, ty: &Type) -> TokenStream {
    let what = Ident::new(what, ty.span());
    quote_spanned!(ty.span()=> ::rpc_server::method::#what::<#ty>();)
}

/// One method, built like any other.
fn made(service: &Service, method: &Method) -> TokenStream {
    let Method { name, doc, parameters, .. } = method;
    let names = parameters.iter().map(|parameter| &parameter.name);
    let defaults = parameters.iter().filter_map(|parameter| {
        let (name, default) = (&parameter.name, parameter.default_value()?);
        Some(quote!(.default(#name, #default)))
    });
    let deprecated = method.deprecated.then_some("deprecated");
    let properties = method.effect.builder().into_iter().chain(deprecated);
    let properties = properties.map(|name| format_ident!("{name}"));
    let examples = method.examples.iter().map(|example| example.build(&quote!(::rpc_server)));
    let (kind, body, own) = (kind(method), body(service, method), hidden("service"));
    let checks = checks(method);
    quote! {{
        #checks
        let #own = ::std::sync::Arc::clone(&#own);
        ::rpc_server::Method::named(#name)
            .doc(#doc)
            #(.#properties())*
            .parameters([#(#names),*])
            #(#defaults)*
            #(#examples)*
            .#kind(#body)
    }}
}

/// The builder's method for this kind of body.
fn kind(method: &Method) -> TokenStream {
    let returned = match method.result.error {
        Some(_) => quote!(::rpc_server::method::Fallible),
        None => quote!(::rpc_server::method::Plain),
    };
    // What does not fit as a whole is an error at the method's name.
    let span = method.ident.span();
    match method.kind {
        Kind::Async => quote_spanned!(span=> asynchronous::<_, _, #returned, _>),
        Kind::Blocking => quote_spanned!(span=> blocking::<_, _, #returned>),
        Kind::Stream => {
            quote_spanned!(span=> stream::<_, _, ::rpc_server::method::Plain, _, #returned>)
        }
    }
}

/// The closure that calls the implementation.
fn body(service: &Service, method: &Method) -> TokenStream {
    let (ident, name, arguments) = (&service.ident, &method.ident, method.arguments());
    let (shared, service) = (hidden("S"), hidden("service"));
    let call = method.call.iter().map(|(ident, ty)| quote!(#ident: #ty));
    let given = method.parameters.iter().map(|parameter| {
        let (ident, ty) = (&parameter.ident, &parameter.ty);
        quote!(#ident: #ty)
    });
    let all = call.chain(given);
    let called = quote!(<#shared as #ident>::#name(&#service, #arguments));
    // Which of the two traits applies depends on the type of the error.
    let failure = method.result.error.as_ref().map(|error| {
        quote_spanned!(error.span()=> .map_err(|error| {
            #[allow(unused_imports, reason = "one of them is used")]
            use ::rpc_server::service::{DisplayedError as _, SerializedError as _};
            (&::rpc_server::service::Thrown(error)).failure()
        }))
    });
    let work = match method.kind {
        Kind::Async => quote!(async move { #called.await #failure }),
        Kind::Blocking => quote!(#called #failure),
        Kind::Stream => items(&TokenStream::new(), &called, &quote!(item #failure)),
    };
    let own = (method.kind != Kind::Blocking)
        .then(|| quote!(let #service = ::std::sync::Arc::clone(&#service);));
    quote!(move |#(#all),*| { #own #work })
}

/// A stream of what a call of the implementation gives, each `item` as `mapped`.
pub(super) fn items(
    before: &TokenStream,
    called: &TokenStream,
    mapped: &TokenStream,
) -> TokenStream {
    let items = hidden("items");
    quote!(::rpc_server::service::items(move |#items| async move {
        #before
        #items.send_all(#called, |item| #mapped).await;
    }))
}
