//! The frame of `board`: transport and clock in use, and no client.
#![no_std]
#![no_main]

use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorKind, Read as _, Write as _};
use no_alloc::{Wire, any, random};

no_alloc::entry!(main);
no_alloc::future_size!(application);

fn main() -> ! {
    no_alloc::run(application())
}

async fn application() {
    loop {
        any(converse().await.is_ok());
        Timer::after(Duration::from_micros(random().into())).await;
    }
}

async fn converse() -> Result<(), ErrorKind> {
    let mut buffer = [0; 8];
    let mut wire = Wire::open().await?;
    let len = wire.read(&mut buffer).await?;
    wire.write(any(&buffer[..len.min(8)])).await?;
    wire.flush().await
}
