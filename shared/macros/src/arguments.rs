//! The arguments of a function: extractors, then parameters with or without a default.

use syn::punctuated::Punctuated;
use syn::{Error, Expr, FnArg, Pat, PatType, Result, Token, Type};

/// What a function takes.
pub(crate) struct Arguments {
    /// The types of what is made from the call.
    pub(crate) extractors: Vec<Type>,
    /// What callers give.
    pub(crate) parameters: Vec<Parameter>,
}

/// One parameter of a method.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) default: Option<Expr>,
}

const MAX_PARAMETERS: usize = 8;
const MAX_EXTRACTORS: usize = 4;

impl Arguments {
    /// Those of a method without extractors.
    pub(crate) fn of(parameters: impl Iterator<Item = Parameter>) -> Self {
        Self { extractors: Vec::new(), parameters: parameters.collect() }
    }

    /// Reads them, and removes the attributes that only this macro knows.
    pub(crate) fn read(inputs: &mut Punctuated<FnArg, Token![,]>) -> Result<Self> {
        let whole = inputs.clone();
        let mut arguments = Self { extractors: Vec::new(), parameters: Vec::new() };
        for input in inputs {
            match input {
                FnArg::Typed(input) => arguments.add(input)?,
                FnArg::Receiver(receiver) => {
                    let text = "a method cannot take `self`; use a free function";
                    return Err(Error::new_spanned(receiver, text));
                }
            }
        }
        if arguments.parameters.len() > MAX_PARAMETERS {
            let text = "a method takes at most eight parameters; use a struct for more";
            return Err(Error::new_spanned(whole, text));
        }
        if arguments.extractors.len() > MAX_EXTRACTORS {
            let text = "a method takes at most four extractors; put several states in a struct";
            return Err(Error::new_spanned(whole, text));
        }
        Ok(arguments)
    }

    /// The parameters that must be given.
    pub(crate) fn required(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.default.is_none())
    }

    fn add(&mut self, input: &mut PatType) -> Result<()> {
        let mut default = None;
        let mut is_extractor = is_extractor(&input.ty);
        for attribute in std::mem::take(&mut input.attrs) {
            if attribute.path().is_ident("default") {
                default = Some(attribute.parse_args::<Expr>()?);
            } else if attribute.path().is_ident("extract") {
                attribute.meta.require_path_only()?;
                is_extractor = true;
            } else {
                let text = "expected `#[default(…)]` or `#[extract]`";
                return Err(Error::new_spanned(attribute, text));
            }
        }
        if is_extractor { self.extractor(input, default) } else { self.parameter(input, default) }
    }

    fn extractor(&mut self, input: &PatType, default: Option<Expr>) -> Result<()> {
        if let Some(default) = default {
            let text = "an extractor is made from the call, and has no default";
            return Err(Error::new_spanned(default, text));
        }
        if let Some(parameter) = self.parameters.first() {
            let text = format!(
                "an extractor comes before the parameters; move it in front of `{}`",
                parameter.name
            );
            return Err(Error::new_spanned(input, text));
        }
        self.extractors.push((*input.ty).clone());
        Ok(())
    }

    fn parameter(&mut self, input: &PatType, default: Option<Expr>) -> Result<()> {
        let Pat::Ident(pattern) = &*input.pat else {
            let text = "a parameter must be a plain name, not a pattern";
            return Err(Error::new_spanned(&input.pat, text));
        };
        match &*input.ty {
            Type::Reference(_) => {
                let text = "a parameter owns its data: `String` instead of `&str`, `Vec<T>` \
                            instead of `&[T]`";
                return Err(Error::new_spanned(&input.ty, text));
            }
            Type::ImplTrait(_) => {
                return Err(Error::new_spanned(&input.ty, "a method cannot be generic"));
            }
            _ => {}
        }
        let has_default = |earlier: &Parameter| earlier.default.is_some();
        if default.is_none() && self.parameters.iter().any(has_default) {
            let text = "a parameter without a default cannot follow one with a default";
            return Err(Error::new_spanned(input, text));
        }
        let name = pattern.ident.to_string().trim_start_matches("r#").to_owned();
        self.parameters.push(Parameter { name, ty: (*input.ty).clone(), default });
        Ok(())
    }
}

/// Whether a type is written as `State<…>` or `Call`, with or without a path. A macro sees no types,
/// so others need `#[extract]`.
pub(crate) fn is_extractor(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        last.ident == "Call" || last.ident == "State" && !last.arguments.is_none()
    })
}
