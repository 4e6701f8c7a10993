//! Which models there are, and what each region offers.

mod discovery;
mod errand;
mod keeper;
mod profile_finder;

pub use discovery::{Discovery, DiscoveryArgs, DiscoveryMsg, DiscoveryReport};
pub use keeper::{CatalogueKeeper, CatalogueKeeperArgs, CatalogueKeeperMsg, CatalogueReport, CatalogueRules, RegionReport};
pub use profile_finder::{LookUp, ProfileFinder, ProfileFinderArgs, ProfileFinderMsg, ProfileReport, Wanted};
