use interop::storm::Storm;

/// A smaller one than `--bin storm` makes. `STORM_SEED` repeats one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_loses_reorders_and_forgets_nothing() {
    let seed = std::env::var("STORM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let storm = Storm {
        seed: seed.unwrap_or(0x5EED),
        messages: 1_000,
        publishers: 4,
        cuts: 20,
        restarts: 1,
        wipes: 1,
    };
    let report = storm.blow(|_, _| {}).await;
    println!("{report}");
    assert!(report.is_good(), "{report}");
}
