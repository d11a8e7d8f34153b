//! Fixtures and system tests: real processes, real sockets, port 0.
