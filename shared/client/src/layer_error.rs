//! The error of a layer around the calls of a client.

use std::sync::Arc;

/// An error of a layer itself: a limit it sets, say. What the call failed with is passed on as it is.
#[derive(Debug, Clone)]
pub struct LayerError(Arc<dyn std::error::Error + Send + Sync>);

impl LayerError {
    pub(crate) fn new(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Display for LayerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a layer of the client failed the call: {}", self.0)
    }
}

impl std::error::Error for LayerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// The same error, not one that says the same.
impl PartialEq for LayerError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
