//! The only place with sockets, tasks and a clock: it runs the loop and does what effects ask.
//!
//! - `outside`: files, and programs that get the terminal for a while; `lend`: that while.
//! - `feed`: the registry's changes and log.
//! - `attend`: what is done for each instance: discovery, probes, its log.
//! - `calls`: a call is sent and its end reported.
//! - `history`: calls are kept over restarts.
//! - `load`: a load test is made on threads of its own, and its progress told.
//! - `clock`: both clocks, the wall's shifted to local time.
//! - `signals`: what the system and other processes want.
//! - `works`: the tasks all of these are.
//! - `inbox`: how they are heard: answers at once, live data once a second.

mod attend;
mod batch;
mod calls;
mod clock;
mod feed;
mod history;
mod inbox;
mod lend;
mod load;
mod outside;
mod signals;
mod works;

pub use clock::Clock;
pub use history::HistoryFolder;

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::EventStream;
use futures_util::StreamExt;
use rpc_client::ClientOptions;
use rpc_host::logging::LogRing;
use tokio::sync::mpsc;

use crate::terminal::{ScreenBackend, Terminal, osc52, translate};
use crate::view::{HitMap, Theme, render};
use inbox::Inbox;
use lend::Prepare;
use outside::Errand;
use rpc_console_core::action::Keymap;
use rpc_console_core::message::{DemoCommand, Effect, Msg};
use rpc_console_core::model::Model;
use rpc_console_core::model::Now;
use rpc_console_core::model::registries::Registries;
use rpc_console_core::update::update;
use rpc_console_core::wake::next_wake;
use signals::{Signal, Signals};
use works::Works;

/// Messages taken in before the screen is looked at again.
const MAX_PER_TURN: usize = 4_096;
/// No two frames are closer than this.
const FRAME: Duration = Duration::from_millis(16);

/// What the console is started with.
pub struct Settings {
    /// The registries to choose from, the current one to be watched; none with a demo, whose
    /// registry is not known before it runs.
    pub registries: Registries,
    /// The keys in force.
    pub keys: Keymap,
    /// How it looks.
    pub theme: Theme,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
    /// Log lines kept.
    pub max_log_lines: usize,
    /// Events kept.
    pub max_events: usize,
    /// Calls kept.
    pub max_history: usize,
    /// How calls are made, and the registry is asked.
    pub client: ClientOptions,
    /// What to tell first: what was ignored in the settings, a line each.
    pub warnings: Vec<String>,
    /// Instances looked after; others are listed only.
    pub max_probed: usize,
    /// Whether nothing of the system may be changed from here.
    pub readonly: bool,
    /// Where calls are kept over restarts, if they are.
    pub histories: Option<HistoryFolder>,
    /// Both clocks.
    pub clock: Clock,
    /// The console's own log.
    pub log: LogRing,
    /// Begins the demo, when one is wanted; called after the first frame.
    pub demo: Option<StartDemo>,
}

/// Begins the demo: reports to the sender, and takes commands.
pub type StartDemo = Box<
    dyn FnOnce(
            mpsc::Sender<Msg>,
        ) -> futures_util::future::BoxFuture<'static, Result<DemoRuns, String>>
        + Send,
>;

/// A demo that runs; dropping it ends it.
pub struct DemoRuns {
    /// Its registry.
    pub registry: String,
    /// What it shall do.
    pub commands: mpsc::Sender<DemoCommand>,
}

/// Runs the console until it is told to end.
///
/// # Errors
/// The terminal cannot be used, or the demo cannot begin.
pub async fn run(settings: Settings) -> Result<Ended, io::Error> {
    let Settings { registries, keys, theme, mouse, clock, log, demo, .. } = settings;
    let terminal = Terminal::take(mouse)?;
    let registry = registries.current().map(|named| named.url.clone());
    let url = registry.clone().unwrap_or_else(|| "starting".to_owned());
    let mut model = Model::new(url, clock.now());
    (model.registries, model.keys) = (registries, keys);
    model.mouse = mouse;
    model.readonly = settings.readonly;
    model.logs.shift_ms = clock.shift_ms();
    model.logs.limit = settings.max_log_lines;
    model.events.limit = settings.max_events;
    model.calls.limit = settings.max_history;
    model.instances.max_probed = settings.max_probed;
    model.forms.default_timeout = settings.client.timeout;
    model.refresh_interval = feed::poll_interval(&settings.client);
    if let Some(warning) = first_of(&settings.warnings) {
        model.notify_error(warning, clock.now());
    }
    let (senders, inbox) = Inbox::new(Instant::now());
    let mut console = Console {
        screen: ratatui::Terminal::new(ScreenBackend::new(io::stdout()))?,
        terminal,
        model,
        theme,
        clock,
        hits: HitMap::default(),
        drawn_at: None,
        works: Works::new(senders, settings.max_probed, settings.client.clone()),
        client: settings.client,
        log,
        histories: settings.histories,
        written: None,
    };
    let size = console.screen.size()?;
    console.take(Msg::Resize(size.width, size.height));
    console.draw()?;
    if let Some(start) = demo {
        console.start_demo(start).await?;
    } else if let Some(url) = &registry {
        console.works.watch(url);
    }
    console.follow_own_log();
    console.keep_history(registry.as_deref());
    let (ended, written) = console.run(inbox).await;
    // The terminal is given back by now; the last call shall be in the history all the same.
    if let Some(written) = written {
        written.wait().await;
    }
    ended
}

