//! A raw socket: one vectored write per message and a read of each acknowledgement. No client can do less.

use std::io::IoSlice;
use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::contender::{Contender, Role};
use crate::packets::{connect, push_publish_head};
use crate::workload::{Delivery, Work, Workload};

pub struct Raw {
    stream: TcpStream,
}

impl Contender for Raw {
    const NAME: &'static str = "raw";
    const ROLE: Role = Role::Baseline;

    fn handles(workload: &Workload) -> bool {
        match workload.work {
            Work::Publish(Delivery::AtMostOnce) => workload.payload_len > 1024,
            Work::Latency | Work::Idle => true,
            Work::Publish(Delivery::AtLeastOnce) | Work::Receive(_) => false,
        }
    }

    async fn connect(address: SocketAddr, client_id: String) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&connect(&client_id)).await?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await?;
        ensure!(connack == *b"\x20\x02\x00\x00", "unexpected CONNACK");
        Ok(Self { stream })
    }

    async fn subscribe(&mut self, _filter: &'static str, _delivery: Delivery) -> Result<()> {
        bail!("a raw socket does not subscribe")
    }

    async fn publish(
        &mut self,
        topic: &'static str,
        delivery: Delivery,
        payload: &Bytes,
        count: u64,
    ) -> Result<()> {
        let mut head = Vec::new();
        let packet_id = (delivery == Delivery::AtLeastOnce).then_some(1);
        push_publish_head(&mut head, topic, packet_id, payload.len());
        for _ in 0..count {
            self.write(&head, payload).await?;
            if packet_id.is_some() {
                let mut puback = [0; 4];
                self.stream.read_exact(&mut puback).await?;
            }
        }
        Ok(())
    }

    async fn receive(&mut self, _count: u64) -> Result<()> {
        bail!("a raw socket does not receive")
    }
}

impl Raw {
    async fn write(&mut self, head: &[u8], payload: &[u8]) -> Result<()> {
        let mut slices = [IoSlice::new(head), IoSlice::new(payload)];
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = self.stream.write_vectored(rest).await?;
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }
}
