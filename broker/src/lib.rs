//! The NetPay broker.
