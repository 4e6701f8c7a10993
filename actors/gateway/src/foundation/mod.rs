//! What everything else stands on: live settings, the usage ledger, background work.

mod background;
mod ledger_writer;
mod routing_keeper;
mod settings_keeper;
mod usage_inbox;

pub use background::{Background, BackgroundJob, BackgroundMsg, MakeWork};
pub use ledger_writer::{LedgerReport, LedgerTotals, LedgerWriter, LedgerWriterMsg, UsageRow};
pub use routing_keeper::{RoutingKeeper, RoutingKeeperArgs, RoutingKeeperMsg, RoutingKeeperReport};
pub use settings_keeper::{SettingsKeeper, SettingsKeeperArgs, SettingsKeeperMsg, SettingsReport};
pub use usage_inbox::UsageInbox;
