//! The options in the parentheses of `#[rpc_method(…)]`.

use proc_macro2::Ident;
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Result, Token};

/// What is said of a method besides its function.
#[derive(Default)]
pub(crate) struct Options {
    /// The method's name, if it is not the function's.
    pub(crate) name: Option<LitStr>,
    /// It runs on the blocking pool.
    pub(crate) blocking: bool,
    /// It returns a stream.
    pub(crate) stream: bool,
    /// What a call of it changes.
    pub(crate) effect: Effect,
    /// It is defined inside the server crate itself.
    pub(crate) inside: bool,
}

/// What a call changes.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    #[default]
    Unknown,
    Idempotent,
    ReadOnly,
}

impl Effect {
    /// The builder's method for it.
    pub(crate) fn builder(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Idempotent => Some("idempotent"),
            Self::ReadOnly => Some("read_only"),
        }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            if input.peek(Token![crate]) {
                input.parse::<Token![crate]>()?;
                options.inside = true;
            } else {
                options.word(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn word(&mut self, input: ParseStream<'_>) -> Result<()> {
        let word: Ident = input.parse()?;
        match word.to_string().as_str() {
            "name" => {
                input.parse::<Token![=]>()?;
                self.name = Some(input.parse()?);
            }
            "blocking" => self.blocking = true,
            "stream" => self.stream = true,
            "read_only" => self.set_effect(Effect::ReadOnly, &word)?,
            "idempotent" => self.set_effect(Effect::Idempotent, &word)?,
            _ => {
                let text = "expected `read_only`, `idempotent`, `blocking`, `stream` or \
                            `name = \"…\"`";
                return Err(Error::new(word.span(), text));
            }
        }
        Ok(())
    }

    fn set_effect(&mut self, effect: Effect, word: &Ident) -> Result<()> {
        if self.effect != Effect::Unknown && self.effect != effect {
            let text = "a method that is `read_only` is idempotent already; keep one of the two";
            return Err(Error::new(word.span(), text));
        }
        self.effect = effect;
        Ok(())
    }
}
