//! The client library: direct or through a registry, with balancing, deadlines and failover.
