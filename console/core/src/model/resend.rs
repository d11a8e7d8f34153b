//! Where else a call of the history could be sent: the instances that have its method.

use tui_input::Input;

use super::calls::CallId;

/// The choice of an instance for a call to be sent again.
#[derive(Debug)]
pub struct Resend {
    /// The call.
    pub call: CallId,
    /// What addresses must contain.
    pub filter: Input,
    /// The selected instance.
    pub selected: usize,
}

impl Resend {
    /// A choice for that call, with nothing typed.
    pub fn new(call: CallId) -> Self {
        Self { call, filter: Input::default(), selected: 0 }
    }
}
