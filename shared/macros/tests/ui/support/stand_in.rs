//! As much of rpc-server and rpc-client as generated code uses, without what it does.

use std::pin::Pin;
use std::sync::Arc;

pub struct Method;

impl Method {
    pub fn named(_: &str) -> Self {
        Self
    }

    pub fn doc(self, _: &str) -> Self {
        self
    }

    pub fn parameters<const N: usize>(self, _: [&str; N]) -> Self {
        self
    }

    pub fn default<T>(self, _: &str, _: T) -> Self {
        self
    }

    pub fn asynchronous<P, R, K, F>(self, _: F) -> Self
    where
        F: Function<P, R, K>,
    {
        self
    }
}

pub trait Function<P, R, K> {}
impl<F: Fn(A) -> R, A, R, K> Function<(A,), (), K> for F {}
impl<F: Fn(A, B) -> R, A, B, R, K> Function<(A, B), (), K> for F {}

/// The bounds of the real crates are serde's; here `Default` stands for them.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be the type of a parameter")]
pub trait Argument {}
#[diagnostic::do_not_recommend]
impl<T: Default> Argument for T {}

#[diagnostic::on_unimplemented(message = "`{Self}` cannot be the result of a method")]
pub trait Output {}
#[diagnostic::do_not_recommend]
impl<T: Default> Output for T {}

pub mod method {
    pub enum Plain {}
    pub enum Fallible {}
    pub const fn is_argument<T: super::Argument>() {}
    pub const fn is_output<T: super::Output>() {}
    pub const fn is_error<T>() {}
}

pub mod service {
    pub trait Service {
        fn name(&self) -> &str;
        fn version(&self) -> Option<&str>;
        fn methods(self) -> Vec<super::Method>;
    }

    pub struct Thrown<E>(pub E);
    pub trait DisplayedError {
        fn failure(&self) {}
    }
    pub trait SerializedError {
        fn failure(&self) {}
    }
    impl<E> DisplayedError for Thrown<E> {}
    impl<E> SerializedError for &Thrown<E> {}
}

#[derive(Debug, Clone)]
pub struct Client;
#[derive(Debug, Clone, Default)]
pub struct CallOptions;
#[derive(Debug)]
pub struct CallError;
#[derive(Debug)]
pub enum ServiceError<E> {
    Service(E),
    Call(CallError),
}

impl<E> From<CallError> for ServiceError<E> {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

pub mod typed {
    use super::*;

    pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

    pub struct Caller<L: ?Sized>(Callee<L>);
    pub enum Callee<L: ?Sized> {
        Remote(Client),
        InProcess(Arc<L>),
    }

    impl<L: ?Sized> Clone for Caller<L> {
        fn clone(&self) -> Self {
            loop {}
        }
    }

    impl<L: ?Sized> std::fmt::Debug for Caller<L> {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Ok(())
        }
    }

    pub struct Args;

    impl<L: ?Sized> Caller<L> {
        pub fn remote(client: Client, _: &str) -> Self {
            Self(Callee::Remote(client))
        }

        pub fn any_service(client: Client) -> Self {
            Self(Callee::Remote(client))
        }

        pub fn in_process(service: Arc<L>) -> Self {
            Self(Callee::InProcess(service))
        }

        pub fn with(&self, _: CallOptions) -> Self {
            self.clone()
        }

        pub fn callee(&self) -> &Callee<L> {
            &self.0
        }

        pub fn request(
            &self,
            _: &str,
            _: bool,
            _: impl FnOnce(&mut Args) -> Result<(), ()>,
        ) -> Result<(), CallError> {
            Ok(())
        }

        pub async fn reply<T, F>(
            &self,
            reply: BoxFuture<Result<T, F>>,
            _: fn(CallError) -> F,
        ) -> Result<T, F> {
            reply.await
        }
    }

    pub async fn call<T, F>(
        _: &Client,
        _: Result<(), CallError>,
        _: Reader<T>,
        _: fn(CallError) -> F,
    ) -> Result<T, F> {
        loop {}
    }

    pub struct Reader<T>(pub Option<T>);
    pub struct Writer<T>(pub Option<T>);

    impl<T> Writer<T> {
        pub fn push(&self, _: &mut Args, _: &T) -> Result<(), ()> {
            Ok(())
        }

        pub fn insert(&self, _: &mut Args, _: &str, _: &T) -> Result<(), ()> {
            Ok(())
        }
    }

    pub const fn reader<T>() -> Reader<T> {
        Reader(None)
    }

    pub const fn writer<T>() -> Writer<T> {
        Writer(None)
    }
}
