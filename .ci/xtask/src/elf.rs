//! What a linked program takes of flash and RAM, read from its ELF file.

use anyhow::Result;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};

/// Bytes by the kind of memory they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) text: u64,
    pub(crate) rodata: u64,
    pub(crate) data: u64,
    pub(crate) bss: u64,
}

impl Sizes {
    pub(crate) fn flash(self) -> u64 {
        self.text + self.rodata
    }

    /// What is left when another program's share is taken away.
    pub(crate) fn above(self, baseline: Self) -> Self {
        Self {
            text: self.text.saturating_sub(baseline.text),
            rodata: self.rodata.saturating_sub(baseline.rodata),
            data: self.data.saturating_sub(baseline.data),
            bss: self.bss.saturating_sub(baseline.bss),
        }
    }
}

pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) size: u64,
}

pub(crate) struct Program {
    pub(crate) sizes: Sizes,
    /// Functions, largest first.
    pub(crate) functions: Vec<Symbol>,
    /// What is in memory when it runs.
    pub(crate) sections: Vec<Section>,
    /// What the program says of itself: the value of its constant `FUTURE_SIZE`.
    pub(crate) future_size: Option<u64>,
}

pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Code,
    Data,
}

/// Unwind tables are left out: firmware discards them when it links.
pub(crate) fn read(bytes: &[u8]) -> Result<Program> {
    let file = object::File::parse(bytes)?;
    let mut sizes = Sizes::default();
    let mut sections = Vec::new();
    for section in file.sections() {
        sections.push(Section {
            name: section.name()?.to_owned(),
            address: section.address(),
            size: section.size(),
            holds: match section.kind() {
                SectionKind::Text => Holds::Code,
                _ => Holds::Data,
            },
        });
        if section.name()?.starts_with(".eh_frame") {
            continue;
        }
        match section.kind() {
            SectionKind::Text => sizes.text += section.size(),
            SectionKind::ReadOnlyData
            | SectionKind::ReadOnlyString
            | SectionKind::ReadOnlyDataWithRel => {
                sizes.rodata += section.size();
            }
            SectionKind::Data => sizes.data += section.size(),
            SectionKind::UninitializedData => sizes.bss += section.size(),
            _ => {}
        }
    }

    let mut functions = Vec::new();
    for symbol in file
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
    {
        functions.push(Symbol {
            name: symbol.name()?.to_owned(),
            size: symbol.size(),
        });
    }
    functions.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    Ok(Program {
        sizes,
        functions,
        sections,
        future_size: word(&file, "FUTURE_SIZE")?,
    })
}

/// The value of a `u32` that is constant, by the name of its symbol.
fn word(file: &object::File<'_>, name: &str) -> Result<Option<u64>> {
    let Some(symbol) = file.symbol_by_name(name) else {
        return Ok(None);
    };
    let Some(index) = symbol.section_index() else {
        return Ok(None);
    };
    let section = file.section_by_index(index)?;
    let bytes = section.data_range(symbol.address(), size_of::<u32>() as u64)?;
    let value = bytes.and_then(|bytes| bytes.first_chunk());
    Ok(value.map(|&value| u32::from_le_bytes(value).into()))
}

#[cfg(test)]
mod tests {
    use super::{Sizes, read};

    #[test]
    fn finds_code_data_and_functions_of_a_real_program() {
        let program = read(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(program.sizes.text > 0 && program.sizes.rodata > 0 && program.sizes.bss > 0);
        assert!(
            program
                .functions
                .iter()
                .any(|function| function.name.contains("current_exe"))
        );
        assert!(program.functions.is_sorted_by(|a, b| a.size >= b.size));
    }

    #[test]
    fn a_program_below_the_baseline_adds_nothing() {
        let baseline = Sizes {
            text: 200,
            rodata: 8,
            data: 4,
            bss: 4,
        };
        let program = Sizes {
            text: 300,
            rodata: 4,
            data: 4,
            bss: 0,
        };
        let added = program.above(baseline);
        assert_eq!(
            added,
            Sizes {
                text: 100,
                ..Sizes::default()
            }
        );
        assert_eq!(added.flash(), 100);
    }
}
