//! Models as data: what each can do, what it costs, by which names it goes.
//!
//! [`ModelBook`] is what the data files say; [`Catalogue`] is what this account can call of it, and where.

mod betas;
mod book;
mod capabilities;
mod catalogue;
mod offer;
mod price;
mod spec;

pub use betas::{BetaChoice, BetaFlag, BetaRules, FieldStanding, FlagStanding, ModelBetas, UnprovenFlags};
pub use book::{BUILTIN, DataProblem, ModelBook, Replacing, Retired};
pub use capabilities::{
    CacheSupport, ChatCapabilities, EffortField, ForcedTools, MidSystem, ReasoningDialect, ReasoningReplay, SamplingRule, Structured,
    SystemSupport, ToolIds, ToolResultImages, ToolSupport, TopKField,
};
pub use catalogue::{
    AliasTarget, Catalogue, CataloguePolicy, ConfiguredProfile, FilterError, LegacyModels, ListedModel, ListedProfile, ModelFilter,
    PrefixedNames, ProfileClass, ProfilePreference, ProfileUse, Replaced, Resolution, ResolveError, Route, Standing, Target, Uncallable,
};
pub use offer::{OfferPart, OfferProblem, OfferedModel, OfferedProfile, ProfileKind, RegionOffer};
pub use price::{Factor, LongContextPrice, PriceList, PriceRule, PriceUnit, batch_cost, cost, unit_cost};
pub use spec::{BareId, Date, Geographies, ImageTask, Lifecycle, Modality, ModelKind, ModelSpec, Origin, Surface};
