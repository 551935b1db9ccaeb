//! What identifies content: its length and its SHA-256. It travels as text.
use std::{fmt, io::Read};

use anyhow::Result;
use ring::digest::{Context, SHA256};

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(mut content: impl Read) -> Result<Self> {
        let mut context = Context::new(&SHA256);
        let mut chunk = vec![0; 64 * 1_024];
        let mut len = 0;
        loop {
            let read = content.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            context.update(&chunk[..read]);
            len += read as u64;
        }
        let hash = context.finish();
        let hash: String = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self(format!("{len} bytes, SHA-256 {hash}")))
    }

    pub(crate) fn from_text(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
