//! The table itself.

use super::Action::{self, *};
use super::Binding;
use super::Context::{self, Everywhere};
use crate::key::{Code, Key};

const fn row(
    context: Context,
    action: Action,
    keys: &'static [Key],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { action, context, keys, hint, help }
}

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const TAB: Key = Key::plain(Code::Tab);
const BACK_TAB: Key = Key::plain(Code::BackTab);
const UP: Key = Key::plain(Code::Up);
const DOWN: Key = Key::plain(Code::Down);
const LEFT: Key = Key::plain(Code::Left);
const RIGHT: Key = Key::plain(Code::Right);
const PAGE_UP: Key = Key::plain(Code::PageUp);
const PAGE_DOWN: Key = Key::plain(Code::PageDown);

/// Every key the console knows, nearest context first, in the order of hint bar and help.
pub const BINDINGS: &[Binding] = &[
    row(Context::Instances, OpenInstance, &[ENTER], "methods", "show the methods of this instance"),
    row(Context::Instances, LogsOf, &[Key::char('L')], "logs", "show the logs of this instance"),
    row(
        Context::Instances,
        Filter,
        &[Key::char('/')],
        "filter",
        "filter by address, state or parameter",
    ),
    row(Context::Instances, SortRight, &[Key::char('>')], "sort", "sort by the next column"),
    row(Context::Instances, SortLeft, &[Key::char('<')], "", "sort by the previous column"),
    row(Context::Instances, SortInvert, &[Key::char('I')], "invert", "invert the order"),
    row(
        Context::Instances,
        DemoServer,
        &[Key::char('K')],
        "crash/start",
        "demo: crash this server, or start it again",
    ),
    row(Context::Instances, Action::Copy, &[Key::char('y')], "", "copy the address"),
    row(Context::Events, Action::Copy, &[Key::char('y')], "copy", "copy the newest event"),
    row(
        Context::Methods,
        OpenMethod,
        &[ENTER, RIGHT, Key::char('l')],
        "call",
        "fill in a call of this method",
    ),
    row(
        Context::Methods,
        Filter,
        &[Key::char('/')],
        "find",
        "find a method by typing parts of its name",
    ),
    row(Context::Methods, Action::Copy, &[Key::char('y')], "", "copy the method's name"),
    row(Context::Form, Send, &[ENTER], "send", "send the call"),
    row(
        Context::Form,
        NextField,
        &[TAB, DOWN, Key::char('j')],
        "field",
        "next field; from the last one the next pane",
    ),
    row(
        Context::Form,
        PreviousField,
        &[BACK_TAB, UP, Key::char('k')],
        "",
        "previous field; from the first one the previous pane",
    ),
    row(
        Context::Form,
        Escape,
        &[ESC],
        "leave",
        "cancel a running call; leave the field, then the form",
    ),
    row(Context::Form, EditField, &[Key::char('i')], "", "type into the field again"),
    row(
        Context::Form,
        NextTarget,
        &[Key::ctrl('t'), Key::char('t')],
        "target",
        "send to: any instance, or one of them",
    ),
    row(
        Context::Form,
        NextTimeout,
        &[Key::ctrl('o'), Key::char('o')],
        "timeout",
        "how long to wait: 1, 5, 10, 30 or 60 s",
    ),
    row(
        Context::Form,
        ResetForm,
        &[Key::ctrl('r'), Key::char('d')],
        "reset",
        "every field back to its default",
    ),
    row(
        Context::Form,
        Action::Copy,
        &[Key::char('y')],
        "",
        "copy the request as it goes over the wire",
    ),
    row(Context::Response, ToggleFold, &[ENTER], "fold", "fold or unfold the line"),
    row(
        Context::Response,
        Fold,
        &[LEFT, Key::char('h')],
        "",
        "fold, or go to what encloses the line",
    ),
    row(Context::Response, Unfold, &[RIGHT, Key::char('l')], "", "unfold"),
    row(Context::Response, FoldAll, &[Key::char('z')], "all", "fold or unfold everything"),
    row(Context::Response, NextTab, &[Key::char('}')], "tab", "next tab: Body, Wire, Timing"),
    row(Context::Response, PreviousTab, &[Key::char('{')], "", "previous tab"),
    row(Context::Response, Older, &[Key::char('[')], "older", "the call before this one"),
    row(Context::Response, Newer, &[Key::char(']')], "", "the call after this one"),
    row(Context::Response, Replay, &[Key::char('r')], "again", "send the same call again"),
    row(Context::Response, Action::Copy, &[Key::char('y')], "copy", "copy the result"),
    row(Context::History, OpenCall, &[ENTER], "open", "show the call's response and its form"),
    row(Context::History, Replay, &[Key::char('r')], "replay", "send the same call again"),
    row(
        Context::History,
        Filter,
        &[Key::char('/')],
        "filter",
        "filter by method, arguments or outcome",
    ),
    row(
        Context::History,
        Action::Copy,
        &[Key::char('y')],
        "copy",
        "copy the request as it went over the wire",
    ),
    row(
        Context::Logs,
        Follow,
        &[Key::char('F'), Key::char(' ')],
        "follow",
        "follow the newest line, or stop there",
    ),
    row(Context::Logs, LevelDown, &[Key::char('<')], "more", "show a less severe level too"),
    row(Context::Logs, LevelUp, &[Key::char('>')], "fewer", "show more severe levels only"),
    row(
        Context::Logs,
        NextSource,
        &[Key::char('s')],
        "source",
        "lines of one source only, or of all",
    ),
    row(Context::Logs, Filter, &[Key::char('/')], "filter", "lines that contain a text"),
    row(Context::Logs, Wrap, &[Key::char('w')], "wrap", "wrap long lines"),
    row(Context::Logs, ShowTime, &[Key::char('T')], "", "show or hide the time"),
    row(
        Context::Logs,
        Mark,
        &[Key::char('m')],
        "mark",
        "draw a line here, to find the place again",
    ),
    row(Context::Logs, Action::Copy, &[Key::char('y')], "", "copy the line at the bottom"),
    row(Context::Filter, Accept, &[ENTER, TAB, DOWN], "keep", "keep the filter"),
    row(Context::Filter, Close, &[ESC], "clear", "clear the filter"),
    row(
        Context::Palette,
        Accept,
        &[ENTER],
        "do it",
        "do what is selected, or send the call as typed",
    ),
    row(Context::Palette, Down, &[DOWN, TAB, Key::ctrl('n')], "next", "next entry"),
    row(Context::Palette, Up, &[UP, BACK_TAB, Key::ctrl('p')], "previous", "previous entry"),
    row(Context::Palette, Close, &[ESC], "close", "close the palette"),
    row(
        Context::Help,
        Close,
        &[ESC, ENTER, Key::plain(Code::F(1))],
        "close",
        "close the help; type to filter it",
    ),
    row(Context::Help, Up, &[UP], "up", "scroll up"),
    row(Context::Help, Down, &[DOWN], "down", "scroll down"),
    row(Context::Help, PageUp, &[PAGE_UP], "", "scroll a page up"),
    row(Context::Help, PageDown, &[PAGE_DOWN], "", "scroll a page down"),
    row(Everywhere, NextPane, &[TAB], "pane", "next pane"),
    row(Everywhere, PreviousPane, &[BACK_TAB], "", "previous pane"),
    row(Everywhere, DemoTraffic, &[Key::char('D')], "traffic", "demo: live traffic on or off"),
    row(
        Everywhere,
        DemoRegistry,
        &[Key::char('X')],
        "",
        "demo: take the registry away, or bring it back",
    ),
    row(Everywhere, Pause, &[Key::char(' ')], "pause", "pause live data; again to go on"),
    row(
        Everywhere,
        Action::Palette,
        &[Key::char(':'), Key::ctrl('p')],
        "commands",
        "every command by name; add 1 2 c=3 calls",
    ),
    row(Everywhere, Action::Help, &[Key::char('?'), Key::plain(Code::F(1))], "help", "this help"),
    row(Everywhere, Back, &[Key::char('q')], "", "back; quit at the top"),
    row(Everywhere, Escape, &[ESC], "", "close, clear the filter, cancel a call; never quits"),
    row(Everywhere, QuitNow, &[Key::ctrl('c')], "", "quit now"),
    row(Everywhere, Suspend, &[Key::ctrl('z')], "", "suspend; fg comes back"),
    row(Everywhere, Repaint, &[Key::ctrl('l')], "", "draw everything anew"),
    row(Everywhere, ViewInstances, &[Key::char('1')], "", "Instances: who is alive"),
    row(
        Everywhere,
        ViewMethods,
        &[Key::char('2')],
        "",
        "Methods: what they can do, and calling it",
    ),
    row(Everywhere, ViewHistory, &[Key::char('3')], "", "History: every call made here"),
    row(Everywhere, ViewLogs, &[Key::char('4')], "", "Logs: of the registry and every server"),
    row(Everywhere, LastView, &[Key::char('-')], "", "the view before this one"),
    row(Everywhere, FullScreen, &[Key::char('f')], "", "this pane on the full screen, or back"),
    row(
        Everywhere,
        ToggleMouse,
        &[Key::char('M')],
        "",
        "mouse on or off (off lets the terminal select text)",
    ),
    row(Everywhere, Up, &[UP, Key::char('k')], "", "up"),
    row(Everywhere, Down, &[DOWN, Key::char('j')], "", "down"),
    row(Everywhere, PageUp, &[PAGE_UP, Key::ctrl('u')], "", "a page up"),
    row(Everywhere, PageDown, &[PAGE_DOWN, Key::ctrl('d')], "", "a page down"),
    row(Everywhere, Top, &[Key::plain(Code::Home), Key::char('g')], "", "to the first"),
    row(Everywhere, Bottom, &[Key::plain(Code::End), Key::char('G')], "", "to the last"),
];
