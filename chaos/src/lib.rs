//! The chaos and benchmark harness: it looks at a gateway from outside and believes nothing it says of itself.
//!
//! | Room | Owns |
//! |---|---|
//! | `scenario`, `units` | scenario files: strict, every problem with its line |
//! | `plan`, `draw` | what a scenario and a seed expand into: rates, arrivals, bodies |
//! | `load` | the open-loop generator and clients that read byte by byte |
//! | `target`, `host` | the gateway's processes, the balancer before several, what is done to them |
//! | `run` | one run: simulator, target, load, faults, books |
//! | `history` | the books, on disk and joined |
//! | `check` | the invariants: pure functions over a history |
//! | `measure` | numbers of a history, and what bounds say about them |
//! | `threads` | the clients' thread and the judges' |
//! | `report` | progress, table, JSON, HTML |
//! | `bench`, `baseline` | the benchmark |
//! | `seeds` | the deterministic simulation, which cargo runs |

pub mod baseline;
pub mod bench;
pub mod check;
pub mod cli;
pub mod draw;
pub mod history;
pub mod host;
pub mod load;
pub mod measure;
pub mod plan;
pub mod report;
pub mod run;
pub mod scenario;
pub mod seeds;
pub mod target;
mod threads;
pub mod units;
