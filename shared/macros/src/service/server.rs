//! Writes the adapter that makes the methods of a server from an implementation.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::method::{Effect, Kind, Method};
use super::{Service, hidden};

pub(super) fn server(service: &Service) -> TokenStream {
    let Service { visibility, ident, options, methods, .. } = service;
    let (server, name) = (service.server_ident(), &options.name);
    let (shared, own) = (hidden("S"), hidden("service"));
    let version = match &options.version {
        Some(version) => quote!(::core::option::Option::Some(#version)),
        None => quote!(::core::option::Option::None),
    };
    let checks = methods.iter().map(Method::checks);
    let methods = methods.iter().map(|method| made(service, method));
    let about = format!(
        "Serves an implementation of [`{ident}`]: `Server::builder().service({server}::new(…))`."
    );
    quote! {
        const _: fn() = || {
            use ::rpc_server::service::bounds;
            #(#checks)*
        };

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
        impl<#shared: #ident> ::rpc_server::Service for #server<#shared> {
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

/// One method, built like any other.
fn made(service: &Service, method: &Method) -> TokenStream {
    let Method { name, doc, parameters, .. } = method;
    let names = parameters.iter().map(|parameter| &parameter.name);
    let defaults = parameters.iter().filter_map(|parameter| {
        let (name, default) = (&parameter.name, parameter.default_value()?);
        Some(quote!(.default(#name, #default)))
    });
    let effect = method.effect.map(|effect| match effect {
        Effect::Idempotent => quote!(.idempotent()),
        Effect::ReadOnly => quote!(.read_only()),
    });
    let deprecated = method.deprecated.then(|| quote!(.deprecated()));
    let (kind, body, own) = (kind(method), body(service, method), hidden("service"));
    quote! {{
        let #own = ::std::sync::Arc::clone(&#own);
        ::rpc_server::Method::named(#name)
            .doc(#doc)
            #effect
            #deprecated
            .parameters([#(#names),*])
            #(#defaults)*
            .#kind(#body)
    }}
}

/// The builder's method for this kind of body.
fn kind(method: &Method) -> Ident {
    let kind = match method.kind {
        Kind::Async => "asynchronous",
        Kind::Blocking => "blocking",
        Kind::Stream => "stream",
    };
    match method.result.error {
        Some(_) => format_ident!("try_{kind}"),
        None => format_ident!("{kind}"),
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
    let failure = method.result.error.as_ref().map(|_| {
        quote!(.map_err(|error| {
            #[allow(unused_imports, reason = "one of them is used")]
            use ::rpc_server::service::{DisplayedError as _, SerializedError as _};
            (&::rpc_server::service::Typed(error)).failure()
        }))
    });
    let work = match method.kind {
        Kind::Async => quote!(async move { #called.await #failure }),
        Kind::Blocking => quote!(#called #failure),
        Kind::Stream => items(&called, &quote!(item #failure)),
    };
    let own = (method.kind != Kind::Blocking)
        .then(|| quote!(let #service = ::std::sync::Arc::clone(&#service);));
    quote!(move |#(#all),*| { #own #work })
}

/// A stream of what a call of the implementation gives, each `item` as `mapped`.
pub(super) fn items(called: &TokenStream, mapped: &TokenStream) -> TokenStream {
    let items = hidden("items");
    quote!(::rpc_server::service::items(move |#items| async move {
        #items.send_all(#called, |item| #mapped).await;
    }))
}
