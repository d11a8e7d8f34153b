//! The table of keys: dispatch, hint bar, help and palette all read it, so they cannot disagree.

mod keymap;
mod table;

pub use keymap::{KeyError, KeyLine, Keymap, document};
pub use table::BINDINGS;

use std::borrow::Cow;

use crate::key::Key;
use crate::pane::Pane;

/// What a key or a palette entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the help text of each action is in the table")]
pub enum Action {
    Help,
    Palette,
    Back,
    Escape,
    QuitNow,
    Suspend,
    Repaint,
    ViewInstances,
    ViewMethods,
    ViewHistory,
    ViewLogs,
    ViewLoad,
    ViewDetail,
    ViewEvents,
    PreviousView,
    NextPane,
    PreviousPane,
    FullScreen,
    Pause,
    ToggleMouse,
    SwitchRegistry,
    DemoTraffic,
    DemoServer,
    DemoFault,
    DemoRegistry,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Filter,
    Search,
    NextMatch,
    PreviousMatch,
    Copy,
    CopyAs,
    Save,
    Pager,
    Edit,
    EditJson,
    Pick,
    Actions,
    CancelCall,
    Docs,
    Example,
    FocusResponse,
    FocusForm,
    FilterPath,
    CopyPath,
    OpenInstance,
    OpenLogs,
    Drain,
    SortLeft,
    SortRight,
    SortReverse,
    OpenMethod,
    Send,
    NextField,
    PreviousField,
    EditField,
    ResetForm,
    NextTarget,
    NextTimeout,
    SaveRequest,
    RenameRequest,
    DeleteRequest,
    NextEnvironment,
    Fold,
    Unfold,
    ToggleFold,
    FoldAll,
    PreviousTab,
    NextTab,
    Older,
    Newer,
    OpenCall,
    Resend,
    ResendTo,
    Follow,
    Wrap,
    ShowTime,
    LevelDown,
    LevelUp,
    Sources,
    Mark,
    LoadTest,
    StartLoad,
    StopLoad,
    LoadMode,
    LoadTarget,
    Compare,
    Accept,
    Close,
}

/// Where a key is bound. The innermost context that binds a key wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// Everywhere, unless an inner context binds the key.
    Everywhere,
    /// The table of instances.
    Instances,
    /// The detail of the selected instance.
    Detail,
    /// The list of events.
    Events,
    /// The list of methods.
    Methods,
    /// The form of a call.
    Form,
    /// The arguments of a call as JSON.
    Json,
    /// The response of a call.
    Response,
    /// The list of calls sent.
    History,
    /// The log lines.
    Logs,
    /// The form of a load test.
    LoadPlan,
    /// The results of a load test.
    LoadRun,
    /// A filter being typed.
    Filter,
    /// The help.
    Help,
    /// The palette.
    Palette,
    /// The list of registries.
    Registries,
    /// A menu.
    Menu,
    /// A one-line prompt.
    Prompt,
    /// The list of instances a call can be resent to.
    Resend,
    /// The list of sources of log lines.
    Sources,
    /// A text over the view.
    Reader,
}

impl Context {
    /// Every context, in the order of the help.
    pub const ALL: [Self; 21] = [
        Self::Instances,
        Self::Detail,
        Self::Events,
        Self::Methods,
        Self::Form,
        Self::Json,
        Self::Response,
        Self::History,
        Self::Logs,
        Self::LoadPlan,
        Self::LoadRun,
        Self::Filter,
        Self::Palette,
        Self::Registries,
        Self::Menu,
        Self::Prompt,
        Self::Resend,
        Self::Sources,
        Self::Reader,
        Self::Help,
        Self::Everywhere,
    ];

    /// The context of a pane.
    pub fn of(pane: Pane) -> Self {
        match pane {
            Pane::Instances => Self::Instances,
            Pane::Detail => Self::Detail,
            Pane::Events => Self::Events,
            Pane::Methods => Self::Methods,
            Pane::Form => Self::Form,
            Pane::Response => Self::Response,
            Pane::History => Self::History,
            Pane::Logs => Self::Logs,
            Pane::LoadPlan => Self::LoadPlan,
            Pane::LoadRun => Self::LoadRun,
        }
    }

