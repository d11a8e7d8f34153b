//! The form of a load test: a field per setting, validated at the start.

use std::time::Duration;

use rpc_load::{Length, Mode, PlanError};
use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;
use rpc_wire::target::Target;
use tui_input::Input;

use super::RunId;
use crate::model::link::Link;
use crate::model::load::LoadRequest;
use crate::model::service::{MethodId, Service};

/// A field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadField {
    /// Open or closed loop.
    Mode,
    /// Open loop: calls per second.
    Rate,
    /// Open loop: maximum calls in flight.
    MaxInFlight,
    /// Closed loop: callers.
    Callers,
    /// Connections to each instance.
    Connections,
    /// Duration, or number of calls.
    Length,
    /// Duration of calls before the measurement starts.
    WarmUp,
}

const FIELD_COUNT: usize = 7;

impl LoadField {
    /// The label.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mode => "loop",
            Self::Rate => "rate",
            Self::MaxInFlight => "in flight",
            Self::Callers => "callers",
            Self::Connections => "connections",
            Self::Length => "duration",
            Self::WarmUp => "warm-up",
        }
    }

    /// The unit of the value.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Mode => "",
            Self::Rate => "calls/s",
            Self::MaxInFlight => "at most",
            Self::Callers => "concurrent",
            Self::Connections => "per instance",
            Self::Length => "e.g. 2m, 500 calls",
            Self::WarmUp => "not measured",
        }
    }
}

/// The form of a load test.
#[derive(Debug, Clone)]
pub struct LoadForm {
    /// The service of the method.
    pub service: Service,
    /// The method's name.
    pub method: String,
    /// The arguments, the same for every call.
    pub args: Args,
    /// One instance; `None`: all that the registry lists.
    pub target: Option<InstanceKey>,
    /// Timeout of each call.
    pub timeout: Duration,
    /// Open loop: calls start at a fixed rate, not when the previous one ends (closed loop).
    pub open: bool,
    /// The index of the focused field in [`fields`](Self::fields).
    pub focus: usize,
    /// Whether keys edit the field.
    pub editing: bool,
    /// The invalid field of the last attempt to start, and why.
    pub error: Option<(LoadField, String)>,
    /// Calls in flight per connection: further ones wait in the client.
    per_connection: usize,
    values: [Input; FIELD_COUNT],
}

impl LoadForm {
    /// An open loop of 100 calls per second for 10 s, without a method. Of the calls in flight, a
    /// connection takes at most `per_connection`.
    pub fn new(per_connection: usize) -> Self {
        let value = |text: &str| Input::new(text.to_owned());
        Self {
            service: Service::default(),
            method: String::new(),
            args: Args::none(),
            target: None,
            timeout: Duration::from_secs(10),
            open: true,
            focus: 1,
            editing: true,
            error: None,
            per_connection,
            values: [
                value(""),
                value("100"),
                value(&per_connection.to_string()),
                value(&per_connection.min(4).to_string()),
                value("1"),
                value("10s"),
                value("1s"),
            ],
        }
    }

    /// The method.
    pub fn method_id(&self) -> MethodId {
        MethodId::new(&self.service, self.method.clone())
    }

