//! The list itself: one function per error, and all of them in [`REGISTRY`]. The peer's own are in its crate, and begin
//! with other numbers.

netpay_node::error_registry! {
    /// No broker was made in this home.
    no_broker_in(home) = "NP-BROKER-020", CONFIG, 409:
        what "there is no broker in {home}"
        why "its configuration or one of its keys is missing"
        fix "netpay-broker init --name NAME --contact EMAIL, or name its home with --home"
        explain "A broker is its home: `config.toml`, `broker.key` (the signing key, which is the money) and `identity.key` (its node). A command found one of them missing. Either the home is another one, to be named with --home or NETPAY_HOME, or no broker was made yet."

    /// A broker was made in this home before.
    broker_already_in(home) = "NP-BROKER-021", CONFIG, 409:
        what "there is a broker in {home} already"
        why "its keys are what its coins are worth: they are never overwritten"
        fix "take another home with --home"
        explain "`init` and `restore` make a broker only where there is none. If the old one is really given up, move its home away; do not delete it, since every coin that it issued is worth what its key can still prove."

    /// Nobody answers at the home's API.
    not_running_in(home) = "NP-BROKER-022", DAEMON, 503:
        what "no broker is running in {home}"
        why "this command asks a running broker, and none answers"
        fix "netpay-broker --home {home} up"
        explain "Most commands ask the broker that `netpay-broker up` runs, over an address that it writes into `api-address` in its home. `ledger check`, `ledger export`, `backup`, `logs`, `invite` and `support-bundle` work also while it is stopped."

    /// The configuration, or an option, has a value that makes no sense.
    bad_value_of(name, why) = "NP-BROKER-023", CONFIG, 422:
        what "{name} has a value that cannot be used"
        why "{why}"
        fix "netpay-broker --help"
        explain "A flag, a variable or a key of `config.toml` was not understood, or is out of range. Nothing was changed. Keys that do not exist are refused as well, so that a misspelling is not taken for a setting."

    /// The journal cannot be read, or does not add up.
    books(why) = "NP-BROKER-024", VERIFICATION, 500:
        what "the books are not in order"
        why "{why}"
        fix "stop the broker, keep the home as it is, and restore the newest backup into another home"
        explain "The journal is the truth, and every record of it is checked: its checksum, its place, and whether it fits the books before it. One does not, or the disk fails. A bank must not go on with books that it cannot prove. Find out what happened to the disk before the backup is put in place: whoever restores an older one forgets what was paid since."

    /// The books refused a command.
    refused_as(code, why) = "NP-BROKER-025", PAYMENT, 422:
        what "the books refused ({code})"
        why "{why}"
        fix "netpay-broker accounts ls"
        explain "The books carry out only what keeps them right: no voucher without value, no credit beyond what can be held, no payout twice. The reason says which rule it was. Nothing was booked."

    /// There is no such account, chain or payout.
    not_found(what, name) = "NP-BROKER-026", NOT_FOUND, 404:
        what "there is no {what} \"{name}\""
        why "nothing of that name is in the books"
        fix "netpay-broker {what}s ls"
        explain "Accounts, chains and payouts are named by their keys, of which the beginning is enough, and disputes by their number. Nothing begins so. The matching `ls` shows what there is."

    /// It cannot listen.
    cannot_listen(why) = "NP-BROKER-027", OTHER, 500:
        what "the broker cannot listen"
        why "{why}"
        fix "give another address with --listen or --api"
        explain "Another program has the port, the address is not this machine's, or the operator's API was given an address that other machines reach: it moves money, and answers on this machine only."

    /// The home is a copy.
    copied_home(home) = "NP-BROKER-028", CONFIG, 409:
        what "{home} is a copy of a broker's home"
        why "two banks with one key would both pay the same coins, and an old copy has forgotten what it paid"
        fix "if the original is gone for good and nothing was booked since the copy was made: netpay-broker up --adopt"
        explain "A home knows which file its identity was written in. This one was copied, moved to another disk or put back from an image. Running it beside the original would let every coin be paid twice, and running an old copy forgets what the original paid since."

    /// Something about files.
    io_of(doing, path, why) = "NP-BROKER-029", OTHER, 500:
        what "{doing} {path} failed"
        why "{why}"
        fix "check that the disk has room and the directory is yours"
        explain "The operating system refused. What was acknowledged before is on the disk; a file that was only half written is removed again."

    /// The token shown is not the broker's.
    not_authorised() = "NP-BROKER-030", DAEMON, 401:
        what "the broker does not know who is asking"
        why "the request bears no token, or another one"
        fix "send `Authorization: Bearer …` with the content of api-token in the broker's home"
        explain "The operator's API answers only to whoever can read `api-token` in the broker's home, a file that only its owner can read. A command run by another user is refused. Delete the file while the broker is stopped, and the next start makes a new token."

    /// The request names a host that the API does not answer to.
    foreign_host() = "NP-BROKER-031", OTHER, 403:
        what "the broker does not answer to this host name"
        why "only an address, localhost or the name in `web_url` is accepted, so that no web page can reach the broker through a name of its own"
        fix "use the address that netpay-broker up printed"
        explain "A web page can make its own name point to 127.0.0.1 and have a browser call the broker under that name (DNS rebinding). The broker therefore answers only to requests that name an address, `localhost` or, on the public pages, the host of `web_url`, whatever token they bear."

    /// Whoever answers at the API's address is no broker, or of another version.
    odd_answer(why) = "NP-BROKER-032", DAEMON, 502:
        what "what answers does not speak like this broker"
        why "{why}"
        fix "check that command and broker are of one version, and restart the broker"
        explain "The command reached something at the address that the broker wrote down, but the answer was not of its API, or broke off. Another program may have taken the port after the broker ended, or the broker still runs an older version of the software."

    /// A request of the API that cannot be understood.
    bad_request(why) = "NP-BROKER-033", USAGE, 400:
        what "the request cannot be understood"
        why "{why}"
        fix "netpay-broker --help"
        explain "An argument or a field is missing, too long or of another kind than expected, or the beginning of a key fits several. Nothing was changed."

    /// A backup that cannot be read.
    bad_backup_file(path, why) = "NP-BROKER-034", VERIFICATION, 422:
        what "{path} is not a whole backup"
        why "{why}"
        fix "take another backup"
        explain "A backup ends with a hash over all of it, and is read once before anything is made of it. This one was cut off, changed, or is of another version. No home was made."

    /// A link that signs nobody in to the public pages.
    bad_pass(why) = "NP-BROKER-035", PAYMENT, 401:
        what "this link signs nobody in"
        why "{why}"
        fix "have another one made by the peer that has the account: netpay broker open"
        explain "My account is shown to whoever has a link that the account's own peer made and signed. It holds for a minute, for this broker, and once. Clocks that are more than a minute apart make every link late."

    /// Too many ask at once.
    crowded() = "NP-BROKER-036", OTHER, 503:
        what "too many ask for these pages at once"
        why "the bank answers its members first"
        fix "load the page again in a moment"
        explain "The public pages answer a bounded number of requests at once, so that visitors cannot keep the bank from its members. Nothing is wrong with the request."

    /// An export of the books that cannot be imported.
    bad_export(path, line, why) = "NP-BROKER-050", VERIFICATION, 422:
        what "{path} cannot be imported: line {line}"
        why "{why}"
        fix "export the books again with: netpay-broker ledger export"
        explain "`ledger import` takes what `ledger export` wrote, whole and unchanged, of the same broker: each line carries a seal over it and all lines before, and the last line says how many there are. Every record is booked again and must fit. Nothing was imported: the home is as it was."

    /// Books are imported only where there are none.
    has_books(home, records) = "NP-BROKER-051", CONFIG, 409:
        what "the broker in {home} has books already"
        why "its journal has {records} records, and an import would replace them"
        fix "import into a home with the same keys and no `db` in it, or use: netpay-broker restore"
        explain "`ledger import` is for a home whose keys were kept and whose books were lost. Books are never merged and never overwritten: each record rests on all before it. To look at an export, import it into a copy of the keys in another home, and do not run that one."

    /// Payouts that cannot be written as a transfer order.
    no_transfers(why) = "NP-BROKER-052", PAYMENT, 422:
        what "these payouts cannot be exported as pain.001"
        why "{why}"
        fix "netpay-broker payouts export --format csv"
        explain "A transfer order (ISO 20022 pain.001.001.09) names amounts in a currency and accounts by IBAN. The broker's `denomination` therefore has to be an amount of an ISO 4217 currency, such as `0.01 EUR`, each payout a whole number of the currency's smallest unit, and --from the IBAN that is charged. Payouts to anything but an IBAN are left out and named."

    /// There is no invite to be had.
    no_invite(home) = "NP-BROKER-053", DAEMON, 503:
        what "the broker in {home} has no invite yet"
        why "an invite names the address that the broker listens on, and it has not run yet"
        fix "netpay-broker up"
        explain "The invite is the one line that lets a peer in: the broker's key, the network's name and an address to join at. The address is known once the broker listens; from then on the last invite is kept in the home as `invite`."
}
