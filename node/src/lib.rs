//! A NetPay peer.
