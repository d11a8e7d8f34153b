//! The options of `#[rpc_service(…)]`.

use proc_macro2::{Ident, Span};
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Result, Token};

/// The options in the attribute's parentheses.
pub(crate) struct Options {
    pub(super) name: LitStr,
    pub(super) version: Option<LitStr>,
    pub(super) sides: Sides,
}

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    Both,
    Client,
    Server,
}

impl Sides {
    pub(super) fn both(self) -> bool {
        self == Self::Both
    }

    pub(super) fn client(self) -> bool {
        self != Self::Server
    }

    pub(super) fn server(self) -> bool {
        self != Self::Client
    }
}

const EXPECTED: &str = "expected `name = \"…\"`, `version = \"…\"`, `client` or `server`";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut name, mut version, mut sides) = (None, None, Sides::Both);
        while !input.is_empty() {
            let word: Ident = input.parse().map_err(|error| Error::new(error.span(), EXPECTED))?;
            match word.to_string().as_str() {
                "name" => name = Some(text(input)?),
                "version" => version = Some(text(input)?),
                "client" | "server" if sides != Sides::Both => {
                    let both =
                        "`client` or `server` generates one side; without them there are both";
                    return Err(Error::new(word.span(), both));
                }
                "client" => sides = Sides::Client,
                "server" => sides = Sides::Server,
                _ => return Err(Error::new(word.span(), EXPECTED)),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let unnamed = "a service needs a name: `#[rpc_service(name = \"…\")]`";
        let name: LitStr = name.ok_or_else(|| Error::new(Span::call_site(), unnamed))?;
        if !is_service_name(&name.value()) {
            let text = "a service's name has 1 to 64 of `A-Z a-z 0-9 . _ -`";
            return Err(Error::new(name.span(), text));
        }
        Ok(Self { name, version, sides })
    }
}

fn text(input: ParseStream<'_>) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// As `rpc_wire::instance::is_service_name`, on which this crate does not depend.
fn is_service_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
