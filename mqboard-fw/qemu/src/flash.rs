//! Flash memory that survives a restart: a file of the host, behind the rules of NOR flash.
//!
//! Bytes are erased in sectors, to 0xFF, and written in words, each once after it was erased, as a driver must that does
//! not implement `MultiwriteNorFlash`. Whatever breaks a rule is an error here, where a real chip would spoil data.

use core::ffi::CStr;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use semihosting::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

/// A flash memory of `CAPACITY` bytes, a multiple of its sectors.
pub struct Flash<const CAPACITY: usize> {
    file: File,
}

/// Why the flash did not do as told.
#[derive(Debug)]
#[non_exhaustive]
pub enum FlashError {
    /// The caller: addresses that are no whole sectors or words, or beyond the end.
    Address(NorFlashErrorKind),
    /// The caller: a word was written that was not erased before.
    NotErased {
        /// Where it begins.
        offset: u32,
    },
    /// The host: its file.
    File(io::Error),
}

/// As on ESP32.
const WORD: usize = 4;
const SECTOR: usize = 4096;
const ERASED: [u8; SECTOR] = [0xFF; SECTOR];

impl<const CAPACITY: usize> Flash<CAPACITY> {
    const WHOLE_SECTORS: () = assert!(CAPACITY.is_multiple_of(SECTOR));

    /// Opens the flash that this file holds; a new file is an erased flash. The path is one of the host, from the
    /// folder that QEMU was started in. Needs `-semihosting-config enable=on,target=native`.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub fn open(path: &CStr) -> Result<Self, FlashError> {
        let () = Self::WHOLE_SECTORS;
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            // `create` also truncates here, so it may only follow a failure.
            Err(_) => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)?,
        };
        let mut flash = Self { file };
        let present = flash.file.metadata()?.len() as usize / SECTOR * SECTOR;
        for sector in (present..CAPACITY).step_by(SECTOR) {
            flash.put(sector as u32, &ERASED)?;
        }
        Ok(flash)
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.file.seek(SeekFrom::Start(offset.into()))?;
        Ok(self.file.write_all(bytes)?)
    }

    fn take(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.file.seek(SeekFrom::Start(offset.into()))?;
        Ok(self.file.read_exact(bytes)?)
    }
}

impl<const CAPACITY: usize> ErrorType for Flash<CAPACITY> {
    type Error = FlashError;
}

impl<const CAPACITY: usize> ReadNorFlash for Flash<CAPACITY> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len())?;
        self.take(offset, bytes)
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl<const CAPACITY: usize> NorFlash for Flash<CAPACITY> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        for sector in (from..to).step_by(SECTOR) {
            self.put(sector, &ERASED)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len())?;
        let mut present = [0; 64];
        let mut at = offset;
        for part in bytes.chunks(present.len()) {
            let present = &mut present[..part.len()];
            self.take(at, present)?;
            if let Some(written) = present.iter().position(|&byte| byte != 0xFF) {
                return Err(FlashError::NotErased {
                    offset: at + (written / WORD * WORD) as u32,
                });
            }
            at += part.len() as u32;
        }
        self.put(offset, bytes)
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for FlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        Self::Address(kind)
    }
}

impl From<io::Error> for FlashError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}
