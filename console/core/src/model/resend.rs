//! The choice of an instance to resend a call to.

use tui_input::Input;

use super::calls::CallId;

/// The choice of an instance to resend a call to.
#[derive(Debug)]
pub struct Resend {
    /// The call to resend.
    pub call: CallId,
    /// Text that addresses must contain.
    pub filter: Input,
    /// The index of the selected instance.
    pub selected: usize,
}

impl Resend {
    /// A choice for this call, without a filter.
    pub fn new(call: CallId) -> Self {
        Self { call, filter: Input::default(), selected: 0 }
    }
}
