//! Reading and writing as tokio wants it: the same for a socket and for each of its halves, which are all
//! plain or inside TLS.

macro_rules! asynchronous_read {
    ($socket:ty) => {
        impl tokio::io::AsyncRead for $socket {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(plain) => std::pin::Pin::new(plain).poll_read(context, buffer),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.poll_read(context, buffer),
                }
            }
        }
    };
}

macro_rules! asynchronous_write {
    ($socket:ty) => {
        impl tokio::io::AsyncWrite for $socket {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    Self::Plain(plain) => std::pin::Pin::new(plain).poll_write(context, bytes),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.poll_write(context, bytes),
                }
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    Self::Plain(plain) => {
                        std::pin::Pin::new(plain).poll_write_vectored(context, slices)
                    }
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.poll_write_vectored(context, slices),
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(plain) => std::pin::Pin::new(plain).poll_flush(context),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.poll_flush(context),
                }
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(plain) => std::pin::Pin::new(plain).poll_shutdown(context),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.poll_shutdown(context),
                }
            }
        }
    };
}

pub(crate) use {asynchronous_read, asynchronous_write};
