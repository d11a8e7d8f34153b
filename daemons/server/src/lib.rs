//! An embeddable RPC server: sniffing, sessions, methods, announcing.
