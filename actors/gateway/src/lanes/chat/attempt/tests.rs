//! Attempts against a board, owners and a waiting room, with calls that the tests bring along.

mod hedges;
mod line;
mod moves;
mod probes;
mod refusals;
mod world;
