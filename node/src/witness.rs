//! The witness: keeps chain records for which this node is of the committee, judges what it is shown by
//! the rules of core, and signs acks only of what is durable here.

use crate::clock;
use crate::store::{Batch, Db, StoreError, Table};
use netpay_core::codec::{self, List};
use netpay_core::coin::segment::Close;
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, SecretKey, Signature, Unverified};
use netpay_core::record::chain::{self as record, Ack, ChainRecord};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::witness::{self, Bench, Kept, WhyRefused, judge};
use netpay_core::time::Time;
use netpay_core::wire::record::{RecordReply, Shown};
use tokio::sync::Mutex;

const CHAINS: Table = Table::new("witness-chains");
const FACTS: Table = Table::new("witness-facts");
const BIRTH: &[u8] = b"birth";
/// Chains that are judged at the same time at most; one chain is judged by one at a time.
const SHARDS: usize = 64;

/// One node's memory of the chains it witnesses.
pub struct Witness {
    db: Db,
    network: NetworkId,
    broker: PublicKey,
    key: SecretKey,
    birth: Time,
    shards: Vec<Mutex<()>>,
}

impl Witness {
    /// The witness of this store. A new store is born now, and acks no chain issued before.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn open(db: Db, network: NetworkId, broker: PublicKey, key: SecretKey) -> Result<Self, StoreError> {
        let birth = match db.get(FACTS, BIRTH)? {
            Some(bytes) => Time(u64::from_be_bytes(bytes.try_into().unwrap_or([0xff; 8]))),
            None => {
                let birth = clock::time();
                let mut batch = Batch::new();
                batch.put(FACTS, BIRTH, birth.0.to_be_bytes());
                db.commit(batch).wait()?;
                birth
            }
        };
        Ok(Self { db, network, broker, key, birth, shards: (0..SHARDS).map(|_| Mutex::default()).collect() })
    }

    /// Makes the store's witness young: it acks no chain issued before now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn be_born_again(db: &Db) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(FACTS, BIRTH, clock::time().0.to_be_bytes());
        db.commit(batch).await
    }

    /// Judges a put, keeps what is new, and acks what is wanted and kept.
    ///
    /// # Errors
    /// If the store fails: nothing is acked then.
    pub async fn put(
        &self,
        record: ChainRecord,
        closes: &[Unverified<Close>],
        want: &[ObjectHash],
    ) -> Result<RecordReply, StoreError> {
        let chain = ChainId::of(record.touchstone.hash(&self.network));
        let _one_at_a_time = self.shard(&chain).lock().await;
        let kept = self.kept(&chain)?;
        let believed = kept.as_ref().map(Kept::believed).unwrap_or_default();
        let Ok(line) = record::verify_again(record, &self.network, &self.broker, &believed) else {
            return Ok(RecordReply::Refused(WhyRefused::Bad));
        };
        let (next, verdict) = judge(kept.as_ref(), &line, closes, self.bench(&self.key.public()));
        if let Some(next) = &next {
            self.keep(&chain, kept.as_ref(), next).await?;
        }
        let kept = next.or(kept);
        Ok(RecordReply::to_put(verdict, kept.as_ref(), want, |object| self.ack(chain, object)))
    }

    /// Takes the broker's word that a chain is frozen.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn freeze(
        &self,
        touchstone: Unverified<Touchstone>,
        freeze: Unverified<Freeze>,
    ) -> Result<RecordReply, StoreError> {
        let Ok(touchstone) = touchstone::verify(touchstone, &self.network, &self.broker) else {
            return Ok(RecordReply::Refused(WhyRefused::Bad));
        };
        let chain = touchstone::chain_id(&touchstone);
        let _one_at_a_time = self.shard(&chain).lock().await;
        let kept = self.kept(&chain)?;
        match witness::freeze(kept.as_ref(), &touchstone, freeze, self.bench(&self.key.public())) {
            Ok(next) => {
                self.keep(&chain, kept.as_ref(), &next).await?;
                Ok(RecordReply::Accepted { acks: List::new() })
            }
            Err(why) => Ok(RecordReply::Refused(why)),
        }
    }

    /// Shows what is kept of a chain.
    ///
    /// # Errors
    /// If the store fails.
    pub fn show(&self, chain: &ChainId) -> Result<RecordReply, StoreError> {
        let shown = self.kept(chain)?.map(|kept| Shown {
            acks: List::first_of(kept.newest().into_iter().map(|object| (object, self.ack(*chain, object)))),
            evidence: kept.evidence().cloned(),
            frozen: kept.is_frozen(),
            record: kept.record(),
        });
        Ok(RecordReply::Chain(shown))
    }

    /// Forgets chains that are settled. Returns how many.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sweep(&self, now: Time) -> Result<usize, StoreError> {
        let (mut forgotten, mut after) = (0, None::<Vec<u8>>);
        loop {
            let page = self.db.scan(CHAINS, &[], after.as_deref(), 256)?;
            let Some((last, _)) = page.last() else { return Ok(forgotten) };
            after = Some(last.clone());
            let mut batch = Batch::new();
            for (key, value) in &page {
                if codec::decode::<Kept>(value).is_ok_and(|kept| kept.forget_at < now) {
                    batch.delete(CHAINS, key);
                }
            }
            forgotten += batch.len();
            if !batch.is_empty() {
                self.db.commit(batch).await?;
            }
        }
    }

    fn bench<'a>(&'a self, me: &'a PublicKey) -> Bench<'a> {
        Bench { network: &self.network, me, birth: self.birth, now: clock::time() }
    }

    fn shard(&self, chain: &ChainId) -> &Mutex<()> {
        &self.shards[usize::from(chain.0[0]) % SHARDS]
    }

    async fn keep(&self, chain: &ChainId, kept: Option<&Kept>, next: &Kept) -> Result<(), StoreError> {
        if kept == Some(next) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(CHAINS, chain.0, codec::encode(next));
        self.db.commit(batch).await
    }

    fn kept(&self, chain: &ChainId) -> Result<Option<Kept>, StoreError> {
        let row = self.db.get(CHAINS, &chain.0)?;
        // A row of ours that does not decode must not be taken for a chain never seen.
        row.map(|bytes| {
            codec::decode(&bytes).map_err(|e| StoreError::Corrupt(format!("witnessed chain: {e}")))
        })
        .transpose()
    }

    fn ack(&self, chain: ChainId, object: ObjectHash) -> Signature {
        Ack { chain, object }.sign(&self.network, &self.key)
    }
}
