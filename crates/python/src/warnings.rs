//! What the rings warn of, for Python's own log.
//!
//! A ring may warn while it holds a lock that another thread waits for with the interpreter's lock
//! in hand: it must not wait for that one. So a warning is noted by the thread that met it, and told
//! when the interpreter's lock is there again.

use std::cell::RefCell;
use std::fmt::{self, Write};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static NOTED: RefCell<Vec<Warning>> = const { RefCell::new(Vec::new()) };
}

/// Has warnings noted from now on.
pub(crate) fn note_all() {
    // It fails where they are already: in another interpreter of this process.
    let _ = tracing::subscriber::set_global_default(Notes);
}

/// Gives what this thread has noted to the logger `framelane`.
///
/// # Errors
/// What a handler of the log raises.
pub(crate) fn tell(py: Python<'_>) -> PyResult<()> {
    let noted = NOTED.take();
    if noted.is_empty() {
        return Ok(());
    }
    let logger = py.import("logging")?.call_method1("getLogger", ("framelane",))?;
    for warning in noted {
        logger.call_method1(warning.method, ("%s", warning.text()))?;
    }
    Ok(())
}

/// One warning, as its parts come in.
struct Warning {
    /// The logger's method for it.
    method: &'static str,
    message: String,
    /// What it is about, as `name=value`.
    fields: Vec<String>,
}

impl Warning {
    fn text(&self) -> String {
        format!("{} ({})", self.message, self.fields.join(", "))
    }
}

impl Visit for Warning {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string doesn't fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.fields.push(format!("{}={value:?}", field.name()));
        }
    }
}

/// The subscriber that notes warnings and errors.
struct Notes;

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let error = *event.metadata().level() == Level::ERROR;
        let method = if error { "error" } else { "warning" };
        let mut warning = Warning { method, message: String::new(), fields: Vec::new() };
        event.record(&mut warning);
        NOTED.with_borrow_mut(|noted| noted.push(warning));
    }

    // The rings have no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
