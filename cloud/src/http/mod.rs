//! HTTP: the gateways' endpoint.

pub mod attempts;
pub mod gateway;
pub mod tls;
