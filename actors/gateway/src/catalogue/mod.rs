//! Which models there are, and what each region offers.

mod discovery;
mod errand;
mod flag_keeper;
mod keeper;
mod profile_finder;

pub use discovery::{Discovery, DiscoveryArgs, DiscoveryMsg, DiscoveryReport};
pub use flag_keeper::{FlagKeeper, FlagKeeperArgs, FlagKeeperMsg, FlagReport, Refusal, RefusedFlags};
pub use keeper::{CatalogueKeeper, CatalogueKeeperArgs, CatalogueKeeperMsg, CatalogueReport, CatalogueRules, RegionReport};
pub use profile_finder::{LookUp, ProfileFinder, ProfileFinderArgs, ProfileFinderMsg, ProfileReport, Wanted};