    /// The fields of the current loop, from top to bottom.
    pub fn fields(&self) -> &'static [LoadField] {
        use LoadField::{Callers, Connections, Length, MaxInFlight, Mode, Rate, WarmUp};
        if self.open {
            &[Mode, Rate, MaxInFlight, Connections, Length, WarmUp]
        } else {
            &[Mode, Callers, Connections, Length, WarmUp]
        }
    }

    /// The focused field.
    pub fn focused(&self) -> LoadField {
        self.fields().get(self.focus).copied().unwrap_or(LoadField::Mode)
    }

    /// The text of a field.
    pub fn value(&self, field: LoadField) -> &Input {
        &self.values[field as usize]
    }

    /// The same, mutable.
    pub fn value_mut(&mut self, field: LoadField) -> &mut Input {
        self.error = None;
        &mut self.values[field as usize]
    }

    /// Switches between open and closed loop. The focus stays on the loop field, or goes to the
    /// first field after it.
    pub fn toggle_mode(&mut self) {
        let on_mode = self.focused() == LoadField::Mode;
        self.open = !self.open;
        self.error = None;
        self.focus = if on_mode { 0 } else { 1 };
    }

    /// The request of run `id`; without a target, to all instances of the registry.
    ///
    /// # Errors
    /// The invalid field and why; it gets the focus.
    pub fn submit(&mut self, id: RunId, link: &Link) -> Result<LoadRequest, String> {
        self.to_request(id, link).map_err(|(field, why)| {
            let at = self.fields().iter().position(|one| *one == field);
            (self.focus, self.editing) = (at.unwrap_or(0), true);
            self.error = Some((field, why.clone()));
            format!("not started: {} {why}", field.title())
        })
    }

    /// The same, without moving the focus.
    ///
    /// # Errors
    /// The invalid field and why.
    pub fn to_request(&self, id: RunId, link: &Link) -> Result<LoadRequest, (LoadField, String)> {
        let text = |field: LoadField| self.value(field).value().trim();
        let count = |field: LoadField| {
            let whole = || (field, "must be a whole number".to_owned());
            text(field).replace(',', "").parse::<usize>().map_err(|_| whole())
        };
        let mode = if self.open {
            let rate = text(LoadField::Rate).replace(',', "").parse::<f64>();
            let rate = rate.map_err(|_| (LoadField::Rate, "must be a number".to_owned()))?;
            Mode::OpenLoop { rate, max_in_flight: count(LoadField::MaxInFlight)? }
        } else {
            Mode::ClosedLoop { concurrency: count(LoadField::Callers)? }
        };
        let target = match &self.target {
            Some(key) => link.target_of(key),
            None => Target::Registry { url: link.url.clone() },
        };
        let request = LoadRequest {
            id,
            service: self.service.clone(),
            method: self.method.clone(),
            args: self.args.clone(),
            target,
            timeout: self.timeout,
            mode,
            connections: count(LoadField::Connections)?,
            length: length(text(LoadField::Length)).map_err(|why| (LoadField::Length, why))?,
            warm_up: time(text(LoadField::WarmUp)).map_err(|why| (LoadField::WarmUp, why))?,
        };
        request.plan().check().map_err(|error| self.field_of(&error))?;
        self.check_capacity(&request)?;
        Ok(request)
    }

    /// The field that limits the calls in flight.
    fn in_flight(&self) -> LoadField {
        if self.open { LoadField::MaxInFlight } else { LoadField::Callers }
    }

    /// Refuses more calls in flight than the connections to one instance take: the others would
    /// wait in this client, and the results would measure that. Of several instances, how many
    /// there are may change during the run.
    fn check_capacity(&self, request: &LoadRequest) -> Result<(), (LoadField, String)> {
        let wanted = match request.mode {
            Mode::OpenLoop { max_in_flight, .. } => max_in_flight,
            Mode::ClosedLoop { concurrency } => concurrency,
        };
        let most = self.per_connection.saturating_mul(request.connections);
        if self.target.is_none() || wanted <= most {
            return Ok(());
        }
        let per = self.per_connection;
        let why = format!("must be at most {most}: {per} per connection ([client] max_in_flight)");
        Err((self.in_flight(), why))
    }

    /// The field that an error of the plan is about.
    fn field_of(&self, error: &PlanError) -> (LoadField, String) {
        let in_flight = self.in_flight();
        match error {
            // The plan's own text speaks of calls in flight in both loops.
            PlanError::Range { what: "connections", expected }
                if expected.starts_with("at most") =>
            {
                let most = if self.open { "the calls in flight" } else { "the callers" };
                (LoadField::Connections, format!("must not exceed {most}"))
            }
            PlanError::Range { what, expected } => {
                let field = match *what {
                    "the rate" => LoadField::Rate,
                    "calls in flight" => in_flight,
                    "connections" => LoadField::Connections,
                    "the warm-up" => LoadField::WarmUp,
                    _ => LoadField::Length,
                };
                (field, format!("must be {expected}"))
            }
            other => (LoadField::Mode, other.to_string()),
        }
    }
}

