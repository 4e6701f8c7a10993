//! Bedrock and its siblings: the only place that names an AWS SDK type.
//!
//! The hot operations speak the wire themselves ([`runtime`]); everything else goes through the SDK's clients
//! ([`control`]), with retries off and over the same transport.

pub mod access;
mod clock;
pub mod control;
pub mod credentials;
mod endpoint;
pub mod runtime;
mod sdk;

use std::{sync::Arc, time::Duration};

use outcrop_domain::{clock::Clock, ids::Region};

pub use access::{Access, BearerToken};
pub use clock::SigningClock;
pub use control::{AvailabilityCheck, AwsControl};
pub use credentials::{AssumedRole, CredentialChain, CredentialSource, CredentialsKeeper, StaticKeys};
pub use runtime::AwsRuntime;

use crate::{UpstreamError, transport::Transport};

/// How an account is called, the same for all its regions.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// FIPS 140 endpoints.
    pub fips: bool,
    /// Endpoints with IPv4 and IPv6.
    pub dual_stack: bool,
    /// URL of the runtime instead of AWS's own, `{region}` filled in; e.g. a VPC endpoint or a simulator.
    pub runtime_endpoint: Option<String>,
    /// As `runtime_endpoint`, for the control plane.
    pub control_endpoint: Option<String>,
    /// Whether discovery asks about each model.
    pub availability: AvailabilityCheck,
    /// Longest wait for one answer of the control plane.
    pub control_timeout: Duration,
    /// Largest answer that is collected. Bytes.
    pub max_answer_bytes: usize,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            fips: false,
            dual_stack: false,
            runtime_endpoint: None,
            control_endpoint: None,
            availability: AvailabilityCheck::Ask,
            // Lists of a hundred models take a second or two.
            control_timeout: Duration::from_secs(20),
            // Several images of 25 MB, base64.
            max_answer_bytes: 128 * 1024 * 1024,
        }
    }
}

/// One account (or role, or API key) at AWS; gives the clients of each region. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aws {
    settings: Arc<AwsSettings>,
    transport: Transport,
    access: Access,
    clock: Arc<SigningClock>,
}

impl Aws {
    /// From settings, a way out and a right to call.
    #[must_use]
    pub fn new(settings: AwsSettings, transport: Transport, access: Access, clock: Arc<dyn Clock>) -> Self {
        // Keys and their clock belong together: both learn from the same refusals.
        let clock = match &access {
            Access::Keys(keeper) => Arc::clone(keeper.clock()),
            Access::Bearer(_) => Arc::new(SigningClock::new(clock)),
        };
        Self { settings: Arc::new(settings), transport, access, clock }
    }

    /// The client that calls models in `region`. Make it once per region and keep it.
    ///
    /// # Errors
    /// [`UpstreamError`] when no usable endpoint comes of settings and region.
    pub fn runtime(&self, region: &Region) -> Result<AwsRuntime, UpstreamError> {
        AwsRuntime::new(region.clone(), &self.settings, self.transport.clone(), self.access.clone(), Arc::clone(&self.clock))
    }

    /// The client that asks the control plane of `region`. Make it once per region and keep it.
    ///
    /// # Errors
    /// [`UpstreamError`] when the endpoint of the settings is not usable.
    pub fn control(&self, region: &Region) -> Result<AwsControl, UpstreamError> {
        AwsControl::new(region.clone(), &self.settings, &self.transport, &self.access, &self.clock)
    }

    /// The right to call.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }
}
