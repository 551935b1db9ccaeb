use mqtt_codec::session::{Config, Duration};
use testkit::{Item, Pair};

#[test]
fn smoke() {
    let mut pair = Pair::new(Config::new());
    pair.declare("n/#");
    for n in 0..5 {
        pair.enqueue(Item::numbered(n));
    }
    pair.run_to_idle();
    pair.run_for(Duration::from_secs(600));
    pair.assert_sound();
    assert_eq!(pair.received(), ["0", "1", "2", "3", "4"]);
    assert_eq!(pair.connections, 1);
}
