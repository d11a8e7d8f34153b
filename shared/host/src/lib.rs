//! What a process needs from its machine: configuration, logging, shutdown.
