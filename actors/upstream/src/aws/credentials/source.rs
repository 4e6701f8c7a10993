//! Where credentials come from.

use std::sync::Arc;

use aws_config::{
    BehaviorVersion, SdkConfig, default_provider::credentials::DefaultCredentialsChain, provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, future},
};
use aws_smithy_async::{
    rt::sleep::{SharedAsyncSleep, TokioSleep},
    time::SharedTimeSource,
};
use outcrop_domain::{ids::Region, secret::SecretString};
use tokio::sync::OnceCell;

use crate::{
    aws::{
        clock::{SharedSigningClock, SigningClock},
        sdk,
    },
    transport::Transport,
};

/// Which credentials to use.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// AWS's standard chain: environment, shared files, SSO, web identity, container, instance.
    Chain(CredentialChain),
    /// Keys from the settings.
    Static(StaticKeys),
}

/// The standard chain's settings.
#[derive(Debug, Clone)]
pub struct CredentialChain {
    /// Profile of the shared files; `None`: as `AWS_PROFILE` says.
    pub profile: Option<String>,
    /// Region of the STS and SSO calls.
    pub region: Region,
    /// A role to take on with what the chain gives.
    pub assume: Option<AssumedRole>,
}

/// A role to take on.
#[derive(Debug, Clone)]
pub struct AssumedRole {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy may ask for.
    pub external_id: Option<String>,
    /// Name of the session in CloudTrail.
    pub session_name: String,
}

/// Keys from the settings.
#[derive(Debug, Clone)]
pub struct StaticKeys {
    /// Public half.
    pub access_key_id: String,
    /// Secret half.
    pub secret_access_key: SecretString,
    /// Token of a temporary session.
    pub session_token: Option<SecretString>,
}

impl CredentialSource {
    pub(super) fn into_provider(self, transport: &Transport, clock: &Arc<SigningClock>) -> SharedCredentialsProvider {
        match self {
            Self::Static(keys) => SharedCredentialsProvider::new(keys.into_credentials()),
            Self::Chain(settings) => SharedCredentialsProvider::new(LazyChain {
                settings,
                transport: transport.clone(),
                clock: SharedSigningClock(Arc::clone(clock)),
                built: OnceCell::new(),
            }),
        }
    }
}

impl StaticKeys {
    fn into_credentials(self) -> Credentials {
        let mut builder = Credentials::builder()
            .access_key_id(self.access_key_id)
            .secret_access_key(self.secret_access_key.expose())
            .provider_name("OutcropSettings");
        builder.set_session_token(self.session_token.map(|token| token.expose().to_owned()));
        builder.build()
    }
}

/// The chain, built on first use: building it reads shared files.
#[derive(Debug)]
struct LazyChain {
    settings: CredentialChain,
    transport: Transport,
    clock: SharedSigningClock,
    built: OnceCell<SharedCredentialsProvider>,
}

impl LazyChain {
    async fn build(&self) -> SharedCredentialsProvider {
        let region = aws_config::Region::new(self.settings.region.as_str().to_owned());
        let config = ProviderConfig::empty()
            .with_region(Some(region.clone()))
            .with_http_client(sdk::http_client(&self.transport))
            .with_sleep_impl(TokioSleep::new())
            .with_time_source(self.clock.clone());
        let mut chain = DefaultCredentialsChain::builder().region(region.clone()).configure(config);
        if let Some(profile) = &self.settings.profile {
            chain = chain.profile_name(profile);
        }
        let chain = chain.build().await;
        let Some(role) = &self.settings.assume else {
            return SharedCredentialsProvider::new(chain);
        };
        let chain = SharedCredentialsProvider::new(chain);
        assume(role, chain, &self.settings.region, &self.transport, &self.clock.0).await
    }

    async fn provide(&self) -> provider::Result {
        self.built.get_or_init(|| self.build()).await.provide_credentials().await
    }
}

impl ProvideCredentials for LazyChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// Takes on a role with the credentials of `base`, by the regional STS endpoint.
pub(super) async fn assume(
    role: &AssumedRole,
    base: SharedCredentialsProvider,
    region: &Region,
    transport: &Transport,
    clock: &Arc<SigningClock>,
) -> SharedCredentialsProvider {
    let region = aws_config::Region::new(region.as_str().to_owned());
    let sts = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.clone())
        .http_client(sdk::http_client(transport))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SharedSigningClock(Arc::clone(clock))))
        .build();
    let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(&role.session_name).region(region).configure(&sts);
    if let Some(external_id) = &role.external_id {
        builder = builder.external_id(external_id);
    }
    SharedCredentialsProvider::new(builder.build_from_provider(base).await)
}
