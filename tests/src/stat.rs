//! A ring's figures, as `framelane stat NAME --json` prints them. The one place that knows the
//! names of its fields.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::namespace::Namespace;

/// The figures of a ring at one moment.
#[derive(Clone, Debug)]
pub struct RingStat {
    json: Value,
}

impl RingStat {
    /// Asks the operators' tool.
    ///
    /// # Errors
    /// When there is no such ring, or the tool prints no JSON.
    pub fn read(namespace: &Namespace, ring: &str) -> Result<Self> {
        let finished = namespace.command("framelane").args(["stat", ring, "--json"]).run()?;
        ensure!(finished.code == Some(0), "framelane stat {ring}: {}", finished.stderr.trim());
        let json = serde_json::from_str(&finished.stdout).with_context(|| {
            format!("framelane stat {ring} prints no JSON: {}", finished.stdout)
        })?;
        Ok(Self { json })
    }

    /// The number of the source's next frame.
    pub fn next(&self) -> u64 {
        sum(&self.json["next"])
    }

    /// Frames that were published to a group since it is there.
    pub fn published(&self, group: &str) -> u64 {
        sum(&self.group(group)["published"])
    }

    /// Frames that were delivered to a group.
    pub fn delivered(&self, group: &str) -> u64 {
        sum(&self.group(group)["delivered"])
    }

    /// Frames that were published to a group and not delivered, for whatever reason.
    pub fn dropped(&self, group: &str) -> u64 {
        sum(&self.group(group)["dropped"])
    }

    /// Frames of a group that wait or are in somebody's hands.
    pub fn unfinished(&self, group: &str) -> u64 {
        sum(&self.group(group)["pending"]) + self.held(group)
    }

    /// Frames of a group that are in somebody's hands.
    pub fn held(&self, group: &str) -> u64 {
        sum(&self.group(group)["held"])
    }

    /// Living members of a group.
    pub fn members(&self, group: &str) -> u64 {
        sum(&self.group(group)["members"])
    }

    /// A count that belongs to no group, such as `no_slot`, `missing`, `redelivered`.
    pub fn total(&self, name: &str) -> u64 {
        sum(&self.json["totals"][name])
    }

    /// All of it, for messages.
    pub fn json(&self) -> &Value {
        &self.json
    }

    fn group(&self, name: &str) -> &Value {
        let groups = self.json["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        groups.iter().find(|group| group["name"] == name).unwrap_or(&Value::Null)
    }
}

/// A number, or an object of numbers by reason.
fn sum(value: &Value) -> u64 {
    match value {
        Value::Object(parts) => parts.values().map(sum).sum(),
        other => other.as_u64().unwrap_or_default(),
    }
}
