//! What was measured, as JSON: one table, with a row for each alternative and all of its rounds.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

/// One alternative.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    name: String,
    /// Each metric's value in each round.
    metrics: BTreeMap<String, Vec<f64>>,
}

/// All alternatives of one measurement, in the order in which they came.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    table: &'static str,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(table: &'static str) -> Self {
        Self { table, rows: Vec::new() }
    }

    /// Adds a round's value.
    pub(crate) fn add(&mut self, name: &str, metric: impl Into<String>, value: f64) {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row { name: name.to_owned(), metrics: BTreeMap::new() });
            self.rows.len() - 1
        });
        self.rows[at].metrics.entry(metric.into()).or_default().push(value);
    }

    /// Prints the whole as one line.
    pub(crate) fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}
