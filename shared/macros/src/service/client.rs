//! Writes the typed client.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Attribute;
use syn::spanned::Spanned;

use super::method::{Kind, Method};
use super::parameter::Parameter;
use super::{Service, hidden};
use crate::options::Effect;

pub(super) fn client(service: &Service) -> TokenStream {
    let Service { visibility, ident, options, methods, .. } = service;
    let client = service.client_ident();
    let in_process = options.sides.both().then(|| {
        quote! {
            /// Calls this implementation, or the one in an `Arc`, as functions: nothing is
            /// serialised or sent.
            #visibility fn in_process(service: impl #ident) -> Self {
                Self { caller: ::rpc_client::typed::Caller::in_process(::std::sync::Arc::new(service)) }
            }
        }
    });
    let implementation = implementation(service);
    let methods = methods.iter().map(|method| made(service, method));
    let about = format!("Calls the service `{}`. Cheap to clone.", options.name.value());
    let service_name = &options.name;
    let about_new = format!(
        "Calls the client's server, or through its registry the instances of the service `{}`, or of \
         [`Client::service`](::rpc_client::Client::service) where that is set.",
        options.name.value()
    );
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone)]
        #visibility struct #client {
            caller: ::rpc_client::typed::Caller<#implementation>,
        }

        #[allow(clippy::too_many_arguments, reason = "as many as the trait's method has")]
        impl #client {
            #[doc = #about_new]
            #visibility fn new(client: ::rpc_client::Client) -> Self {
                Self { caller: ::rpc_client::typed::Caller::remote(client, #service_name) }
            }

            /// Calls instances of any service that offers the method, and those that do not say
            /// their service, as older ones.
            #visibility fn any_service(client: ::rpc_client::Client) -> Self {
                Self { caller: ::rpc_client::typed::Caller::any_service(client) }
            }

            #in_process

            /// The same client whose calls have these options.
            #[must_use]
            #visibility fn with(&self, options: ::rpc_client::CallOptions) -> Self {
                Self { caller: self.caller.with(options) }
            }

            #(#methods)*
        }
    }
}

/// What a client in process calls: nothing where there is only the client's side.
fn implementation(service: &Service) -> TokenStream {
    if service.options.sides.both() {
        let in_process = service.in_process_ident();
        quote!(dyn #in_process)
    } else {
        quote!(::core::convert::Infallible)
    }
}

impl Method {
    /// What a client's call fails with.
    pub(super) fn client_error(&self) -> TokenStream {
        match &self.result.error {
            Some(error) => quote!(::rpc_client::ServiceError<#error>),
            None => quote!(::rpc_client::CallError),
        }
    }

    /// The result of a client's call, or an item of its stream.
    pub(super) fn client_result(&self) -> TokenStream {
        let (result, error) = (&self.result.result, self.client_error());
        quote!(::core::result::Result<#result, #error>)
    }
}

fn made(service: &Service, method: &Method) -> TokenStream {
    let Method { ident, name, parameters, .. } = method;
    let visibility = &service.visibility;
    let attributes = attributes(method);
    let declared = parameters.iter().map(|parameter| {
        let (ident, ty) = (&parameter.ident, &parameter.ty);
        match parameter.optional_type() {
            Some(ty) => quote!(#ident: impl ::core::convert::Into<#ty>),
            None => quote!(#ident: #ty),
        }
    });
    let optional = parameters.iter().filter_map(|parameter| {
        let (ident, ty) = (&parameter.ident, parameter.optional_type()?);
        Some(quote!(let #ident: #ty = #ident.into();))
    });
    let (client, writer, added) = (hidden("client"), hidden("arguments"), added(parameters));
    let arguments = parameters.iter().map(|parameter| &parameter.ident);
    let idempotent = method.effect != Effect::Unknown;
    let timeout = method.call.iter().map(|_| quote!(self.caller.timeout()));
    let arguments = timeout.chain(arguments.map(|ident| quote!(#ident)));
    let (reader, failed) = (reader(method), failed(method));
    let (output, remote) = match method.kind {
        Kind::Stream => {
            let (item, error) = (&method.result.result, method.client_error());
            let items = quote!(::rpc_client::TypedStream<#item, #error>);
            (quote!(::core::result::Result<#items, #error>), quote!(stream))
        }
        _ => (method.client_result(), quote!(call)),
    };
    let in_process = match (service.options.sides.both(), method.kind) {
        (false, _) => quote!(match **#client {}),
        (true, Kind::Stream) => quote! {
            ::core::result::Result::Ok(
                self.caller.items(::std::sync::Arc::clone(#client).#ident(#(#arguments),*), #failed),
            )
        },
        (true, _) => quote! {
            self.caller.reply(::std::sync::Arc::clone(#client).#ident(#(#arguments),*), #failed).await
        },
    };
    quote! {
        #(#attributes)*
        #visibility async fn #ident(&self, #(#declared),*) -> #output {
            #(#optional)*
            match self.caller.callee() {
                ::rpc_client::typed::Callee::Remote(#client) => {
                    let request = self.caller.request(#name, #idempotent, |#writer| {
                        #added
                        ::core::result::Result::Ok(())
                    });
                    ::rpc_client::typed::#remote(#client, request, #reader, #failed).await
                }
                ::rpc_client::typed::Callee::InProcess(#client) => #in_process,
            }
        }
    }
}

/// Adds the arguments: required ones by position, the others by name where they are given.
fn added(parameters: &[Parameter]) -> TokenStream {
    let arguments = hidden("arguments");
    let added = parameters.iter().map(|parameter| {
        let Parameter { ident, name, ty, default, .. } = parameter;
        // Of an `Option` that is `None` by default, only what is in it is written.
        let written = if parameter.is_none_by_default() { quote!(_) } else { quote!(#ty) };
        let writer = quote_spanned!(ty.span()=> ::rpc_client::typed::writer::<#written>());
        match default {
            None => quote!(#writer.push(#arguments, &#ident)?;),
            Some(_) => quote! {
                if let ::core::option::Option::Some(given) = &#ident {
                    #writer.insert(#arguments, #name, given)?;
                }
            },
        }
    });
    quote!(#(#added)*)
}

/// Reads the result, at the place of its type.
fn reader(method: &Method) -> TokenStream {
    let result = &method.result.result;
    quote_spanned!(result.span()=> ::rpc_client::typed::reader::<#result>())
}

/// Makes the method's error of a failed call.
fn failed(method: &Method) -> TokenStream {
    match &method.result.error {
        Some(error) => {
            quote_spanned!(error.span()=> ::rpc_client::typed::service_error::<#error>())
        }
        None => quote!(::core::convert::identity),
    }
}

/// The method's docs and `#[deprecated]`.
fn attributes(method: &Method) -> Vec<Attribute> {
    let kept = |attribute: &&Attribute| {
        ["doc", "deprecated"].iter().any(|known| attribute.path().is_ident(known))
    };
    let mut kept: Vec<Attribute> = method.attributes.iter().filter(kept).cloned().collect();
    if method.doc.is_empty() {
        let about = format!("Calls `{}`.", method.name);
        kept.push(syn::parse_quote!(#[doc = #about]));
    }
    kept
}
