//! A list of tools as it is sent: what it says of each is kept once, for all who read it.

use bytes::Bytes;

use crate::reply::Reply;
use crate::tools::Listed;

/// A page of the list, and the reply around it.
#[derive(Debug)]
pub(crate) struct List {
    head: String,
    tools: Vec<Listed>,
    tail: String,
}

impl List {
    /// The tools in a reply that has none yet.
    pub(crate) fn new(reply: Reply, tools: Vec<Listed>) -> Self {
        // In no string: quotes are escaped there.
        const NONE: &str = r#""tools":[]"#;
        let mut head = reply.json;
        let end = head.find(NONE).map_or(head.len(), |at| at + NONE.len() - 1);
        let tail = head.split_off(end);
        Self { head, tools, tail }
    }

    /// Bytes of it.
    pub(crate) fn len(&self) -> usize {
        let commas = self.tools.len().saturating_sub(1);
        let tools: usize = self.tools.iter().map(|tool| tool.json().len()).sum();
        self.head.len() + tools + commas + self.tail.len()
    }

    /// It, piece by piece: the tools are not copied.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        let Self { head, tools, tail } = self;
        let comma = |at| (at > 0).then_some(Bytes::from_static(b","));
        let tools = tools.into_iter().enumerate();
        let tools = tools
            .flat_map(move |(at, tool)| comma(at).into_iter().chain([Bytes::from_owner(tool)]));
        [head.into()].into_iter().chain(tools).chain([tail.into()])
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let Self { head, tools, tail } = self;
        let mut text = String::with_capacity(self.len());
        text.push_str(head);
        for (at, tool) in tools.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(tool.json());
        }
        text.push_str(tail);
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::era::Era;
    use crate::message::Id;
    use crate::tools::tests::{reads, tools_of};

    #[test]
    fn what_a_list_says_of_a_tool_is_the_same_bytes_for_all_who_read_it() {
        let all = tools_of(&["a", "b"].map(|name| reads(name, json!({"type": "number"}))));
        // What looks like the place of the tools is none in a string.
        let id: Id = serde_json::from_str(r#""\"tools\":[]""#).unwrap();
        for era in [Era::Modern, Era::Legacy] {
            let list = || {
                let reply = Reply::result(&id, era, json!({"tools": [], "x": 1}));
                List::new(reply, all.page(era, None, &|_| true, 9).0)
            };
            let (one, other) = (list(), list());
            let (length, text) = (one.len(), one.text());
            let one: Vec<_> = one.pieces().collect();
            assert_eq!((length, one.concat()), (text.len(), text.clone().into_bytes()));
            let text: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(text["id"], r#""tools":[]"#);
            assert_eq!(
                (&text["result"]["tools"][1]["name"], &text["result"]["x"]),
                (&json!("b"), &json!(1))
            );
            let other: Vec<_> = other.pieces().collect();
            let tools = |list: &[Bytes]| [list[1].as_ptr(), list[3].as_ptr()];
            assert_eq!(tools(&one), tools(&other));
        }
    }
}
