//! Which models there are, and what each region offers.

mod discovery;
mod keeper;

pub use discovery::{Discovery, DiscoveryArgs, DiscoveryMsg, DiscoveryReport};
pub use keeper::{CatalogueKeeper, CatalogueKeeperArgs, CatalogueKeeperMsg, CatalogueReport, CatalogueRules, RegionReport};
