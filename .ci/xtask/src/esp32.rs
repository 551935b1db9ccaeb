//! Images for the real chips, and what they need of each.

use std::fs;

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::{
    elf::{self, Holds, Section},
    project::{CHIPS, Chip, ESP32_FIRMWARE, ESP32_PROGRAM},
    workspace::Workspace,
};

/// Where espflash puts the program, behind bootloader and partition table.
const PROGRAM_OFFSET: u64 = 0x1_0000;
/// By esp-hal's linker script: all that is left of the RAM.
const STACK: &str = ".stack";
/// By the same: where code in RAM would be, seen as data; that of the ESP32-C3 has other addresses for code.
const CODE_SEEN_AS_DATA: &str = ".rwdata_dummy";

/// What an image needs, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// Code that runs from RAM: interrupts, and the vendor's radio driver.
    code: u64,
    /// Everything that has an address from the start, heap included.
    statics: u64,
    /// Left for the stack.
    stack: u64,
}

pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let images = workspace.scratch("esp32")?;
    // There are settings of its own for cargo in that folder.
    let _folder = workspace.shell.push_dir(ESP32_FIRMWARE);
    let mut lines = Vec::new();
    for chip in CHIPS {
        let &Chip { name, target, .. } = chip;
        let shell = &workspace.shell;
        // Not quiet, which would hide that no network is set.
        cmd!(
            shell,
            "cargo build --release --locked --features {name} --target {target}"
        )
        .run()?;
        let program = workspace
            .target
            .join(target)
            .join("release")
            .join(ESP32_PROGRAM);
        let image = images.join(format!("{ESP32_PROGRAM}-{name}.bin"));
        cmd!(
            shell,
            "espflash save-image --skip-update-check --chip {name} --merge --skip-padding {program} {image}"
        )
        .quiet()
        .ignore_stdout()
        .run()?;
        let bytes =
            fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        let needs = needs(chip, &elf::read(&bytes)?.sections);
        let size = fs::metadata(&image)?.len() - PROGRAM_OFFSET;
        lines.push(format!(
            "{name:<8} {size:>9} {:>9} {:>9} {:>9} {:>9}   {}",
            needs.code,
            needs.statics,
            needs.stack,
            chip.ram.1,
            image.display()
        ));
    }
    println!(
        "{:<8} {:>9} {:>9} {:>9} {:>9} {:>9}   flashable file, from address 0",
        "bytes", "image", "RAM code", "statics", "stack", "of RAM"
    );
    println!("{}", lines.join("\n"));
    println!("The files contain the settings of {ESP32_FIRMWARE}, passwords too.");
    Ok(())
}

fn needs(chip: &Chip, sections: &[Section]) -> Needs {
    let (begin, len) = chip.ram;
    let mut needs = Needs::default();
    for section in sections {
        if !(begin..begin + len).contains(&section.address) {
            continue;
        }
        *match (section.name.as_str(), section.holds) {
            (STACK, _) => &mut needs.stack,
            (CODE_SEEN_AS_DATA, _) | (_, Holds::Code) => &mut needs.code,
            (_, Holds::Data) => &mut needs.statics,
        } += section.size;
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::{Needs, needs};
    use crate::{
        elf::{Holds, Section},
        project::Chip,
    };

    #[test]
    fn counts_what_is_in_ram_once() {
        let chip = Chip {
            name: "chip",
            target: "target",
            ram: (0x3000, 0x1000),
        };
        let sections = [
            (".rwtext", 0x4000, 0x100, Holds::Code),
            (".rwdata_dummy", 0x3000, 0x100, Holds::Data),
            (".data", 0x3100, 8, Holds::Data),
            (".bss", 0x3108, 4, Holds::Data),
            (".stack", 0x310C, 0x200, Holds::Data),
            (".text", 0x9000, 0x5000, Holds::Code),
        ];
        let sections = sections.map(|(name, address, size, holds)| Section {
            name: name.to_owned(),
            address,
            size,
            holds,
        });
        let counted = Needs {
            code: 0x100,
            statics: 12,
            stack: 0x200,
        };
        assert_eq!(needs(&chip, &sections), counted);
    }
}
