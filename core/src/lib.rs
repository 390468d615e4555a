//! Rightcall's gRPC front: HTTP/2, TLS, and decisions made from snapshots in place.
//!
//! `rules` decides, `answer` makes responses, `front` speaks HTTP/2; `python` is what Python sees of it.

pub mod answer;
pub mod challenge;
pub mod compiler;
pub mod counters;
pub mod current;
pub mod front;
pub mod guard;
pub mod log;
pub mod policy;
pub mod rules;
pub mod shadow;
pub mod tenants;

#[cfg(feature = "extension")]
mod memory;
#[cfg(feature = "extension")]
mod python;
