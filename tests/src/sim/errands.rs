//! What a peer wants from the broker: asked again until it answers. No sale waits for any of it.

use super::scene::{Actor, Alarm, Message, Scene};
use netpay_core::wire::bank::BankRequest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// After so many milliseconds without an answer it is asked again …
const AGAIN: u64 = 5_000;
/// … so often at most.
const MAX_TIMES: u32 = 20;

/// Those of one peer. A crash forgets them.
#[derive(Debug, Default)]
pub struct Errands {
    open: BTreeMap<u64, (Arc<BankRequest>, u32)>,
}

impl Errands {
    /// Asks the broker. `number` is one the peer never used before.
    pub fn begin(&mut self, number: u64, request: BankRequest, scene: &mut Scene<'_>) {
        self.open.insert(number, (Arc::new(request), 0));
        self.again(number, scene);
    }

    /// Asks again, if it has not answered.
    pub fn again(&mut self, number: u64, scene: &mut Scene<'_>) {
        let Some((request, times)) = self.open.get_mut(&number) else { return };
        *times += 1;
        if *times > MAX_TIMES {
            self.open.remove(&number);
            return;
        }
        scene.send(Actor::Broker, Message::Ask(number, Arc::clone(request)));
        scene.wake(Alarm::Errand(number), AGAIN);
    }

    /// Whether this is the first answer.
    pub fn told(&mut self, number: u64) -> bool {
        self.open.remove(&number).is_some()
    }
}
