//! The list itself: one function per error, and all of them in [`REGISTRY`].

/// Makes of each error a function that fills in its templates, and of all of them the registry. The broker's errors are
/// made by it too.
#[macro_export]
macro_rules! error_registry {
    ($(
        $(#[$doc:meta])*
        $name:ident($($arg:ident),*) = $code:literal, $exit:ident, $status:literal:
            what $what:literal
            why $why:literal
            fix $fix:literal
            explain $explain:literal
    )*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name($($arg: impl ::std::fmt::Display),*) -> $crate::errors::ErrorView {
                $crate::errors::ErrorView {
                    code: $code.to_owned(),
                    what: format!($what),
                    why: format!($why),
                    fix: format!($fix),
                    exit: $crate::errors::exit::$exit,
                    status: $status,
                }
            }
        )*

        /// Every error.
        pub const REGISTRY: &[$crate::errors::Entry] = &[$($crate::errors::Entry {
            code: $code,
            what: $what,
            why: $why,
            fix: $fix,
            exit: $crate::errors::exit::$exit,
            status: $status,
            explain: $explain,
        }),*];
    };
}

error_registry! {
    // ---- the daemon and its API ----

    /// No peer answers in this home.
    daemon_not_running(home) = "NP-DAEMON-001", DAEMON, 503:
        what "no peer is running in {home}"
        why "this command asks a running peer, and none answers"
        fix "start it with: netpay --home {home} up"
        explain "Most commands talk to the peer that `netpay up` runs, over an address that the peer writes into `api-address` in its home. There is no such file, or nobody answers there. If the peer runs with another home, give the same one to this command with --home or NETPAY_HOME."

    /// Another process holds the home.
    home_locked_by(home, holder) = "NP-DAEMON-002", DAEMON, 409:
        what "{home} is in use"
        why "{holder} holds it"
        fix "use the peer that runs, or end it first with: netpay stop"
        explain "One home serves one peer at a time: two of them would spend the same coins and each destroy the other's books. The lock belongs to the process, not to the file, so a peer that crashed leaves none behind; if the process named is no NetPay peer, wait a moment and try again."

    /// The token shown is not the peer's.
    not_authorised() = "NP-DAEMON-003", DAEMON, 401:
        what "the peer does not know who is asking"
        why "the request bears no token, or not the one of this peer"
        fix "send `Authorization: Bearer …` with the content of api-token in the peer's home"
        explain "The API answers only to whoever can read `api-token` in the peer's home, a file that only its owner can read. A command run by another user, or with the home of another peer, is refused. Delete the file while the peer is stopped, and the next start makes a new token."

    /// The request names a host that the API does not answer to.
    foreign_host(host) = "NP-DAEMON-004", DAEMON, 403:
        what "the API does not answer to the host name \"{host}\""
        why "only an IP address or localhost is accepted, so that no web page can reach the peer through a name of its own"
        fix "use the address in the peer's api-address file"
        explain "A web page can make its own name point to 127.0.0.1 and have a browser call the peer under that name (DNS rebinding). The API therefore answers only to requests that name an IP address or `localhost`, whatever token they bear."

    /// Whoever answers at the API's address is not a peer, or of another version.
    odd_answer(address, detail) = "NP-DAEMON-005", DAEMON, 502:
        what "what answers at {address} does not speak like this peer"
        why "{detail}"
        fix "check which program listens there, and that command and peer are of one version: netpay version"
        explain "The command reached something at the address the peer wrote down, but the answer was not of NetPay's API. Another program may have taken the port after the peer ended, or the peer still runs an older version of the software: restart it."

    /// The peer is going down.
    stopping() = "NP-DAEMON-006", DAEMON, 503:
        what "the peer is stopping"
        why "it was told to, and takes no new work while it finishes what must be finished"
        fix "start it again with: netpay up"
        explain "While a peer stops it closes its open segments, writes everything down and leaves the network. New requests are refused meanwhile. Downloads that were running go on after the next start."

    /// A link was used, or is too old.
    link_used() = "NP-DAEMON-007", DAEMON, 401:
        what "this link lets nobody in any more"
        why "it works once, and for a minute"
        fix "have a new one made, on the peer's machine: netpay open"
        explain "A link from `netpay open` or `netpay up` signs one browser in. So that nobody who finds it in a history or a log can use it, it works once and for a minute. A browser that is signed in stays so for a week after it was used last, or until the peer is restarted."

    /// The interface's password is wrong.
    wrong_password() = "NP-DAEMON-008", DAEMON, 401:
        what "that is not the password"
        why "it is not the one that was set for this peer's interface"
        fix "try again, or set another on the peer's machine: netpay password"
        explain "The password lets people in to the peer's pages from other machines. It is not the passphrase of the wallet, and it cannot be read back: only its hash is kept."

    /// Too many wrong passwords.
    too_many_tries() = "NP-DAEMON-009", DAEMON, 429:
        what "too many wrong passwords"
        why "five within a minute: no more are looked at before it is over"
        fix "wait a minute, or use a link from: netpay open"
        explain "Passwords cannot be guessed in a row. A link from `netpay open`, made on the peer's machine, lets in all the same."

    /// Another web page sent the request.
    foreign_page(origin) = "NP-DAEMON-010", DAEMON, 403:
        what "the request comes from another page"
        why "it was sent by \"{origin}\", and only pages of this peer may have something done here"
        fix "open the peer's own pages: netpay open"
        explain "Any page in a browser can send forms to any address, with the cookies that the browser has for it. Requests that change something are therefore taken only from the peer's own pages, or from programs, which name no page at all."

    /// The form is not one that this session was given.
    foreign_form() = "NP-DAEMON-011", DAEMON, 403:
        what "the form does not come from this session"
        why "it does not carry the secret that the session's own forms carry"
        fix "go back, reload the page, and send it again"
        explain "Each session has a secret, which the peer puts into every form. A form that was loaded before signing in anew, or that another page made, does not have it. Programs that use a session send it as X-Csrf-Token."

    /// The token only lets look.
    read_only() = "NP-DAEMON-012", DAEMON, 403:
        what "this token may look, and change nothing"
        why "it is the one of api-token-read"
        fix "use the token in api-token"
        explain "The home has two tokens: `api-token` for everything, and `api-token-read` for programs that only look, such as a monitor. The second is refused wherever something would be changed."

    /// As many listen to events as may.
    too_many_listeners(most) = "NP-DAEMON-014", DAEMON, 503:
        what "too many listen to this peer's events"
        why "{most} do already"
        fix "close some of their connections, and try again"
        explain "Each listener to `/api/v1/events` or to the events of a download holds a connection and some memory for as long as it listens, so there are only so many places. A place is free as soon as its connection ends."

    // ---- the home ----

    /// There is no peer in the home.
    not_a_home(home) = "NP-HOME-001", CONFIG, 409:
        what "{home} is not the home of a peer"
        why "it has no identity.key"
        fix "make one with: netpay init      or name another with --home"
        explain "A peer keeps everything in one directory: its identity, wallet, settings and database. `netpay init` makes one. Without --home and NETPAY_HOME, the place that this system has for data of applications is used."

    /// There is a peer in the home already.
    already_initialised(home) = "NP-HOME-002", USAGE, 409:
        what "{home} is the home of a peer already"
        why "it has an identity.key, which init never replaces: coins and earnings hang on it"
        fix "use it as it is, or name another directory with --home"
        explain "Identity and wallet belong together, and replacing one would lose the coins of the other, so `netpay init` refuses to touch a home that has an identity. To begin anew, name another directory; to change settings, use `netpay config set`."

    /// The home was copied, moved or restored.
    home_is_copy(home) = "NP-HOME-003", PAYMENT, 409:
        what "{home} is a copy"
        why "its identity is in another file than it was made in, so its coins may have been spent elsewhere"
        fix "netpay wallet retire      brings its coins back at settlement"
        explain "A copied or restored home would spend coins a second time, for which its owner could be convicted. A copy therefore retires its chains instead of spending them: what was not spent comes back to the account at settlement, and new coins can be bought at once."

    /// There is no place for a home.
    no_home() = "NP-HOME-004", CONFIG, 500:
        what "there is no place for a home"
        why "neither --home nor NETPAY_HOME is given, and this user has no home directory"
        fix "give one with --home DIR"
        explain "Without a directory given, a peer lives in the place that this system has for data of applications, which is under the user's home directory. This user has none, as is common for service accounts: name a directory."

    // ---- wallet ----

    /// Fewer coins than the purchase needs; see [`not_enough_coins`](super::not_enough_coins).
    not_enough_coins_because(name, needs, have, why, fix) = "NP-WALLET-001", PAYMENT, 402:
        what "not enough coins for \"{name}\" (needs {needs}, you have {have})"
        why "{why}"
        fix "{fix}"
        explain "A download needs as many free coins as its price. Coins in leases of other downloads are held until these end; coins in retired chains come back at settlement. `netpay wallet` shows where they are, `netpay wallet buy N` turns money of the account into coins, and `netpay wallet redeem-voucher` brings money into the account."

    /// The passphrase does not open it.
    wrong_passphrase() = "NP-WALLET-002", DAEMON, 403:
        what "the passphrase does not open the wallet"
        why "it is not the one it was closed with"
        fix "try again; keyboard layout and capitals matter"
        explain "The wallet is encrypted under the passphrase, and nobody keeps a copy: without it the wallet stays closed. If it is lost, coins can be had back by nobody but the broker: register a new peer and ask the operator."

    /// The wallet is locked.
    wallet_locked() = "NP-WALLET-003", DAEMON, 423:
        what "the wallet is locked"
        why "its passphrase was not given yet, or it was locked since"
        fix "netpay wallet unlock"
        explain "A peer without its wallet's passphrase can search, share free files and keep records for others, but neither pay nor earn. `netpay wallet unlock` asks for the passphrase; `netpay up` takes it from a file or the environment."

    /// A passphrase is needed and there is nobody to ask.
    passphrase_needed() = "NP-WALLET-004", USAGE, 422:
        what "a passphrase is needed"
        why "there is no terminal to ask for it, or --no-input forbids it"
        fix "give it with --passphrase-file FILE or NETPAY_PASSPHRASE"
        explain "Secrets are never given as arguments, where every user of the machine can read them. They come from a prompt, a file or the environment. For throw-away peers of a test swarm there is --insecure-no-passphrase."

    /// A passphrase that protects nothing, or that was mistyped.
    bad_passphrase(why) = "NP-WALLET-005", USAGE, 422:
        what "this passphrase cannot be used"
        why "{why}"
        fix "choose another; a few random words are good"
        explain "A new passphrase must not be empty, and is asked for twice so that a slip of the finger does not close the wallet for ever. Length counts, not the kinds of characters. Test swarms may use --insecure-no-passphrase instead."

    /// A backup that cannot be used.
    bad_backup(why) = "NP-WALLET-006", VERIFICATION, 422:
        what "this is not a backup that can be restored"
        why "{why}"
        fix "check the file, and that it was made by `netpay wallet backup`"
        explain "A backup is encrypted and sealed: if one byte of it was changed or is missing, or it belongs to another peer or network, it does not open. Try another copy of the file."

    /// Coins of a restored wallet.
    wallet_restored() = "NP-WALLET-007", PAYMENT, 409:
        what "these coins cannot be spent"
        why "they come from a restored wallet, and may have been spent since the backup"
        fix "netpay wallet buy N      new coins; the old ones come back at settlement"
        explain "A restored wallet does not know what was spent after the backup, and spending a coin twice convicts its owner. Its chains are therefore retired: what was not spent returns to the account at settlement."

    /// No chain of this id.
    no_chain(id) = "NP-WALLET-008", NOT_FOUND, 404:
        what "the wallet has no chain {id}"
        why "none of its chains has this id, or it was settled"
        fix "netpay wallet chains"
        explain "Chains are named by 64 hexadecimal digits, of which the first few are enough if no other chain begins with them. Chains that were settled leave the wallet."

    /// A number of coins that cannot be bought at once.
    bad_amount(amount, most) = "NP-WALLET-009", USAGE, 422:
        what "{amount} coins cannot be bought at once"
        why "a chain has 1 to {most} coins"
        fix "buy fewer, several times"
        explain "Coins come in chains that the broker mints in one step and signs as a whole, so their length is limited. Several chains are as good as one long one: a download may be paid from any of them."

    // ---- limits ----

    /// Dearer than the user allows.
    over_limit(name, price, limit) = "NP-LIMIT-001", LIMIT, 412:
        what "\"{name}\" costs {price}, over the limit of {limit}"
        why "no vendor that can be reached offers it for less"
        fix "raise --max-price, or try later"
        explain "With --max-price a purchase is only made if the whole price is within it. Nothing was paid. `netpay get --dry-run` shows what each vendor asks."

    /// The user said no.
    declined() = "NP-LIMIT-002", LIMIT, 409:
        what "declined"
        why "the question was not answered with yes"
        fix "nothing was paid or changed; run it again to be asked again, or with --yes"
        explain "Commands that spend coins or destroy something ask first and name the amount and the party. Any answer but yes, and the end of input, is a no: nothing happens."

    /// A question is due and must not be asked.
    not_confirmed(question) = "NP-LIMIT-003", LIMIT, 409:
        what "this needs a yes: {question}"
        why "there is no terminal to ask on, or --no-input forbids it"
        fix "add --yes if you mean it"
        explain "Scripts have nobody to answer questions, so they say --yes (or NETPAY_YES=1) for what spends or destroys. Without it such a command does nothing, rather than guess."

    /// The price went up between quote and order.
    price_rose(name, was, now) = "NP-LIMIT-004", LIMIT, 412:
        what "\"{name}\" now costs {now}, not {was}"
        why "the vendor changed the price after it was quoted"
        fix "run it again to see the new price and decide"
        explain "A purchase is held to the price that was confirmed. If the vendor's newest listing asks for more, nothing is paid and the decision is yours again."

    // ---- finding ----

    /// Nobody lists this content.
    file_not_found(id) = "NP-FIND-001", NOT_FOUND, 404:
        what "nobody offers {id}"
        why "no listing of it was found at the members that keep the index"
        fix "check the id or link, or try later: vendors list again every few hours"
        explain "Listings live with the members closest to them and expire after a day unless the vendor renews them. If the vendor is known, `netpay browse PEER` asks it directly."

    /// Nobody of this name.
    peer_not_found(peer) = "NP-FIND-002", NOT_FOUND, 404:
        what "no peer \"{peer}\" is known"
        why "no peer of this name, key or peer id was heard of"
        fix "netpay peers      or, with its address: netpay connect ADDRESS"
        explain "Peers are named by what they call themselves (if only one does), by their node key, or by their libp2p peer id; the beginning is enough if no other has it."

    /// No download of this number.
    no_download(id) = "NP-FIND-003", NOT_FOUND, 404:
        what "there is no download {id}"
        why "no download has this number"
        fix "netpay downloads"
        explain "Downloads are numbered from 1 in the order they were asked for, and keep their number for as long as this peer exists."

    /// Not shared.
    not_shared(id) = "NP-FIND-004", NOT_FOUND, 404:
        what "this peer does not share {id}"
        why "no file it shares has this id"
        fix "netpay share ls"
        explain "Shared files are named by the 64 hexadecimal digits of their content, of which the first few are enough if no other file begins with them. A file whose content changed is another file."

    /// No such row.
    no_row(row) = "NP-FIND-005", NOT_FOUND, 404:
        what "there is no row {row}"
        why "the last search or browse in this home did not list that many"
        fix "netpay search WORDS      and take a number of its first column"
        explain "`netpay search` and `netpay browse` number what they show and remember it in the home, so that `netpay get 3` means the third row of the last list."

    /// The beginning of an id that several things share.
    ambiguous(what, given) = "NP-FIND-006", USAGE, 409:
        what "\"{given}\" could be more than one {what}"
        why "several begin with, or are called, that"
        fix "give more of the id"
        explain "Ids may be shortened to their first digits, and peers may be called by name, as long as only one thing is meant."

    /// No receipt or proof of this name.
    no_paper(what, id) = "NP-FIND-007", NOT_FOUND, 404:
        what "there is no {what} {id}"
        why "none that is kept in this home is called that"
        fix "netpay receipt ls      or: netpay evidence ls      or: netpay dispute ls"
        explain "Receipts are numbered in the order in which vendors gave them; proofs against cheats, and disputes of what was bought in fair mode, are named by 64 hexadecimal digits, of which the first few are enough. A dispute is gone when the key came after all; one about a key has no proof, since none is needed. All others are kept in the home for good; `save` writes one into a file that anybody can check."

    // ---- the network ----

    /// No vendor answers.
    no_vendor(name) = "NP-NET-001", UNREACHABLE, 503:
        what "no vendor of \"{name}\" can be reached"
        why "every one that lists it was tried, and none answered"
        fix "try later: the download waits and goes on when one is there; or: netpay doctor"
        explain "Vendors come and go. The listings found are signed and valid, but their vendors do not answer now. A download that has begun keeps what it has and what it paid."

    /// The broker does not answer.
    broker_unreachable(broker) = "NP-NET-002", UNREACHABLE, 503:
        what "the broker {broker} cannot be reached"
        why "it does not answer at any of its addresses"
        fix "try later; searching, buying with coins you have, and selling go on without it"
        explain "The broker is needed to register, to buy coins and to redeem; never for a sale. Earnings stay safe in the till until it is back."

    /// A peer does not answer.
    peer_unreachable(peer, detail) = "NP-NET-003", UNREACHABLE, 502:
        what "{peer} cannot be reached"
        why "{detail}"
        fix "check the address, and that the peer is running"
        explain "A connection could be made at none of the peer's addresses, or another peer answered there. Peers behind a router need a forwarded port, or UPnP, to be reached from outside."

    /// Somebody else listens there.
    port_in_use(address) = "NP-NET-004", CONFIG, 409:
        what "{address} is already in use"
        why "another program, or another peer, listens there"
        fix "netpay config set listen /ip4/0.0.0.0/tcp/0      takes a free port (api.listen: 127.0.0.1:0)"
        explain "Two programs cannot listen on one port. Every peer has two: `listen`, for other peers, and `api.listen`, for commands and pages of this machine. Port 0 stands for any free one."

    /// The system refuses to listen there.
    cannot_listen(address, detail) = "NP-NET-005", CONFIG, 500:
        what "cannot listen on {address}"
        why "{detail}"
        fix "netpay config set listen ADDRESS"
        explain "The operating system refused the address: it may not belong to this machine, or the port may be reserved (those below 1024 often are)."

    // ---- the broker ----

    /// No account there.
    not_registered(broker) = "NP-BROKER-001", PAYMENT, 402:
        what "this peer has no account at the broker {broker}"
        why "coins are bought and earnings redeemed by members only"
        fix "netpay broker register"
        explain "Registering makes an account at the broker and a membership that other peers can check. It takes a voucher of the operator, or money in the account for a small bond; ask the operator, whom `netpay broker show` names."

    /// The broker said no.
    broker_refused(reject) = "NP-BROKER-002", PAYMENT, 402:
        what "the broker refused"
        why "{reject}"
        fix "netpay broker show      names the operator to ask"
        explain "The broker answered with a refusal and its reason. Nothing was booked. Refusals for lack of funds end when money comes in (`netpay wallet redeem-voucher`); about a frozen account ask the operator."

    /// None is known.
    no_broker() = "NP-BROKER-003", CONFIG, 409:
        what "no broker is known"
        why "no invite was given at init or since"
        fix "netpay broker use INVITE"
        explain "A broker's invite names its keys, its network and where to reach it. Operators publish it on their page. One peer lives in one network, the one of its broker."

    /// A voucher that brings nothing.
    bad_voucher(why) = "NP-BROKER-004", PAYMENT, 422:
        what "the voucher was not taken"
        why "{why}"
        fix "check it letter by letter, or ask whoever gave it to you"
        explain "A voucher brings money into one account, once. It was mistyped, belongs to another broker, or was used before. Vouchers are as good as money: do not give them as arguments, where other users of this machine can read them."

    /// Coins or members of another network.
    wrong_network(detail) = "NP-BROKER-005", CONFIG, 409:
        what "this belongs to another network"
        why "{detail}"
        fix "use a home of its own for each network: netpay --home DIR init"
        explain "Everything signed in one network is worth nothing in another: coins, listings and memberships name their network and broker. A peer lives in one network; another network needs another home."

    /// This clock and the broker's are apart.
    clock_apart(why) = "NP-BROKER-006", OTHER, 409:
        what "this machine's clock is not the broker's"
        why "{why}"
        fix "set the clock, with NTP if you can; timedatectl shows it"
        explain "What an account asks carries the time, so that nobody can send an old question again, and the broker takes it within five minutes of its own clock. Chains, listings and memberships end at a time, too. A machine whose clock is wrong is told so here, or takes good coins for old ones."

    // ---- trade ----

    /// The broker has no pages.
    no_bank_pages() = "NP-BROKER-012", NOT_FOUND, 404:
        what "the broker shows no pages to the public"
        why "it told no address that a browser can open"
        fix "netpay wallet history shows the statement here"
        explain "A broker may serve pages on which an account's owner sees its statement, and tells its members where they are. This one serves none, or listens on every address of its machine and its operator did not say under which it is found (`web_url` in the broker's configuration). The statement can be read from the peer itself."

    /// Bytes that are not what was promised.
    verification_failed(what, detail) = "NP-TRADE-001", VERIFICATION, 502:
        what "{what} is not what was promised"
        why "{detail}"
        fix "the vendor was dropped; netpay downloads retry      asks others"
        explain "Every piece is checked against the content's hash before it is paid for, and every promise against the key that signed it. What failed was not kept. A vendor that sends wrong bytes can cost at most the first unit."

    /// A vendor said no.
    vendor_refused(vendor, reject) = "NP-TRADE-002", PAYMENT, 409:
        what "the vendor {vendor} refused"
        why "{reject}"
        fix "try another: netpay get … --from PEER"
        explain "The vendor answered with a refusal and its reason: the listing is old, it is busy, or it does not take these coins. Nothing of this order was paid beyond what the receipt says."

    /// A price that one unit of plain mode cannot bear.
    price_too_high(most) = "NP-TRADE-003", USAGE, 422:
        what "the price is too high for a file of this size"
        why "its smallest piece would cost more than the {most} coins that may be risked on one, and fair mode is not wanted or cannot bear it"
        fix "take fair mode: netpay get … --fair auto, or netpay config set fair auto; or raise p0 on both sides"
        explain "In a plain sale the first piece is paid before it is seen, so no piece may cost more than p0 coins (10 unless set otherwise), and pieces are at least 16 KiB. Small files can therefore be arbitrarily dear only in fair mode, where nothing can be lost, and where a piece may cost 4096 coins."

    /// Money left, the file did not come.
    paid_but_failed(name, paid, download) = "NP-TRADE-004", UNREACHABLE, 502:
        what "\"{name}\" is not complete, though {paid} were paid"
        why "the vendor went away, or stopped sending, after it was paid for what it sent"
        fix "netpay downloads retry {download}      goes on with what was paid and what is here"
        explain "Payment and bytes go hand in hand, so what was paid for is on this disk, and the receipts are kept: `netpay receipt ls`. Retrying asks this vendor and others for the rest, and never pays again for what is here. Paying a second time is a separate act."

    /// Not in this state.
    wrong_state(download, state, wanted) = "NP-TRADE-005", USAGE, 409:
        what "download {download} cannot be {wanted}"
        why "it is {state}"
        fix "netpay downloads show {download}"
        explain "Running downloads can be paused or cancelled, paused ones resumed or cancelled, failed ones retried. Those that are done or cancelled stay as they are: get the file again for another copy."

    /// A deal of fair mode that was not kept.
    deal_broken(why) = "NP-TRADE-006", VERIFICATION, 502:
        what "a sale in fair mode ended before its end"
        why "{why}"
        fix "netpay dispute ls      shows what is paid and not here, and what is done about it"
        explain "In fair mode pieces come under seal, and each is paid before its key is given. A vendor that gives no key, or sold something else than it signed for, cannot keep the coins: to be paid it must show the key to the broker, which gives it to you, and one wrong piece convicts it there. Your peer does both by itself. What the vendor never claims comes back when the chain is settled. `netpay downloads retry` asks other vendors meanwhile."

    /// A vendor that sells in one mode, and a buyer that wants the other.
    other_mode(sold, wanted, policy) = "NP-TRADE-007", PAYMENT, 409:
        what "it is sold in {sold} mode only"
        why "you buy it in {wanted} mode, as `fair` is set or by what is known of the vendor"
        fix "buy it so all the same: netpay get … --fair {policy}"
        explain "In fair mode pieces come under seal and nobody can lose a coin; in plain mode the first piece is paid before it is seen, at most p0 coins. Vendors say in their listings which they offer. With `fair = auto` a vendor that never delivered anything to you, and a file of one piece, are bought in fair mode only, so that whoever refuses it gains nothing."

    // ---- time ----

    /// It took too long.
    timed_out(doing) = "NP-TIME-001", TIMED_OUT, 504:
        what "{doing} took too long"
        why "no answer came in time"
        fix "try again; netpay doctor looks at the network"
        explain "The other side did not answer in time. It may be busy or far away, or the network is slow. Requests that move money can be repeated safely: the same request is carried out once."

    // ---- the configuration ----

    /// Not TOML.
    bad_config(path, detail) = "NP-CONFIG-001", CONFIG, 422:
        what "{path} cannot be read"
        why "{detail}"
        fix "correct the file; netpay config show      lists every key"
        explain "The configuration is a file in TOML: `key = value`, texts in quotes, groups in brackets. The message names line and column of the first mistake."

    /// No such key; see [`unknown_key`](super::unknown_key).
    unknown_key_with_fix(key, place, fix) = "NP-CONFIG-002", CONFIG, 422:
        what "there is no setting \"{key}\""
        why "{place} names it, but this version knows no such key"
        fix "{fix}"
        explain "Unknown keys are refused rather than passed over, so that a typing mistake in a limit is noticed before it costs something."

    /// A value that the key cannot have.
    bad_value(key, value, place, expected) = "NP-CONFIG-003", CONFIG, 422:
        what "{key} cannot be \"{value}\""
        why "{place} says so, but {expected} is expected"
        fix "give it another value there, or once for all: netpay config set {key} VALUE"
        explain "Settings come from flags, then the environment (NETPAY_*), then config.toml, then the defaults; `netpay config show --origin` tells which of them won. One of them has a value outside what the key allows."

    /// The API would be open to others.
    not_loopback(address) = "NP-CONFIG-004", CONFIG, 422:
        what "the API must not listen on {address}"
        why "that address can be reached from other machines, and no password is set"
        fix "netpay password      or: netpay config set api.listen 127.0.0.1:5780"
        explain "The API moves money, and it speaks plain HTTP. Without a password it listens on addresses of this machine only. With one (`netpay password`) it takes any address; put something that encrypts before it, or forward the port with ssh instead."

    // ---- sharing ----

    /// This file cannot be shared.
    cannot_share(path, why) = "NP-SHARE-001", USAGE, 422:
        what "{path} cannot be shared"
        why "{why}"
        fix "share a readable, not empty file; directories with --recursive"
        explain "Shared are ordinary files that this peer can read, with a name that is a single file's name in UTF-8. Directories are shared file by file with --recursive; links, devices, empty files and the peer's own home are not."

    /// Nothing there.
    nothing_at(path) = "NP-SHARE-002", NOT_FOUND, 404:
        what "there is nothing at {path}"
        why "no file or directory has this name"
        fix "check the path; it is taken as the peer sees it"
        explain "The peer reads shared files itself whenever it sells them, so they must stay where they are and be readable by the peer."

    // ---- what doctor finds ----

    /// Something is bad.
    unwell(checks) = "NP-DOCTOR-001", OTHER, 500:
        what "not everything is well"
        why "bad: {checks}"
        fix "do what stands beside it in the list"
        explain "`netpay doctor` looks at the home, its settings, the disk, the ports, the broker and the wallet, whether or not the peer runs. What is bad keeps the peer from working, or its secrets from being secret; a warning may be as you want it. Only what is bad makes the exit code 1."

    // ---- what was typed or sent ----

    /// Not an id.
    bad_id(given) = "NP-INPUT-001", USAGE, 422:
        what "\"{given}\" is not an id"
        why "ids are hexadecimal digits, 64 in full"
        fix "copy it from: netpay search, netpay share ls or netpay wallet chains"
        explain "Files, chains and peers are named by 64 hexadecimal digits. Where it is clear what is meant, the beginning is enough; `netpay get` also takes a row number of the last search, and links."

    /// Not a link.
    bad_link(given, detail) = "NP-INPUT-002", USAGE, 422:
        what "\"{given}\" is not a link"
        why "{detail}"
        fix "a link looks like netpay:<64 hexadecimal digits>?name=…&size=…"
        explain "A `netpay:` link names a file by its content, with a name and a size for people. Shells treat ? and & specially: put links in quotes."

    /// Not an address.
    bad_address(given, detail) = "NP-INPUT-003", USAGE, 422:
        what "\"{given}\" is not an address"
        why "{detail}"
        fix "an address looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…"
        explain "Addresses of peers are multiaddrs: the host, the transport, the port, and the peer id. `netpay status` on the other peer prints its own."

    /// Not an invite.
    bad_invite(detail) = "NP-INPUT-004", USAGE, 422:
        what "this is not a broker's invite"
        why "{detail}"
        fix "copy the whole line from the operator, in quotes"
        explain "An invite names a broker's signing key, its network, its node and its addresses in one line. Shells treat ? and & specially: put it in quotes."

    /// A request or argument that makes no sense.
    bad_request(detail) = "NP-INPUT-005", USAGE, 400:
        what "the request was not understood"
        why "{detail}"
        fix "see netpay help, or the API's description"
        explain "A field is missing, unknown, or of another type than expected. Unknown fields are refused rather than passed over, so that a misspelt limit does not go unnoticed."

    /// Too many bytes.
    too_large(most) = "NP-INPUT-006", USAGE, 413:
        what "the request is too large"
        why "at most {most} bytes are taken here"
        fix "send less at once"
        explain "Every request to the API has a limit in bytes, so that none can exhaust the peer's memory. Files are never sent through it: they are named by their path."

    /// No such page.
    no_route(method, path) = "NP-INPUT-007", NOT_FOUND, 404:
        what "there is no {method} {path}"
        why "the API has nothing of this name"
        fix "everything is under /api/v1; check the version: netpay version"
        explain "The path or the method is not one of the API's. Command and peer may be of different versions: restart the peer after an update."

    /// Money moves, and the request has no name.
    idempotency_key_needed() = "NP-INPUT-008", USAGE, 400:
        what "this request needs an Idempotency-Key"
        why "it moves money, and without a name it could be carried out twice"
        fix "send a header `Idempotency-Key` with up to 128 letters, digits or dashes, new for each purchase"
        explain "Connections break after a request was carried out and before the answer came. With a key of its own, a request can be sent again safely: it is carried out once, and the answer is repeated."

    /// The name was used for something else.
    idempotency_key_reused() = "NP-INPUT-009", USAGE, 422:
        what "this Idempotency-Key was used for another request"
        why "the same key came with another path or other contents"
        fix "use a new key for each purchase"
        explain "An Idempotency-Key names one request with its contents. The same key with other contents is a mistake of the program that sends it, so nothing is carried out."

    /// The answer of an act was too long to be kept.
    answer_not_kept() = "NP-INPUT-010", OTHER, 409:
        what "it was done, and its answer is not kept"
        why "the answer to this Idempotency-Key was too long to be kept for a day"
        fix "ask for the state: netpay wallet, netpay downloads, netpay sales"
        explain "What was asked for under this key was carried out before, and is not carried out again. Answers are kept for a day so that they can be repeated, but none longer than 256 KiB."

    // ---- evidence ----

    /// Proves nothing.
    proves_nothing(detail) = "NP-EVIDENCE-001", VERIFICATION, 422:
        what "this evidence convicts nobody"
        why "{detail}"
        fix "check that the home's broker is the one of the chain"
        explain "Evidence is two signatures by one key of which the rules allow one. Anyone can check it with the network and the broker's key. Here a signature does not hold, the two do not contradict each other, or they belong to another broker's network."

    /// A receipt that says nothing.
    bad_receipt(detail) = "NP-EVIDENCE-002", VERIFICATION, 422:
        what "this is no receipt that holds"
        why "{detail}"
        fix "check the file, and that the home's broker is the one of the chain"
        explain "A receipt is made of the broker's signature over the chain, the buyer's over the segment, and the vendor's over the index up to which it was paid. All three are checked, and that the coins and releases named are those of the chain. Here one of them does not hold, or it is of another broker's network."

    // ---- storage and the rest ----

    /// The disk or the operating system failed.
    storage(doing, path, detail) = "NP-STORAGE-001", OTHER, 500:
        what "{doing} {path} failed"
        why "{detail}"
        fix "check the disk and who owns the file; then try again"
        explain "The operating system refused to read or write. What could not be made durable was not done: nothing was paid or promised on it."

    /// No space.
    disk_full(path) = "NP-STORAGE-002", OTHER, 507:
        what "the disk of {path} is full"
        why "the system has no space left there, or the user's quota is used up"
        fix "free some space; netpay downloads retry      goes on where it stopped"
        explain "Downloads are written as they come, and coins are only paid for what is on the disk. After space was freed, downloads go on where they stopped."

    /// The database does not hold together.
    damaged(path, detail) = "NP-STORAGE-003", OTHER, 500:
        what "{path} is damaged"
        why "{detail}"
        fix "do not delete it; restore the home from a backup, or ask for help with this message"
        explain "Checksums guard everything that money depends on, and one does not hold: bytes changed on the disk. The peer does not start on it, because going on with wrong books could spend coins twice."

    /// A mistake of ours.
    internal(detail) = "NP-INTERNAL-001", OTHER, 500:
        what "something went wrong inside the peer"
        why "{detail}"
        fix "please report it with the output of: netpay logs"
        explain "This is a mistake in the software, not in what you did. What is written down stays valid; restarting the peer is safe."

    /// The user pressed ^C.
    interrupted() = "NP-INTERNAL-002", INTERRUPTED, 503:
        what "interrupted"
        why "it was ended before it was done"
        fix "what the peer began goes on: netpay downloads"
        explain "The command was ended with ^C. The peer itself goes on: a download that was begun continues in the background and can be paused or cancelled with `netpay downloads`."
}
