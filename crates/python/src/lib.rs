//! The native half of the Python package `framelane`: rings as numpy arrays.
//!
//! It adds no logic to the rings. It waits without the interpreter's lock, turns slots into arrays,
//! and takes the arrays' memory back when a claim ends. What is pleasant to use is in Python, in
//! `python/framelane`.

mod claim;
mod error;
mod owned;
mod patience;
mod pixels;
mod reader;
mod relay;
mod warnings;
mod writer;

use pyo3::prelude::*;

/// Rings as numpy arrays; see the package `framelane`.
#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::claim::Claim;
    #[pymodule_export]
    use super::error::{ClaimEnded, ForkedError, FramelaneError, NoPlace, TimedOut};
    #[pymodule_export]
    use super::reader::Reader;
    #[pymodule_export]
    use super::relay::Relay;
    #[pymodule_export]
    use super::version;
    #[pymodule_export]
    use super::writer::Writer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::warnings::note_all();
        super::owned::count_forks(module.py())
    }
}

/// The version of the package.
#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
