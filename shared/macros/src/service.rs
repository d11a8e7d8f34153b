//! `#[rpc_service]`: a trait becomes a service, its server adapter and its typed client.
//!
//! In reading order: `options` reads the attribute, `read` the trait, `method` and `parameter` what is
//! in it; then `definition` writes the trait itself, `server` its adapter, `client` its client and
//! `in_process` the calls of an implementation without a server.

mod client;
mod definition;
mod in_process;
mod method;
mod options;
mod parameter;
mod read;
mod server;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, ItemTrait, Result, Visibility};

use method::Method;
pub(crate) use options::Options;

/// A trait, read.
struct Service {
    options: Options,
    /// Its doc comments and further attributes.
    attributes: Vec<Attribute>,
    visibility: Visibility,
    ident: Ident,
    methods: Vec<Method>,
}

impl Service {
    fn client_ident(&self) -> Ident {
        format_ident!("{}Client", self.ident)
    }

    fn server_ident(&self) -> Ident {
        format_ident!("{}Service", self.ident)
    }

    /// The hidden trait that can be a trait object.
    fn in_process_ident(&self) -> Ident {
        format_ident!("{}InProcess", self.ident)
    }
}

/// What the trait becomes.
pub(crate) fn service(options: Options, item: ItemTrait) -> Result<TokenStream> {
    let service = read::service(options, item)?;
    let sides = &service.options.sides;
    let definition = sides.server().then(|| definition::definition(&service));
    let server = sides.server().then(|| server::server(&service));
    let in_process = sides.both().then(|| in_process::in_process(&service));
    let client = sides.client().then(|| client::client(&service));
    Ok(quote!(#definition #server #in_process #client))
}

/// A name in generated code that no name of the trait can clash with.
fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