    /// The heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Instances => "Instances",
            Self::Detail => "Instance detail",
            Self::Events => "Events",
            Self::Methods => "Methods",
            Self::Form => "Call form",
            Self::Json => "Arguments as JSON",
            Self::Response => "Response",
            Self::History => "History",
            Self::Logs => "Logs",
            Self::LoadPlan => "Load plan",
            Self::LoadRun => "Load results",
            Self::Filter => "Filter or search input",
            Self::Help => "Help",
            Self::Palette => "Command palette",
            Self::Registries => "Registries",
            Self::Menu => "Menu",
            Self::Prompt => "Prompt",
            Self::Resend => "Resend to…",
            Self::Sources => "Log sources",
            Self::Reader => "Docs, text or item",
        }
    }

    /// Whether the keys of [`Context::Everywhere`] are disabled in it.
    pub fn is_modal(self) -> bool {
        matches!(
            self,
            Self::Filter
                | Self::Help
                | Self::Palette
                | Self::Registries
                | Self::Menu
                | Self::Prompt
                | Self::Resend
                | Self::Sources
                | Self::Reader
        )
    }

    /// Whether character keys always type text in it.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Filter | Self::Help | Self::Palette | Self::Prompt | Self::Resend | Self::Sources
        )
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The action.
    pub action: Action,
    /// Where the keys are bound.
    pub context: Context,
    /// Any of these keys; the first is the one shown in the hint bar.
    pub keys: Cow<'static, [Key]>,
    /// One or two words for the hint bar; empty: not in the hint bar.
    pub hint: &'static str,
    /// One line for the help and the palette.
    pub help: &'static str,
}

impl Binding {
    /// The name in `[keys]` of `config.ini`: `help`, or with a context `logs.wrap`.
    pub fn name(&self) -> String {
        let action = snake_case(&format!("{:?}", self.action));
        match self.context {
            Context::Everywhere => action,
            context => format!("{}.{action}", snake_case(&format!("{context:?}"))),
        }
    }

    /// Whether the palette and the actions menu offer it: cursor movement needs no name.
    pub fn is_command(&self) -> bool {
        !matches!(
            self.action,
            Action::Up
                | Action::Down
                | Action::PageUp
                | Action::PageDown
                | Action::Top
                | Action::Bottom
                | Action::Palette
                | Action::Escape
                | Action::Accept
                | Action::Close
                | Action::NextField
                | Action::PreviousField
                | Action::Actions
        )
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn lookup(context: Context, typing: bool, key: Key) -> Option<Action> {
        Keymap::default().lookup(context, typing, key)
    }

    #[test]
    fn no_key_is_bound_twice_in_a_context() {
        let mut seen = HashSet::new();
        for row in BINDINGS {
            for key in row.keys.iter() {
                assert!(seen.insert((row.context, *key)), "{key} twice in {:?}", row.context);
            }
        }
    }

    #[test]
    fn every_row_has_a_key_a_context_of_the_help_and_a_help_line() {
        for row in BINDINGS {
            assert!(!row.keys.is_empty() && !row.help.is_empty(), "{row:?}");
            assert!(Context::ALL.contains(&row.context), "{row:?}");
            assert!(row.hint.chars().count() <= 12, "{row:?}: a hint is a word or two");
            assert!(row.help.chars().count() <= 60, "{row:?}: a help line must fit a screen");
        }
    }

    #[test]
    fn an_action_has_one_row_per_context() {
        let mut seen = HashSet::new();
        for row in BINDINGS {
            assert!(seen.insert((row.context, row.action)), "two rows for {row:?}");
        }
    }

    #[test]
    fn escape_never_quits_and_ctrl_c_always_does() {
        for context in Context::ALL {
            let esc = lookup(context, false, Key::plain(crate::key::Code::Esc));
            assert!(!matches!(esc, Some(Action::Back | Action::QuitNow)), "{context:?}");
            assert_eq!(lookup(context, true, Key::ctrl('c')), Some(Action::QuitNow));
        }
    }

    #[test]
    fn a_key_that_types_is_text_while_typing() {
        for context in Context::ALL {
            assert_eq!(lookup(context, true, Key::char('q')), None);
        }
        assert_eq!(lookup(Context::Logs, false, Key::char('q')), Some(Action::Back));
    }
}
