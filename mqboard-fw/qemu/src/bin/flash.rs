//! Flash memory: its rules, and what is in it after the machine was reset and after QEMU was started anew.
#![no_std]
#![no_main]

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use qemu_board::{Flash, FlashError, exit, figure, required, restart};

const SECTOR: u32 = 4096;
const CAPACITY: usize = 16 * SECTOR as usize;

#[riscv_rt::entry]
fn main() -> ! {
    qemu_board::run(|spawner, _| spawner.spawn(count_starts().expect("spawned once")))
}

/// Counts its starts in flash, one word for each, and resets the machine until there were `starts` of them.
#[embassy_executor::task]
async fn count_starts() {
    let mut flash = Flash::<CAPACITY>::open(c"flash.bin").expect("the host gives a file");
    let before = starts(&mut flash);
    if before == 0 {
        keeps_the_rules(&mut flash);
    }
    flash
        .write(4 * before, &before.to_le_bytes())
        .expect("the next word is erased");
    log::info!("start {before}");
    if before + 1 < required("starts") {
        restart()
    }
    figure("starts", before + 1);
    exit(0)
}

/// Words that are written, each holding its own number.
fn starts(flash: &mut Flash<CAPACITY>) -> u32 {
    let mut word = [0; 4];
    (0..SECTOR / 4)
        .take_while(|&index| {
            flash.read(4 * index, &mut word).expect("it is readable");
            assert!(
                word == [0xFF; 4] || word == index.to_le_bytes(),
                "word {index} is {word:?}"
            );
            word != [0xFF; 4]
        })
        .count() as u32
}

fn keeps_the_rules(flash: &mut Flash<CAPACITY>) {
    let end = CAPACITY as u32;
    let [a, b] = [end - 2 * SECTOR, end - SECTOR];
    flash
        .write(a, &[1, 2, 3, 4, 5, 6, 7, 8])
        .expect("it is erased");
    let again = flash.write(a, &[0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(
        matches!(again, Err(FlashError::NotErased { offset }) if offset == a),
        "{again:?}"
    );
    flash.write(b, &[9; 4]).expect("it is erased");
    flash.erase(a, b).expect("it is a sector");
    let mut bytes = [0; 8];
    flash.read(a, &mut bytes).expect("it is readable");
    assert_eq!(bytes, [0xFF; 8]);
    flash.read(b - 4, &mut bytes).expect("it is readable");
    assert_eq!(
        bytes,
        [0xFF, 0xFF, 0xFF, 0xFF, 9, 9, 9, 9],
        "the next sector was left alone"
    );

    use NorFlashErrorKind::{NotAligned, OutOfBounds};
    refused(flash.write(2, &[0; 4]), NotAligned);
    refused(flash.write(0, &[0; 3]), NotAligned);
    refused(flash.write(end, &[0; 4]), OutOfBounds);
    refused(flash.erase(0, 100), NotAligned);
    refused(flash.erase(0, end + SECTOR), OutOfBounds);
    refused(flash.read(end - 4, &mut bytes), OutOfBounds);
}

fn refused(outcome: Result<(), FlashError>, wanted: NorFlashErrorKind) {
    assert!(
        matches!(outcome, Err(FlashError::Address(kind)) if kind == wanted),
        "{outcome:?}"
    );
}
