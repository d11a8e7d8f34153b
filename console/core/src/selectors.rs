//! Read-only queries of the model, shared by view and updates.

mod available;
mod candidates;
mod docs;
mod effect;
mod method_rows;
mod news;
mod palette;
mod remote;
mod selected;
mod sources;
mod spoken;
mod traffic;
mod typing;
mod useful;

pub use available::{NOT_READ_ONLY, READ_ONLY, exists, not_allowed, unavailable};
pub use candidates::{candidates, resend_targets};
pub use docs::docs_of;
pub use effect::is_read_only;
pub use method_rows::{MethodRow, method_rows, selected_row};
pub use news::method_news;
pub use palette::palette_entries;
pub use remote::remote_target;
pub use selected::selected_call;
pub use sources::sources;
pub use spoken::{request_text, speaks};
pub use traffic::{method_traffic, sampled, total_traffic};
pub(crate) use typing::is_typing_load_field;
pub use typing::{context, is_typing};
pub use useful::is_useful;