/// How the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person asked for it.
    Quit,
    /// A signal asked for it; its number.
    Signal(u8),
    /// The terminal went away.
    TerminalLost,
}

struct Console {
    screen: ratatui::Terminal<ScreenBackend<io::Stdout>>,
    terminal: Terminal,
    model: Model,
    theme: Theme,
    clock: Clock,
    hits: HitMap,
    drawn_at: Option<Instant>,
    works: Works,
    client: ClientOptions,
    /// The console's own log.
    log: LogRing,
    histories: Option<HistoryFolder>,
    /// Comes when all of the history is in its file.
    written: Option<history::Written>,
}

impl Console {
    /// Runs to the end; then the terminal is given back, and the history may still be written.
    async fn run(mut self, inbox: Inbox) -> (Result<Ended, io::Error>, Option<history::Written>) {
        let ended = self.turn(inbox).await;
        (ended, self.written.take())
    }

    async fn turn(&mut self, mut inbox: Inbox) -> Result<Ended, io::Error> {
        let mut input = EventStream::new();
        let mut signals = Signals::new()?;
        let origin = Instant::now();
        // What changed is drawn at once, or when the last frame is old enough.
        let mut dirty = true;
        loop {
            let now = self.clock.now();
            if dirty && self.draw_due(now.at) <= now.at {
                if self.draw().is_err() {
                    return Ok(Ended::TerminalLost);
                }
                dirty = false;
            }
            let due = dirty.then(|| self.draw_due(now.at));
            let wake = next_wake(&self.model, now, origin);
            let wake = [due, wake].into_iter().flatten().min();
            let live_due = inbox.live_due(&self.model, now.at, origin);
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let mut ended = None;
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End(number) => return Ok(Ended::Signal(number)),
                    Signal::Continued => self.retake()?,
                },
                event = input.next() => match event {
                    Some(Ok(event)) => {
                        inbox.touched(now.at);
                        ended = self.event(event);
                    }
                    Some(Err(_)) | None => return Ok(Ended::TerminalLost),
                },
                // After the keys: many messages must not keep a person waiting.
                Some(msg) = inbox.next(live_due) => ended = self.take(msg),
                () = sleep => ended = self.take(Msg::Tick),
            }
            dirty = true;
            // All that is at hand, or what a frame's time allows, then one frame.
            let begun = Instant::now();
            for _ in 0..MAX_PER_TURN {
                if ended.is_some() || begun.elapsed() > FRAME {
                    break;
                }
                if let Some(msg) = inbox.at_once(live_due) {
                    ended = self.take(msg);
                } else if let Some(Ok(event)) = at_once(&mut input).await {
                    ended = self.event(event);
                } else {
                    break;
                }
            }
            match ended {
                Some(Pressing::Quit) => return Ok(Ended::Quit),
                Some(Pressing::Watch(url)) => inbox = self.watch(&url),
                Some(Pressing::Run(prepare)) => {
                    // The program's keys are its own.
                    drop(input);
                    let ended = self.hand_over(prepare, &mut inbox, &mut signals).await?;
                    if let Some(ended) = ended {
                        return Ok(ended);
                    }
                    input = EventStream::new();
                }
                Some(Pressing::Suspend) => {
                    // The reader of keys must not compete with the shell for them.
                    drop(input);
                    self.suspend()?;
                    input = EventStream::new();
                }
                None => {}
            }
        }
    }

    fn draw_due(&self, now: Instant) -> Instant {
        self.drawn_at.map_or(now, |at| at + FRAME)
    }

    fn draw(&mut self) -> io::Result<()> {
        let (model, theme, now) = (&self.model, &self.theme, self.clock.now());
        let mut hits = HitMap::default();
        self.screen.draw(|frame| hits = render(model, theme, now, frame))?;
        self.drawn_at = Some(now.at);
        let heights = std::mem::take(&mut hits.heights);
        self.hits = hits;
        update(&mut self.model, Msg::Drawn(heights), now);
        Ok(())
    }

    fn event(&mut self, event: crossterm::event::Event) -> Option<Pressing> {
        translate(event, &self.hits).and_then(|msg| self.take(msg))
    }

    /// Takes a message in and does what follows from it; what must be done at once comes back.
    fn take(&mut self, msg: Msg) -> Option<Pressing> {
        let now = self.clock.now();
        let effects = update(&mut self.model, msg, now);
        let mut pressing = None;
        for effect in effects {
            match effect {
                Effect::Quit => return Some(Pressing::Quit),
                Effect::Suspend => pressing = Some(Pressing::Suspend),
                Effect::SwitchRegistry(url) => return Some(Pressing::Watch(url)),
                Effect::Repaint => self.repaint(),
                Effect::Mouse(on) => {
                    let _ = self.terminal.mouse(on);
                }
                Effect::Copy(text) => self.copy(&text, now),
                Effect::Edit(method, text) => {
                    pressing = Some(Pressing::Run(Box::new(move || Errand::edit(method, &text))));
                }
                Effect::View { program, name, content } => {
                    let prepare = move || Errand::view(program, &name, &content);
                    pressing = Some(Pressing::Run(Box::new(prepare)));
                }
                other => self.works.apply(other),
            }
        }
        pressing
    }

    fn copy(&mut self, text: &str, now: Now) {
        match osc52(text, std::env::var_os("TMUX").is_some()) {
            Some(sequence) => {
                let _ = self.terminal.send(&sequence);
            }
            None => self.model.notify_error("too large for the clipboard", now),
        }
    }

    fn repaint(&mut self) {
        self.screen.backend_mut().forget();
        // Fails only with the terminal itself, which the next frame will notice.
        let _ = self.screen.clear();
    }

    fn retake(&mut self) -> io::Result<()> {
        self.terminal.retake(self.model.mouse)?;
        let size = self.screen.size()?;
        self.take(Msg::Resize(size.width, size.height));
        self.repaint();
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        crate::terminal::restore();
        signals::stop();
        self.retake()
    }

    /// Turns to another registry. Its messages come through an inbox of their own: what tasks of
    /// the one before still have to say is heard by nobody.
    fn watch(&mut self, url: &str) -> Inbox {
        let (senders, inbox) = Inbox::new(Instant::now());
        let max_probed = self.model.instances.max_probed;
        self.works = Works::new(senders, max_probed, self.client.clone());
        self.works.watch(url);
        self.follow_own_log();
        self.keep_history(Some(url));
        inbox
    }

    /// Keeps the calls made through the registry at `url`, or of the demo.
    fn keep_history(&mut self, url: Option<&str>) {
        let Some(folder) = &self.histories else { return };
        let started = history::Keeper::start(folder.file(url), self.works.answers.clone());
        (self.works.history, self.written) = started.unzip();
    }

    fn follow_own_log(&mut self) {
        self.works.follow_own_log(self.log.clone());
    }

    async fn start_demo(&mut self, start: StartDemo) -> io::Result<()> {
        let runs = start(self.works.answers.clone()).await.map_err(io::Error::other)?;
        let now = self.clock.now();
        self.model.link = rpc_console_core::model::link::Link::new(runs.registry.clone(), now);
        self.model.demo = Some(rpc_console_core::model::Demo {
            traffic: true,
            registry: true,
            servers: Vec::new(),
        });
        self.works.watch(&runs.registry);
        self.works.demo = Some(runs.commands);
        Ok(())
    }
}

/// The first warning, and how many more there are in the log.
fn first_of(warnings: &[String]) -> Option<String> {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (first, others) = warnings.split_first()?;
    Some(match others.len() {
        0 => first.clone(),
        more => format!("{first} (and {more} more; see the logs)"),
    })
}

/// What was pressed already. Polled as the task it is: the reader of keys remembers the first who
/// asks, and one who asks in nobody's name (`now_or_never`) would never be woken.
async fn at_once(input: &mut EventStream) -> Option<io::Result<crossterm::event::Event>> {
    std::future::poll_fn(|context| {
        Poll::Ready(match input.poll_next_unpin(context) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    })
    .await
}

/// What cannot wait for the next turn of the loop.
enum Pressing {
    Quit,
    Suspend,
    /// Another registry, by its URL.
    Watch(String),
    Run(Prepare),
}
