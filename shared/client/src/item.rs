//! One item of a stream, and what a connection tells the stream's reader.

use serde_json::value::RawValue;

use crate::CallError;

/// One item of a stream.
#[derive(Debug, Clone)]
pub struct StreamItem {
    /// The item as it was written.
    pub value: Box<RawValue>,
    /// Items the server had to drop just before this one.
    pub dropped: u64,
}

/// What a connection tells a stream.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    Item(StreamItem),
    /// It is over, with a last item or without.
    End(Option<StreamItem>),
    Failed(CallError),
}

impl StreamItem {
    pub(crate) fn new(value: &RawValue, dropped: u64) -> Self {
        Self { value: value.to_owned(), dropped }
    }
}
