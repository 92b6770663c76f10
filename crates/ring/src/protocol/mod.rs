//! The protocol, explored: small models of who does what to shared memory in which order, with a
//! SIGKILL possible between any two steps.
//!
//! The doorbell is explored by loom, which knows threads and memory orderings but no SIGKILL. This
//! knows SIGKILL, but no memory ordering: one step is one access that everybody sees at once. The claim
//! words are the real ones, and change along the real edges of [`crate::claim`]; a model only adds
//! the order in which the rest of the crate does things. So a change of that order belongs here
//! first.
//!
//! | model | promises |
//! |---|---|
//! | [`one_ring`] | each group gets each frame once, or it is counted as dropped; nothing is torn; no slot leaks; seqs have no gap and no double; the end comes; the books balance |
//! | [`two_rings`] | every frame comes out once, in the order of the seqs, whatever the workers do; nothing stands still; the end comes; a new pusher goes on where the old one stopped |
//! | [`two_stages`] | nothing stands still when an ordered reader joins late; who reads already misses nothing for it |
//! | [`groups`] | a group gets what was published to it and nothing else, also when its bit was another one's before; what is published to a group that has left holds nobody up; the books balance |
//! | [`names`] | no ring that is in use loses its name; no name is left behind, unless somebody was killed before it could take it; no end gets lost with a name |
//!
//! Each model can be weakened in one rule at a time, and then must break: a check that can't fail
//! shows nothing.

mod explorer;
mod groups;
mod names;
mod one_ring;
mod two_rings;
mod two_stages;
