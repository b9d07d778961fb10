//! The File Market: a downloader D, a provider P, an arbiter T, and a judge J if there is one.

use Party::{Downloader, Provider};

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    Downloader,
    Provider,
}

/// A key: the one under which the piece was encrypted, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Right,
    Garbage,
}

/// A file: the one that the request names, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum File {
    Asked,
    Other,
}

/// What the judge finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    ProviderBan,
    InvalidComplain,
}

/// How a judge judges.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// The request stands in the cheque (C*), which both have signed. Else the judge is shown one by the downloader.
    pub request_in_cheque: bool,
    /// The judge takes the key out of Z, which both have signed. Else the downloader says which it got.
    pub key_from_seal: bool,
}

/// One protocol, and who lies in it.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    pub judge: Option<Judge>,
    pub liar: Option<Party>,
    /// The arbiter is in league with the downloader.
    pub league: bool,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// P has the request.
    pub asked: bool,
    /// What D has encrypted. Its hash stands in C, so there is no exchanging it.
    pub goods: Option<File>,
    /// The key that is sealed in the Z which D has, with P's signature.
    pub sealed: Option<Key>,
    /// D has signed the cheque.
    pub signed: bool,
    /// P has it: it will be paid.
    pub cheque: bool,
    /// What D got from P.
    pub key: Option<Key>,
    /// D has asked T.
    pub disputed: bool,
    /// What D got from T.
    pub key_of_arbiter: Option<Key>,
    pub verdict: Option<Verdict>,
    pub stopped: [bool; 2],
}

/// A message, with the survey's number, or a party that goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// 1.1 D → P: REQ, signed. `doutp !downloadReq`
    Request,
    /// 2.1 P → D: the file, one piece of it encrypted. `poutd !encryptedGoods`
    Goods(File),
    /// 2.2 P → D: C and Z, signed; the key that is in Z. `poutd !chequeDetails`
    Cheque(Key),
    /// 2.3 D → P: C and Z, signed by D too. It may be lost. `doutp !cheque`
    Signed { arrives: bool },
    /// 2.4 P → D: K. `poutd !key`
    Key(Key),
    /// 3.1 D → T: C, Z, P's signature, and D's, or not. `doutt !transactionDetails`
    Dispute { signed: bool },
    /// 3.2 T → D: the key in Z; 3.3 T → P: the cheque, if there is one. `toutd !key -> toutp !cheque`
    Answer,
    /// D → J: COMP, with a request and a key that D shows; and what J says. `douta !complain`, `DO_JUDGEMENT`
    Complain { request: File, key: Key },
    /// `ABORT`
    Stop(Party),
}

impl State {
    /// Whether D can read what it asked for.
    pub fn has_file(&self) -> bool {
        self.goods == Some(File::Asked) && [self.key, self.key_of_arbiter].contains(&Some(Key::Right))
    }

    /// What can be done next.
    pub fn steps(&self, market: &Market) -> Vec<Step> {
        // T always answers whoever asks as it should; one in league with D, without the cheque too.
        let answers = self.disputed && self.key_of_arbiter.is_none();
        let mut all: Vec<Step> = answers.then_some(Step::Answer).into_iter().collect();
        for party in [Downloader, Provider] {
            if !self.stopped[party as usize] {
                let own = match party {
                    Downloader => self.of_downloader(market),
                    Provider => self.of_provider(market),
                };
                // A provider may stop whenever it likes. An honest downloader goes on to the end once it has paid.
                let may_stop = market.liar == Some(party) || party == Provider || !self.signed;
                all.extend((may_stop && !own.is_empty()).then_some(Step::Stop(party)));
                all.extend(own);
            }
        }
        all
    }

    /// The state after a step.
    pub fn after(&self, step: Step, market: &Market) -> Self {
        let mut next = self.clone();
        match step {
            Step::Request => next.asked = true,
            Step::Goods(file) => next.goods = Some(file),
            Step::Cheque(key) => next.sealed = Some(key),
            Step::Signed { arrives } => (next.signed, next.cheque) = (true, arrives),
            Step::Key(key) => next.key = Some(key),
            Step::Dispute { signed } => (next.disputed, next.signed) = (true, signed),
            Step::Answer => {
                // All that T can do is to open Z: it has not seen the goods.
                next.key_of_arbiter = self.sealed;
                next.cheque |= self.signed && !market.league;
            }
            Step::Complain { request, key } => {
                next.verdict = market.judge.map(|judge| judge.verdict(self, request, key));
            }
            Step::Stop(party) => next.stopped[party as usize] = true,
        }
        next
    }

    fn of_downloader(&self, market: &Market) -> Vec<Step> {
        let offered = self.goods.is_some() && self.sealed.is_some();
        if !self.asked {
            return vec![Step::Request];
        }
        if !offered {
            return vec![];
        }
        if market.liar == Some(Downloader) {
            return self.of_lying_downloader(market);
        }
        let may_complain = market.judge.is_some() && self.verdict.is_none();
        match (self.signed, self.disputed, self.key_of_arbiter) {
            (false, _, _) => vec![Step::Signed { arrives: true }, Step::Signed { arrives: false }],
            (true, _, _) if self.has_file() => vec![],
            // No key came in time, or a wrong one did.
            (true, false, _) => vec![Step::Dispute { signed: true }],
            (true, true, Some(key)) if may_complain => vec![Step::Complain { request: File::Asked, key }],
            (true, true, _) => vec![],
        }
    }

    fn of_lying_downloader(&self, market: &Market) -> Vec<Step> {
        let mut all = Vec::new();
        if !self.signed {
            all.extend([true, false].map(|arrives| Step::Signed { arrives }));
        }
        if !self.disputed {
            all.extend((market.league && !self.signed).then_some(Step::Dispute { signed: false }));
            all.push(Step::Dispute { signed: true });
        }
        if market.judge.is_some() && self.verdict.is_none() {
            for request in [File::Asked, File::Other] {
                all.extend([Key::Right, Key::Garbage].map(|key| Step::Complain { request, key }));
            }
        }
        all
    }

    fn of_provider(&self, market: &Market) -> Vec<Step> {
        let lies = market.liar == Some(Provider);
        let keys = if lies { vec![Key::Garbage, Key::Right] } else { vec![Key::Right] };
        let files = if lies { vec![File::Asked, File::Other] } else { vec![File::Asked] };
        if !self.asked {
            vec![]
        } else if self.goods.is_none() {
            files.into_iter().map(Step::Goods).collect()
        } else if self.sealed.is_none() {
            keys.into_iter().map(Step::Cheque).collect()
        } else if self.cheque && self.key.is_none() && !self.disputed {
            keys.into_iter().map(Step::Key).collect()
        } else {
            vec![]
        }
    }
}

impl Judge {
    /// Opens the encrypted piece with the key, and compares it with the request.
    fn verdict(self, state: &State, shown: File, said: Key) -> Verdict {
        let request = if self.request_in_cheque { File::Asked } else { shown };
        let key = if self.key_from_seal { state.sealed } else { Some(said) };
        if key == Some(Key::Right) && state.goods == Some(request) {
            Verdict::InvalidComplain
        } else {
            Verdict::ProviderBan
        }
    }
}
