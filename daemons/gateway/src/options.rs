//! Every limit and time of a gateway, with its default.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::framing::FrameLimits;
use rpc_wire::signature::Signature;

use crate::Exposure;

/// What a gateway offers, and its limits. Each field says its default.
///
/// Later versions may have more fields: end a literal with `..GatewayOptions::default()`.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Which methods are tools; those that say that they are read-only.
    pub exposure: Exposure,
    /// What the name of each tool begins with: letters, digits, `_`, `-` and `.`; nothing.
    pub prefix: String,
    /// The methods of the one server that the client calls, which is then not asked for them; none.
    pub described: Option<Arc<[Signature]>>,
    /// Time for a call; 30 s. What a stream has sent by then is its result.
    pub timeout: Duration,
    /// Calls in flight at once; 1,024, of which one peer has those of its connections. One more is answered at once, with an error that says so.
    pub max_calls: usize,
    /// Open subscriptions at once; 1,024, in the same way. One more is refused.
    pub max_subscriptions: usize,
    /// Bytes of one message; 1 MiB. A longer one is refused.
    pub max_message_bytes: usize,
    /// Nesting of a message; 64. A deeper one is refused.
    pub max_nesting: u32,
    /// Bytes of a result as JSON; 4 MiB. A longer one is an error that says so; a stream ends before it.
    pub max_result_bytes: usize,
    /// Bytes of results on lines that the client has not read, with those of calls under way, each counted as
    /// `max_result_bytes`; 256 MiB. Further calls wait until it reads. As many bytes of requests are read before they are answered.
    pub max_unwritten_bytes: usize,
    /// Items of a stream in one result; 1,000. It ends there.
    pub max_items: usize,
    /// Tools; 2,000. Further ones are left out, which is logged.
    pub max_tools: usize,
    /// Bytes of one tool in the list, of which its description has half at most; 32 KiB. A longer description is cut, a
    /// tool whose schemas are longer is left out, which is logged.
    pub max_tool_bytes: usize,
    /// Bytes of all of them; 8 MiB. Further ones are left out in the same way, of each service as many as there is room for.
    pub max_list_bytes: usize,
    /// Tools in one page of the list; 500. The rest follows on request.
    pub max_page_tools: usize,
    /// For how long clients may keep the list; 1 s.
    pub list_ttl: Duration,
    /// Least time between two reports of a call's progress; 50 ms. What comes sooner is not reported.
    pub progress_interval: Duration,
    /// Longest time in which the methods of new instances are waited for before the list is what is known; 500 ms.
    pub learn_timeout: Duration,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            exposure: Exposure::default(),
            prefix: String::new(),
            described: None,
            timeout: Duration::from_secs(30),
            max_calls: 1024,
            max_subscriptions: 1024,
            max_message_bytes: 1 << 20,
            max_nesting: 64,
            max_result_bytes: 4 << 20,
            max_unwritten_bytes: 256 << 20,
            max_items: 1000,
            max_tools: 2000,
            max_tool_bytes: 32 << 10,
            max_list_bytes: 8 << 20,
            max_page_tools: 500,
            list_ttl: Duration::from_secs(1),
            progress_interval: Duration::from_millis(50),
            learn_timeout: Duration::from_millis(500),
        }
    }
}

impl GatewayOptions {
    pub(crate) fn frame_limits(&self) -> FrameLimits {
        FrameLimits { max_bytes: self.max_message_bytes, max_depth: self.max_nesting }
    }
}
