//! The promises of the whole system, each kept by real processes: one module for each topic.
//!
//! The modules `chaos`, `doctor`, `harness`, `live`, `operate`, `restart`, `scaling` and `sync` need an
//! RTMP server; `scripts/test.sh` runs them against each kind of server.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bad_ring;
#[cfg(test)]
mod c_worker;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod colour;
mod command_line;
#[cfg(test)]
mod core_dump;
mod crash;
#[cfg(test)]
mod descriptors;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod flaky_camera;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod libav;
#[cfg(test)]
mod live;
#[cfg(test)]
mod lossless;
#[cfg(test)]
mod operate;
#[cfg(test)]
mod order;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod reconnects;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rust_worker;
#[cfg(test)]
mod scaling;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod sound;
#[cfg(test)]
mod starve;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod sync;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod watchdog;
