//! The only place with sockets, tasks and a clock: it runs the loop and carries out effects.
//!
//! - `settings`: what it starts with, and the model made of it.
//! - `tasks`: the running tasks, made of the modules from `feed` to `load`.
//! - `feed`: changes and log of the registry.
//! - `monitor`: probes and log of each instance; `contracts`: the methods of each contract;
//!   `own_methods`: those of one instance; `discovery`: both ask within the same bounds;
//!   `direct`: clients of single instances, and how these are listed; `traffic`: the statistics of what is on the screen.
//! - `calls`: sends a call and reports how it ended; `own_client`: the client that chooses an instance.
//! - `history`: calls are kept in a file over restarts.
//! - `requests`: the file of saved requests; `secrets`: what `{{env:NAME}}` stands for.
//! - `load`: runs load tests on their own threads and reports progress.
//! - `files`: saves results and logs; `clipboard`: copies with a program.
//! - `external_program`: the pager and the editor; `terminal_handover`: while one has the terminal.
//! - `inbox`: the channels from tasks to the loop: replies at once, live data once a second.
//! - `batch`: groups log lines.
//! - `clock`: monotonic time, and wall time in the local time zone.
//! - `signals`: signals from the system and other processes.

mod batch;
mod calls;
mod clipboard;
mod clock;
mod contracts;
mod direct;
mod discovery;
mod external_program;
mod feed;
mod files;
mod history;
mod inbox;
mod load;
mod monitor;
mod own_client;
mod own_methods;
mod requests;
mod second_signal;
mod secrets;
mod settings;
mod signals;
mod tasks;
mod terminal_handover;
mod traffic;

pub use clock::Clock;
pub use direct::Opened;
pub use history::HistoryFolder;
pub use settings::{DemoRuns, Settings, StartDemo};

pub use second_signal::end_on_second_signal;
use std::collections::BTreeMap;
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::EventStream;
use futures_util::StreamExt;
use rpc_client::ClientOptions;
use rpc_host::logging::LogRing;
use rpc_wire::target::Target;

use crate::terminal::{ScreenBackend, Terminal, osc52, translate};
use crate::view::{HitMap, Theme, render};
use direct::Directory;
use external_program::ExternalProgram;
use inbox::Inbox;
use requests::RequestsFile;
use rpc_console_core::message::{Effect, Msg};
use rpc_console_core::model::Model;
use rpc_console_core::model::Now;
use rpc_console_core::model::link::Link;
use rpc_console_core::update::update;
use rpc_console_core::wake::next_wake;
use signals::{Signal, Signals};
use tasks::Tasks;
use terminal_handover::Prepare;

/// Messages applied between two frames at most.
const MAX_PER_TURN: usize = 4_096;
/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// Runs the console until a person or a signal ends it.
///
/// # Errors
/// The terminal cannot be used, or the demo cannot start.
pub async fn run(mut settings: Settings) -> Result<Ended, io::Error> {
    // Before the terminal is taken: from then on a signal must give it back.
    let signals = Signals::new()?;
    end_on_second_signal()?;
    let terminal = Terminal::take(settings.mouse)?;
    let registry = settings.registries.current().map(|named| named.target.clone());
    let model = settings.model();
    let client = options_for(&settings.client, &settings.clients, &model);
    let directory = directory_for(&model, settings.opened.clone());
    let requests = RequestsFile::of(std::env::current_dir()?);
    let (senders, inbox) = Inbox::new(Instant::now());
    let mut console = Console {
        screen: ratatui::Terminal::new(ScreenBackend::new(io::stdout()))?,
        terminal,
        model,
        theme: settings.theme,
        clock: settings.clock,
        hits: HitMap::default(),
        dirty: true,
        drawn_at: None,
        tasks: Tasks::new(senders, settings.max_probed, client, directory, requests.clone()),
        requests,
        client: settings.client,
        clients: settings.clients,
        opened: settings.opened,
        log: settings.log,
        histories: settings.histories,
        written: None,
    };
    let size = console.screen.size()?;
    console.take(Msg::Resize(size.width, size.height));
    console.draw()?;
    if let Some(start) = settings.demo {
        console.start_demo(start).await?;
    } else if let Some(target) = &registry {
        console.tasks.watch(target);
    }
    console.tasks.read_requests();
    console.follow_own_log();
    console.keep_history(registry.as_ref());
    let (ended, written) = console.run(inbox, signals).await;
    // The terminal is given back by now; the last call must still reach the history.
    if let Some(written) = written {
        written.wait().await;
    }
    ended
}

/// The options of calls and requests for the current registry: a token and a certificate of its own go to nobody
/// else.
fn options_for(
    client: &ClientOptions,
    clients: &BTreeMap<String, ClientOptions>,
    model: &Model,
) -> ClientOptions {
    let own = model.registries.current().and_then(|current| clients.get(&current.name));
    own.unwrap_or(client).clone()
}

/// How the instances are listed that are watched from now on.
fn directory_for(model: &Model, opened: Opened) -> Directory {
    match model.link.server {
        Some(_) => Directory::of_server(opened),
        None => Directory::of_registry(),
    }
}

