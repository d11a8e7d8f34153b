//! Writes the hidden trait through which a client calls an implementation in its own process: the same
//! methods with boxed futures, so that it can be a trait object.

use proc_macro2::TokenStream;
use quote::quote;

use super::method::{Kind, Method};
use super::server::items;
use super::{Service, hidden};

pub(super) fn in_process(service: &Service) -> TokenStream {
    let Service { ident, methods, .. } = service;
    let (in_process, shared) = (service.in_process_ident(), hidden("S"));
    let declarations = methods.iter().map(signature);
    let bodies = methods.iter().map(|method| {
        let (signature, body) = (signature(method), body(service, method));
        quote!(#signature { #body })
    });
    quote! {
        #[allow(clippy::too_many_arguments, reason = "as many as the trait's method has")]
        trait #in_process: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#declarations;)*
        }

        #[allow(deprecated, reason = "a deprecated method can still be called")]
        #[allow(clippy::too_many_arguments, reason = "as many as the trait's method has")]
        impl<#shared: #ident> #in_process for #shared {
            #(#bodies)*
        }
    }
}

/// Parameters with a default are optional.
fn signature(method: &Method) -> TokenStream {
    let Method { ident, parameters, .. } = method;
    let parameters = parameters.iter().map(|parameter| {
        let (ident, ty) = (&parameter.ident, &parameter.ty);
        let ty = parameter.optional_type().unwrap_or_else(|| quote!(#ty));
        quote!(#ident: #ty)
    });
    let result = method.client_result();
    let output = match method.kind {
        Kind::Stream => quote!(::rpc_client::typed::BoxStream<#result>),
        _ => quote!(::rpc_client::typed::BoxFuture<#result>),
    };
    let timeout = method.call.iter().map(|_| {
        let timeout = hidden("timeout");
        quote!(#timeout: ::core::option::Option<::core::time::Duration>)
    });
    let parameters = timeout.chain(parameters);
    quote!(fn #ident(self: ::std::sync::Arc<Self>, #(#parameters),*) -> #output)
}

fn body(service: &Service, method: &Method) -> TokenStream {
    let (ident, name, arguments) = (&service.ident, &method.ident, method.arguments());
    let optional = method.parameters.iter().filter(|parameter| !parameter.is_none_by_default());
    let defaults = optional.filter_map(|parameter| {
        let (ident, default) = (&parameter.ident, parameter.default_value()?);
        Some(quote! {
            let #ident = match #ident {
                ::core::option::Option::Some(given) => given,
                ::core::option::Option::None => #default,
            };
        })
    });
    let call = method.call.iter().map(|(ident, ty)| {
        let (name, timeout, guard) = (&method.name, hidden("timeout"), hidden("_guard"));
        quote! {
            let (call, #guard) = ::rpc_server::service::call_in_process(#name, #timeout);
            let #ident: #ty = call;
        }
    });
    let (call, defaults) = (quote!(#(#call)*), quote!(#(#defaults)*));
    let called = quote!(<Self as #ident>::#name(&self, #arguments));
    let outcome = |result: TokenStream| match method.result.error {
        Some(_) => quote!(#result.map_err(::rpc_client::ServiceError::Service)),
        None => quote!(::core::result::Result::Ok(#result)),
    };
    match method.kind {
        Kind::Async => {
            let result = outcome(quote!(#called.await));
            quote!(::std::boxed::Box::pin(async move { #call #defaults #result }))
        }
        Kind::Blocking => {
            let work = quote!(::rpc_server::service::blocking(move || { #defaults #called }).await);
            let result = outcome(work);
            quote!(::std::boxed::Box::pin(async move { #call #result }))
        }
        Kind::Stream => {
            let before = quote!(#call #defaults);
            let items = items(&before, &called, &outcome(quote!(item)));
            quote!(::std::boxed::Box::pin(#items))
        }
    }
}
