//! Fuzz target: any text as a line of a daemon's log.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use rpc_console_core::model::logs::{MAX_LINE_BYTES, bounded};
use rpc_wire::report::{Level, LogLine, LogSearch};

#[test]
fn any_text_is_a_log_line_that_is_cut_or_an_error() {
    rpc_fuzz::text("log_line", |text| {
        let Ok(line) = serde_json::from_str::<LogLine>(text) else { return };
        let again = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<LogLine>(&again).unwrap(), line);
        assert!(LogSearch::new(Level::Trace, &line.text()).finds(&line));
        // Of a long line the first part is kept.
        let cut = bounded(line.clone());
        let (all, kept) = (line.text(), cut.text());
        assert!(kept == all || kept.len() <= MAX_LINE_BYTES + '…'.len_utf8(), "{}", kept.len());
        assert!(all.starts_with(kept.trim_end_matches('…')));
        assert!(line.target.starts_with(cut.target.trim_end_matches('…')));
        assert_eq!((cut.seq, cut.at_ms, cut.level), (line.seq, line.at_ms, line.level));
    });
}
