use std::time::Duration;

use mqtt_client::{
    Address, Client, ConnectError, ConnectOptions, Message, QoS, StartError, Subscription,
};
use testkit::net::{Listener, Mosquitto, PATIENCE};
use tokio::time::timeout;

/// Options for the TCP listener, with no client id.
pub(crate) fn options(broker: &Mosquitto, listener: Listener) -> ConnectOptions {
    ConnectOptions::new(Address::from(broker.address(listener)))
}

/// A client without a client id.
pub(crate) async fn client(broker: &Mosquitto) -> Client {
    Client::connect(options(broker, Listener::Plain))
        .await
        .unwrap()
}

pub(crate) async fn next(stream: &mut Subscription) -> Message {
    timeout(PATIENCE, stream.next())
        .await
        .expect("a message in time")
        .expect("the stream goes on")
        .unwrap()
}

pub(crate) async fn next_text(stream: &mut Subscription) -> String {
    String::from_utf8_lossy(next(stream).await.payload()).into_owned()
}

/// A message published by the client itself arrives there, through the broker and back.
pub(crate) async fn assert_works(client: &Client) {
    let mut stream = client.subscribe("works", QoS::AtLeastOnce).await.unwrap();
    client
        .publish("works", "it does")
        .qos(QoS::AtLeastOnce)
        .await
        .unwrap();
    assert_eq!(next_text(&mut stream).await, "it does");
}

/// The error of a first connect that fails.
pub(crate) async fn connect_error(options: ConnectOptions) -> std::sync::Arc<ConnectError> {
    let started = Client::connect(options.connect_timeout(Duration::from_secs(20))).await;
    match started.expect_err("it must fail") {
        StartError::Connect(error) => error,
        other => panic!("{other}"),
    }
}
