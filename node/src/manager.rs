//! What the system's service manager is told, where it wants to hear it: `NOTIFY_SOCKET` names its socket. Without one
//! nothing is said.

use sd_notify::NotifyState;

/// Requests are answered.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// It goes down, in order.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager does not listen");
    }
}
