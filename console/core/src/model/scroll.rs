//! Scrolling and moving in lists.

/// The first visible row that keeps `selected` visible in `height` rows of `len`, as near to
/// `top` as possible.
pub fn keep_visible(top: usize, selected: usize, height: usize, len: usize) -> usize {
    let height = height.max(1);
    let top = top.min(len.saturating_sub(height));
    if selected < top {
        selected
    } else if selected >= top + height {
        selected + 1 - height
    } else {
        top
    }
}

/// A step through a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// By this many rows; negative is up.
    By(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

impl Step {
    /// The row after this step from `at` in a list of `len`; 0 when it is empty.
    pub fn from(self, at: usize, len: usize) -> usize {
        let last = len.saturating_sub(1);
        match self {
            Self::By(rows) => at.saturating_add_signed(rows).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_stays_visible_with_the_least_scrolling() {
        assert_eq!(keep_visible(0, 3, 5, 20), 0);
        assert_eq!(keep_visible(0, 5, 5, 20), 1);
        assert_eq!(keep_visible(9, 4, 5, 20), 4);
        assert_eq!(keep_visible(19, 19, 5, 20), 15);
        assert_eq!(keep_visible(7, 0, 0, 0), 0);
    }

    #[test]
    fn a_step_never_leaves_the_list() {
        assert_eq!(Step::By(-3).from(1, 5), 0);
        assert_eq!(Step::By(9).from(1, 5), 4);
        assert_eq!(Step::Last.from(0, 0), 0);
    }
}
