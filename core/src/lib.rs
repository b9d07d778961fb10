//! The NetPay protocol.
