//! Writes the trait itself, as its implementors see it, and its implementation for `Arc`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ReturnType, Type};

use super::method::{Kind, Method};
use super::{Service, hidden};

/// The trait with futures that can be sent, so that implementors write `async fn`.
pub(super) fn definition(service: &Service) -> TokenStream {
    let Service { attributes, visibility, ident, methods, .. } = service;
    let shared = hidden("S");
    let declarations = methods.iter().map(|method| {
        let attributes = &method.attributes;
        let signature = signature(method);
        match (&method.body, method.kind) {
            (None, _) => quote!(#(#attributes)* #signature;),
            (Some(body), Kind::Async) => quote!(#(#attributes)* #signature { async move #body }),
            (Some(body), _) => quote!(#(#attributes)* #signature #body),
        }
    });
    let forwarded = methods.iter().map(|method| {
        let (name, signature, arguments) = (&method.ident, signature(method), method.arguments());
        quote!(#signature { <#shared as #ident>::#name(self, #arguments) })
    });
    quote! {
        #(#attributes)*
        #visibility trait #ident: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#declarations)*
        }

        #[allow(deprecated, reason = "a deprecated method is still served")]
        #[allow(clippy::too_many_arguments, reason = "as many as the trait's method has")]
        impl<#shared: #ident> #ident for ::std::sync::Arc<#shared> {
            #(#forwarded)*
        }
    }
}

/// `fn name(&self, …) -> impl Future<Output = …> + Send`.
fn signature(method: &Method) -> TokenStream {
    let Method { ident, call, parameters, output, .. } = method;
    let call = call.iter().map(|(ident, ty)| quote!(#ident: #ty));
    let given = parameters.iter().map(|parameter| {
        let (ident, ty) = (&parameter.ident, &parameter.ty);
        quote!(#ident: #ty)
    });
    let all = call.chain(given);
    let written = match output {
        ReturnType::Type(_, ty) => quote!(#ty),
        ReturnType::Default => quote!(()),
    };
    let output = match (method.kind, output) {
        (Kind::Async, _) => {
            quote!(impl ::core::future::Future<Output = #written> + ::core::marker::Send)
        }
        (Kind::Stream, ReturnType::Type(_, ty)) => match &**ty {
            Type::ImplTrait(stream) => {
                let bounds = &stream.bounds;
                quote!(impl #bounds + ::core::marker::Send)
            }
            _ => written,
        },
        _ => written,
    };
    quote!(fn #ident(&self, #(#all),*) -> #output)
}