/// Parses `10s`, `1.5s`, `500ms`, `2m`, `1h`, or a number of seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let invalid = || "must be a time: 500ms, 10s, 2m".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(invalid()),
    };
    Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).map_err(|_| invalid())
}

/// Parses a time, or `500 calls`.
fn length(text: &str) -> Result<Length, String> {
    let calls = text.strip_suffix("calls").or_else(|| text.strip_suffix("call"));
    match calls {
        Some(count) => count
            .trim()
            .replace(',', "")
            .parse()
            .map(Length::Calls)
            .map_err(|_| "must be a time (10s) or a number of calls (500 calls)".to_owned()),
        None => time(text).map(Length::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new("http://h:1", crate::fixture::now())
    }

    fn form() -> LoadForm {
        LoadForm { method: "add".to_owned(), ..LoadForm::new(240) }
    }

    fn set(form: &mut LoadForm, field: LoadField, text: &str) {
        *form.value_mut(field) = Input::new(text.to_owned());
    }

    #[test]
    fn times_and_numbers_of_calls_are_parsed() {
        for (text, ms) in
            [("10s", 10_000), ("1.5s", 1_500), ("500ms", 500), ("2m", 120_000), ("3", 3_000)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(length("1,500 calls"), Ok(Length::Calls(1_500)));
        for text in ["", "s", "ten", "1d", "-1s", "1e400s", "99999999999999999999999h", "1.2.3"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(length("many calls").is_err());
    }

    #[test]
    fn an_invalid_field_gets_the_focus_and_says_why() {
        for (field, text, part) in [
            (LoadField::Rate, "fast", "number"),
            (LoadField::Rate, "0", "0.001"),
            (LoadField::MaxInFlight, "0", "1 to 100,000"),
            (LoadField::Connections, "241", "must not exceed the calls in flight"),
            (LoadField::Length, "0s", "above 0"),
            (LoadField::WarmUp, "soon", "time"),
        ] {
            let mut form = form();
            set(&mut form, field, text);
            let why = form.submit(1, &link()).unwrap_err();
            assert!(why.contains(part), "{why}");
            assert_eq!(form.focused(), field);
            assert_eq!(form.error.as_ref().unwrap().0, field);
        }
    }

    #[test]
    fn more_calls_in_flight_than_the_connections_take_are_refused() {
        let mut form = LoadForm { method: "add".to_owned(), ..LoadForm::new(2) };
        assert_eq!(form.value(LoadField::MaxInFlight).value(), "2", "[client] max_in_flight");
        form.target = Some(rpc_wire::instance::Instance::new("h", 1).key());
        assert!(form.submit(1, &link()).is_ok());
        set(&mut form, LoadField::MaxInFlight, "5");
        let why = form.submit(1, &link()).unwrap_err();
        assert!(why.contains("must be at most 2: 2 per connection"), "{why}");
        set(&mut form, LoadField::Connections, "3");
        assert!(form.submit(1, &link()).is_ok());
        form.toggle_mode();
        set(&mut form, LoadField::Callers, "2");
        let why = form.submit(1, &link()).unwrap_err();
        assert!(why.contains("connections must not exceed the callers"), "{why}");
    }

    #[test]
    fn both_loops_keep_their_values() {
        let mut form = form();
        set(&mut form, LoadField::Rate, "1,000");
        form.toggle_mode();
        let closed = form.submit(1, &link()).unwrap();
        assert_eq!(closed.mode, Mode::ClosedLoop { concurrency: 4 });
        form.toggle_mode();
        let open = form.submit(2, &link()).unwrap();
        assert_eq!(open.mode, Mode::OpenLoop { rate: 1000.0, max_in_flight: 240 });
        assert_eq!(open.target, Target::Registry { url: "http://h:1".to_owned() });
    }
}
