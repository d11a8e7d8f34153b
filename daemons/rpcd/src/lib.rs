//! The daemon and command line: rpcd serve, registry, call, methods, instances, health.
