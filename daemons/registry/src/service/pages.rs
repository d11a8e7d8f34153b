//! All instances, page by page, for readers of any number of them.

use std::time::Instant;

use super::{Service, now, records};
use crate::table::{Row, Scope};

/// Bytes of a page, approximately.
const PAGE: usize = 32 * 1024;

/// How far a reader is that gets the instances page by page: nothing is kept for it in between.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The protocol of the last instance it has, and the number of its registration.
    after: Option<(String, u64)>,
    /// Later registrations are not for this reader, so that it gets no instance twice.
    until: Option<u64>,
    ended: bool,
}

impl Service {
    /// The next part of a scope's instances, with ages, as one JSON array; `None` after the last. An instance that
    /// comes or leaves in between may be missing.
    pub(crate) fn page(&self, scope: &Scope, page: &mut Page) -> Option<Vec<u8>> {
        if page.ended {
            return None;
        }
        let is_first = page.until.is_none();
        let (rows, now) = self.next_rows(scope, page);
        if rows.is_empty() {
            page.ended = true;
            return Some(if is_first { b"[]".to_vec() } else { b"]".to_vec() });
        }
        // Values that came from JSON serialise.
        let mut part =
            serde_json::to_vec(&records(&rows, self.options.ttl, now)).unwrap_or_default();
        part.pop();
        if let Some(opening) = part.first_mut().filter(|_| !is_first) {
            *opening = b',';
        }
        Some(part)
    }

    /// The instances of the next page, and when they were like that; none after the last.
    pub(super) fn next_rows(&self, scope: &Scope, page: &mut Page) -> (Vec<Row>, Instant) {
        let (rows, now) = {
            let state = self.lock();
            let until = *page.until.get_or_insert(state.table.serial());
            (state.table.rows_after(scope, page.after.as_ref(), until, PAGE), now())
        };
        if let Some(last) = rows.last() {
            page.after = Some((last.entry.key.protocol.clone(), last.entry.serial));
        }
        (rows, now)
    }
}
