use std::path::Path;

use interop::upload::{Link, Upload};

/// Smaller ones than `--bin upload` makes.
#[tokio::test]
async fn a_streamed_payload_arrives_whole_in_constant_memory_even_if_the_link_is_cut() {
    for link in [Link::Whole, Link::CutAtHalf] {
        let bytes = 16_000_000;
        let program = Path::new(env!("CARGO_BIN_EXE_upload"));
        let report = Upload { bytes, link }.run(program).await.unwrap();
        println!("{report}");
        assert!(report.is_good(), "{report}");
    }
}
