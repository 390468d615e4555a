//! What a server decides beyond a tenant's permissions (`snapshot/ruling.py`, `snapshots/emergency.py`).

use crate::rules::emergency::Emergency;

/// The same for all tenants, for as long as the server runs.
#[derive(Debug, Default)]
pub struct Policy {
    pub deny_unknown_callers: bool,
    pub deny_unknown_outcalls: bool,
    /// Extensions with anything but `0-9 * # + A-D` are errors, also in tenants without a dialling plan.
    pub dialable_only: bool,
    /// The server's emergency numbers, for calls of no tenant.
    pub emergency: Emergency,
}
