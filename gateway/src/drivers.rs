//! The drivers that this gateway knows.

use chiasm_drivers::{DriverSpec, LineSettings, Transport, registry};

pub use chiasm_drivers::registry::find;

/// The line settings that the driver's family leaves the factory with.
pub fn first_line_settings(spec: &DriverSpec) -> Option<LineSettings> {
    match spec.transport {
        Transport::Serial(settings) => settings.first().copied(),
        Transport::Folder { .. } => None,
    }
}

/// The driver of this name, or an error that lists all.
pub fn named(id: &str) -> anyhow::Result<&'static DriverSpec> {
    find(id).ok_or_else(|| anyhow::anyhow!("there is no driver `{id}`; choose one of: {}", ids()))
}

/// The ids, for messages.
pub fn ids() -> String {
    registry::DRIVERS.iter().map(|spec| spec.id).collect::<Vec<_>>().join(", ")
}
