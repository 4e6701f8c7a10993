//! The actors behind the edge: foundation, admission, catalogue, targets and lanes.
