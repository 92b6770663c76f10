//! The ring's promises, on a ring on the heap and on a real segment alike.

mod drop_oldest;
mod fresh;
mod groups;
mod hostile;
mod late_reader;
mod lossless;
mod readers;
mod reference;
mod relay;
mod sleeper;
mod stages;
mod who_feeds;
