//! What can go wrong while a simulator is set up.

use std::net::SocketAddr;

/// Failure of setting up or addressing a simulator. Refusals of calls are answers, not errors.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// No region was given.
    #[error("a simulator needs at least one region")]
    NoRegions,
    /// The region was given twice.
    #[error("region `{region}` is given twice")]
    DuplicateRegion {
        /// The name.
        region: String,
    },
    /// A region that this simulator does not have.
    #[error("region `{region}` is not simulated")]
    UnknownRegion {
        /// The name.
        region: String,
    },
    /// The control port cannot be bound.
    #[error("cannot listen on {address} for control requests")]
    BindControl {
        /// Where it was to listen.
        address: SocketAddr,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The port of a region cannot be bound.
    #[error("cannot listen on {address} for region `{region}`")]
    Bind {
        /// The region.
        region: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
}
