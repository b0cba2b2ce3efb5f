//! What a write makes invalid (RFC 9111 §4.4).