/// How the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By a key.
    Quit,
    /// By the signal with this number.
    Signal(u8),
    /// The terminal was closed.
    TerminalLost,
}

struct Console {
    screen: ratatui::Terminal<ScreenBackend<io::Stdout>>,
    terminal: Terminal,
    model: Model,
    theme: Theme,
    clock: Clock,
    hits: HitMap,
    /// Whether something changed since the last frame.
    dirty: bool,
    drawn_at: Option<Instant>,
    tasks: Tasks,
    client: ClientOptions,
    /// Those for registries with their own.
    clients: BTreeMap<String, ClientOptions>,
    opened: Opened,
    /// The console's own log.
    log: LogRing,
    requests: RequestsFile,
    histories: Option<HistoryFolder>,
    /// Resolves when all of the history is written.
    written: Option<history::Written>,
}

impl Console {
    /// Runs to the end, which gives the terminal back; the history may still be written.
    async fn run(
        mut self,
        inbox: Inbox,
        signals: Signals,
    ) -> (Result<Ended, io::Error>, Option<history::Written>) {
        let ended = self.event_loop(inbox, signals).await;
        (ended, self.written.take())
    }

    async fn event_loop(
        &mut self,
        mut inbox: Inbox,
        mut signals: Signals,
    ) -> Result<Ended, io::Error> {
        let mut input = EventStream::new();
        let origin = Instant::now();
        loop {
            let now = self.clock.now();
            if self.dirty && self.draw_due(now.at) <= now.at && self.draw().is_err() {
                return Ok(Ended::TerminalLost);
            }
            let live_due = inbox.live_due(&self.model, now.at, origin);
            let mut control = None;
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End(number) => return Ok(Ended::Signal(number)),
                    Signal::Continued => self.retake()?,
                },
                event = input.next() => match event {
                    Some(Ok(event)) => {
                        inbox.touched(now.at);
                        control = self.event(event);
                    }
                    Some(Err(_)) | None => return Ok(Ended::TerminalLost),
                },
                // After the keys: many messages must not delay a person's input.
                Some(msg) = inbox.next(live_due) => control = self.take(msg),
                () = sleep_until(self.wake_at(now, origin)) => control = self.take(Msg::Tick),
            }
            self.dirty = true;
            if control.is_none() {
                control = self.drain(&mut inbox, live_due, &mut input).await;
            }
            match control {
                None => {}
                Some(LoopControl::Quit) => return Ok(Ended::Quit),
                Some(LoopControl::Watch(target)) => inbox = self.watch(&target),
                // Whoever gets the terminal reads the keys: this reader must not compete.
                Some(LoopControl::Suspend) => {
                    drop(input);
                    self.suspend()?;
                    input = EventStream::new();
                }
                Some(LoopControl::Run(prepare)) => {
                    drop(input);
                    if let Some(ended) = self.hand_over(prepare, &mut inbox, &mut signals).await? {
                        return Ok(ended);
                    }
                    input = EventStream::new();
                }
            }
        }
    }

    /// Applies what has arrived already, for at most a frame's time, so that it is drawn once.
    async fn drain(
        &mut self,
        inbox: &mut Inbox,
        live_due: Instant,
        input: &mut EventStream,
    ) -> Option<LoopControl> {
        let started = Instant::now();
        for _ in 0..MAX_PER_TURN {
            if started.elapsed() > FRAME {
                break;
            }
            let control = if let Some(msg) = inbox.at_once(live_due) {
                self.take(msg)
            } else if let Some(Ok(event)) = at_once(input).await {
                self.event(event)
            } else {
                break;
            };
            if control.is_some() {
                return control;
            }
        }
        None
    }

    /// When the loop must run again although nothing arrives: for a frame that is due, or because
    /// something on the screen changes with time.
    fn wake_at(&self, now: Now, origin: Instant) -> Option<Instant> {
        let frame = self.dirty.then(|| self.draw_due(now.at));
        [frame, next_wake(&self.model, now, origin)].into_iter().flatten().min()
    }

    fn draw_due(&self, now: Instant) -> Instant {
        self.drawn_at.map_or(now, |at| at + FRAME)
    }

    fn draw(&mut self) -> io::Result<()> {
        let (model, theme, now) = (&self.model, &self.theme, self.clock.now());
        let mut hits = HitMap::default();
        self.screen.draw(|frame| hits = render(model, theme, now, frame))?;
        self.drawn_at = Some(now.at);
        self.dirty = false;
        let heights = std::mem::take(&mut hits.heights);
        let shown = std::mem::take(&mut hits.instances);
        self.hits = hits;
        update(&mut self.model, Msg::Drawn(heights, shown), now);
        Ok(())
    }

    fn event(&mut self, event: crossterm::event::Event) -> Option<LoopControl> {
        translate(event, &self.hits).and_then(|msg| self.take(msg))
    }

    /// Applies a message and carries out its effects; what the loop itself must do is returned.
    fn take(&mut self, msg: Msg) -> Option<LoopControl> {
        let now = self.clock.now();
        let mut control = None;
        for effect in update(&mut self.model, msg, now) {
            match effect {
                Effect::Quit => return Some(LoopControl::Quit),
                Effect::SwitchRegistry(target) => return Some(LoopControl::Watch(target)),
                Effect::Suspend => control = Some(LoopControl::Suspend),
                Effect::Edit(method, text) => {
                    let prepare = move || ExternalProgram::edit(method, &text);
                    control = Some(LoopControl::Run(Box::new(prepare)));
                }
                Effect::View { program, name, content } => {
                    let prepare = move || ExternalProgram::view(program, &name, &content);
                    control = Some(LoopControl::Run(Box::new(prepare)));
                }
                Effect::Repaint => self.repaint(),
                Effect::Mouse(on) => {
                    let _ = self.terminal.mouse(on);
                }
                Effect::Copy { what, text } => self.copy(what, text),
                Effect::Monitor(instance) => self.tasks.attach(*instance),
                Effect::StopMonitor(key) => self.tasks.detach(&key),
                Effect::AskAgain(key) => self.tasks.ask_again(key),
                Effect::Call(request) => self.tasks.call(*request),
                Effect::Cancel(id) => self.tasks.cancel(id),
                Effect::RecordCall(call) => self.tasks.remember(*call),
                Effect::StartLoad(request) => self.tasks.start_load(*request),
                Effect::StopLoad => self.tasks.stop_load(),
                Effect::Search(id, document, needle) => self.tasks.search(id, document, needle),
                Effect::Select(id, document, path) => self.tasks.select(id, document, path),
                Effect::StopSelect => self.tasks.stop_select(),
                Effect::Save { path, content, overwrite } => {
                    self.tasks.save(path, content, overwrite);
                }
                Effect::ReadRequests => self.tasks.read_requests(),
                Effect::ChangeRequests(change) => self.tasks.change_requests(change),
                Effect::Override(url, key, asked) => {
                    self.tasks.set_override(url, key, asked.map(|asked| *asked));
                }
                Effect::Unregister(url, instance) => self.tasks.unregister(url, *instance),
                Effect::Demo(command) => self.tasks.command_demo(command),
            }
        }
        self.tasks.sample(&self.model.sampled);
        control
    }

    fn copy(&mut self, what: String, text: String) {
        let sequence = osc52(&text, std::env::var_os("TMUX").is_some());
        let sent = sequence.is_some_and(|sequence| self.terminal.send(&sequence).is_ok());
        self.tasks.copy(what, text, sent);
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

    /// Watches another registry or server, with a new inbox: late messages about the previous one are dropped.
    fn watch(&mut self, target: &Target) -> Inbox {
        let (senders, inbox) = Inbox::new(Instant::now());
        let max_probed = self.model.instances.max_probed;
        let requests = self.requests.clone();
        let client = options_for(&self.client, &self.clients, &self.model);
        let directory = directory_for(&self.model, self.opened.while_at(target));
        self.tasks = Tasks::new(senders, max_probed, client, directory, requests);
        self.tasks.watch(target);
        self.follow_own_log();
        self.keep_history(Some(target));
        inbox
    }

    /// Keeps the history of calls to a server, or through a registry; of the demo if there is none.
    fn keep_history(&mut self, target: Option<&Target>) {
        let Some(folder) = &self.histories else { return };
        let name = target.map(Target::to_string);
        let file = folder.file(name.as_deref());
        let started = history::Keeper::start(file, self.tasks.replies.clone());
        (self.tasks.history, self.written) = started.unzip();
    }

    fn follow_own_log(&mut self) {
        self.tasks.follow_own_log(self.log.clone());
    }

    async fn start_demo(&mut self, start: StartDemo) -> io::Result<()> {
        let runs = start(self.tasks.replies.clone()).await.map_err(io::Error::other)?;
        let now = self.clock.now();
        self.model.link = Link::new(runs.registry.clone(), now);
        self.model.demo = Some(rpc_console_core::model::Demo {
            traffic: true,
            registry: true,
            servers: Vec::new(),
        });
        self.tasks.watch(&Target::Registry { url: runs.registry });
        self.tasks.demo = Some(runs.commands);
        Ok(())
    }
}

/// The next terminal event that has arrived already. Polled with the task's own waker: the event
/// stream keeps the first waker it sees, and the empty one of `now_or_never` would wake nobody.
async fn at_once(input: &mut EventStream) -> Option<io::Result<crossterm::event::Event>> {
    std::future::poll_fn(|context| {
        Poll::Ready(match input.poll_next_unpin(context) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    })
    .await
}

/// Sleeps until `at`, or for ever.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What the loop itself must do, because it owns the input, the inbox and the signals.
enum LoopControl {
    Quit,
    /// Stop the process, as Ctrl-Z does.
    Suspend,
    /// Watch another registry, or a server.
    Watch(Target),
    /// Run an external program in the terminal.
    Run(Prepare),
}
