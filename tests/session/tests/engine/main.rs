//! The session engine against written-out bytes and against a broker model.

mod resume;
