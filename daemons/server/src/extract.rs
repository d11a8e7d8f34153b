//! Extractors: what a method takes in front of its parameters, which its callers do not give.
//!
//! [`State`] and [`Call`] are extractors. A type of your own becomes one with [`FromCall`]:
//!
//! ```
//! use rpc_server::extract::{FromCall, Needs, Parts};
//! use rpc_server::{Failure, Method, rpc_method};
//!
//! /// The time that the caller still waits.
//! struct Budget(std::time::Duration);
//!
//! impl FromCall for Budget {
//!     fn from_call(parts: &Parts<'_>) -> Result<Self, Failure> {
//!         let left = parts.call().remaining();
//!         left.map(Self).ok_or_else(|| Failure::bad_arguments("this method needs a deadline"))
//!     }
//! }
//!
//! #[rpc_method]
//! fn search(#[extract] budget: Budget, text: String) -> String {
//!     format!("{text}, within {:?}", budget.0)
//! }
//!
//! // The same by hand: whatever is in front of the named parameters is extracted.
//! let by_hand = Method::named("search").parameters(["text"]).sync(search);
//! assert_eq!(by_hand.signature().parameters, search::method().signature().parameters);
//! ```
//!
//! `#[rpc_method]` takes arguments whose type is written as `State<…>` or `Call` for extractors, and
//! any other with `#[extract]`.

use std::any::{Any, TypeId, type_name};
use std::cell::OnceCell;
use std::fmt;
use std::ops::Deref;

use tokio_util::sync::DropGuard;

use crate::Failure;
use crate::call::{Call, Waiting};

/// A type that a method can take in front of its parameters, made from the call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "this cannot be made from a call",
    note = "in front of the parameters there may be `State<T>`, `Call`, or types with \
            `impl FromCall`; by hand, every parameter is named in `.parameters([…])`"
)]
pub trait FromCall: Sized + Send + 'static {
    /// Makes it. It runs for every call, so it must not block.
    ///
    /// # Errors
    /// The call fails with this error, and the method is not called.
    fn from_call(parts: &Parts<'_>) -> Result<Self, Failure>;

    /// Adds the states it needs, so that a server without them fails at bind instead of at a call.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// What an extractor is made from.
pub struct Parts<'a> {
    states: &'a States,
    make: &'a dyn Fn() -> Call,
    made: OnceCell<Call>,
}

impl<'a> Parts<'a> {
    /// The [`Call`] is made only for those who ask for it.
    #[inline]
    pub(crate) fn new(states: &'a States, make: &'a dyn Fn() -> Call) -> Self {
        Self { states, make, made: OnceCell::new() }
    }

    /// The call.
    pub fn call(&self) -> &Call {
        self.made.get_or_init(self.make)
    }

    /// A state of the server, by its type.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.states.get()
    }

    /// Whether the call waits, if anybody can have said so.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.made.get().map(Call::waiting)
    }

    /// Cancels the call when dropped, if anybody has it.
    #[inline]
    pub(crate) fn guard(&self) -> Option<DropGuard> {
        self.made.get().map(Call::guard)
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("states", self.states).finish_non_exhaustive()
    }
}

impl FromCall for Call {
    fn from_call(parts: &Parts<'_>) -> Result<Self, Failure> {
        Ok(parts.call().clone())
    }
}

/// A clone of the value given to [`ServerBuilder::state`](crate::ServerBuilder::state), so usually
/// an `Arc` or something that has one inside.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use rpc_server::{Server, State, rpc_method};
///
/// /// The number of calls so far.
/// #[rpc_method]
/// fn visits(State(count): State<Arc<AtomicU64>>) -> u64 {
///     count.fetch_add(1, Ordering::Relaxed) + 1
/// }
///
/// # async fn run() -> Result<(), rpc_server::ServerError> {
/// let server = Server::builder().state(Arc::new(AtomicU64::new(0))).method(visits::method());
/// let mut server = server.in_memory()?;
/// let request = br#"{"method_name":"visits","method_args":[],"method_kwargs":{}}"#;
/// assert_eq!(server.answer(request).await, b"{\"res\":1}\n");
/// assert_eq!(server.answer(request).await, b"{\"res\":2}\n");
/// # Ok(())
/// # }
/// # futures_util::future::FutureExt::now_or_never(run()).unwrap().unwrap();
/// ```
///
/// A server whose methods need a state that it was not given fails at bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Send + Sync + 'static> FromCall for State<T> {
    fn from_call(parts: &Parts<'_>) -> Result<Self, Failure> {
        let state = parts.state::<T>().cloned().map(Self);
        state.ok_or_else(|| Failure::new(format!("the server has no {}", type_name::<T>())))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}

/// The states that a method needs.
#[derive(Debug, Clone, Default)]
pub struct Needs(Vec<(TypeId, &'static str)>);

impl Needs {
    /// A state of this type is needed.
    pub fn state<T: 'static>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// The type of one that is not among `states`.
    pub(crate) fn missing_from(&self, states: &States) -> Option<&'static str> {
        let missing = |(id, _): &&(TypeId, _)| !states.0.iter().any(|(known, _)| known == id);
        self.0.iter().find(missing).map(|(_, name)| *name)
    }
}

/// The states of a server, one of each type.
// A list: a server has one or two, and comparing ids costs less than a hash.
#[derive(Default)]
pub(crate) struct States(Vec<(TypeId, Box<dyn Any + Send + Sync>)>);

impl States {
    /// Adds a state, in place of one of the same type.
    pub(crate) fn set<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.retain(|(id, _)| *id != TypeId::of::<T>());
        self.0.push((TypeId::of::<T>(), Box::new(value)));
    }

    fn get<T: 'static>(&self) -> Option<&T> {
        let (_, value) = self.0.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        value.downcast_ref()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.0.len())
    }
}
