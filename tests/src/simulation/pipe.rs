//! The broker and the network as one pipe: it delays, loses, doubles, turns around and forgets.

use super::cloud::Up;
use chiasm_proto::{Ack, fleet::OpenSession};
use rand::{Rng, rngs::StdRng};

pub enum Down {
    Ack(Ack),
    Sessions(Vec<OpenSession>),
}

pub enum Message {
    Up(Up),
    Down(Down),
}

struct InFlight {
    due_us: i64,
    /// Of messages that are due at the same time, the earlier one comes first.
    number: u64,
    gateway: usize,
    connection: u64,
    message: Message,
}

/// How bad the pipe is at the moment, in chances of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub loss: u32,
    pub doubling: u32,
    pub delay_ms_max: i64,
}

#[derive(Default)]
pub struct Pipe {
    in_flight: Vec<InFlight>,
    number: u64,
    pub weather: Weather,
}

impl Pipe {
    pub fn send(
        &mut self,
        rng: &mut StdRng,
        now_us: i64,
        (gateway, connection): (usize, u64),
        message: impl Fn() -> Message,
    ) {
        let weather = self.weather;
        let copies = match rng.random_range(0..1000) {
            n if n < weather.loss => 0,
            n if n < weather.loss + weather.doubling => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay_us = 1000 * (5 + rng.random_range(0..=weather.delay_ms_max));
            self.number += 1;
            self.in_flight.push(InFlight {
                due_us: now_us + delay_us,
                number: self.number,
                gateway,
                connection,
                message: message(),
            });
        }
    }

    /// What has arrived by now, in the order of arrival.
    pub fn arrived(&mut self, now_us: i64) -> Vec<(usize, u64, Message)> {
        self.in_flight.sort_by_key(|it| (it.due_us, it.number));
        let due = self.in_flight.partition_point(|it| it.due_us <= now_us);
        let arrived = self.in_flight.drain(..due);
        arrived.map(|it| (it.gateway, it.connection, it.message)).collect()
    }

    pub fn forget_all(&mut self) {
        self.in_flight.clear();
    }

    pub fn forget(&mut self, gateway: usize) {
        self.in_flight.retain(|it| it.gateway != gateway);
    }

    pub fn next_us(&self) -> Option<i64> {
        self.in_flight.iter().map(|it| it.due_us).min()
    }
}
