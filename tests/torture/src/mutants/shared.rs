//! A defect of registries that share an etcd cluster.

use super::Finder;

/// What finds it.
pub(super) const FINDERS: [Finder; 1] = [Finder {
    command: &["registries", "--only", "registry-paused", "--seconds", "8"],
    finds: &["adopts-the-living"],
}];
