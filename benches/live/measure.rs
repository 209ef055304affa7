//! What is measured: wall and CPU time, what servers have sent, peak memory.

use std::fs;
use std::time::Duration;

use crossweave::demo::mariadb::MariaDb;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::Result;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    /// Of the client's process.
    pub(super) cpu: Duration,
}

/// The runs of one way to do something.
#[derive(Debug, Default)]
pub(super) struct Samples {
    all: Vec<Sample>,
}

impl Samples {
    pub(super) fn push(&mut self, sample: Sample) {
        self.all.push(sample);
    }

    /// Seconds of wall time.
    pub(super) fn wall(&self) -> Option<f64> {
        median(self.all.iter().map(|sample| sample.wall.as_secs_f64()).collect())
    }

    /// Seconds of CPU time.
    pub(super) fn cpu(&self) -> Option<f64> {
        median(self.all.iter().map(|sample| sample.cpu.as_secs_f64()).collect())
    }

    /// The shortest and the longest wall time, in seconds.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let walls = || self.all.iter().map(|sample| sample.wall);
        Some((walls().min()?.as_secs_f64(), walls().max()?.as_secs_f64()))
    }
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The geometric mean; none of nothing.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some((values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// CPU time of this process so far, threads included: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms.
pub(super) fn cpu_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").ok_or("/proc/self/stat has no name")?.1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Lets a process's peak memory count from now on. Where the system refuses, it counts from the process's start.
pub(super) fn forget_peak(process: u32) {
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// The most memory that a process has held, in MiB.
pub(super) fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? >> 10)
}

/// What servers have sent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sent {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Counts what servers send, by their own status counters: rows for whatever purpose, bytes with the protocol's own.
pub(super) struct Counter {
    connections: Vec<Conn>,
    /// What one look at the counters adds to them.
    own: Sent,
    looks: u64,
}

/// How often the counters are looked at until they stand still.
const LOOKS: usize = 50;

/// Bytes by which one look may differ from another: the numbers in it have more digits.
const DIGITS: u64 = 12;

impl Counter {
    pub(super) async fn of(servers: &[&MariaDb]) -> Result<Self> {
        let mut connections = Vec::new();
        for server in servers {
            connections.push(server.connect(None).await?);
        }
        let mut counter = Self { connections, own: Sent::default(), looks: 0 };
        let (mut before, mut looks) = (counter.look().await?, Vec::new());
        for _ in 0..LOOKS / 10 {
            let now = counter.look().await?;
            looks.push(Sent { rows: now.rows - before.rows, bytes: now.bytes - before.bytes });
            before = now;
        }
        // Others may send something meanwhile; nobody sends less than nothing.
        let least = |value: fn(&Sent) -> u64| looks.iter().map(value).min().unwrap_or_default();
        counter.own = Sent { rows: least(|sent| sent.rows), bytes: least(|sent| sent.bytes) };
        Ok(counter)
    }

    /// What was sent so far, from somewhere on. A server counts bytes once they are gone, so somebody who has them may be
    /// quicker than the counter: it is looked at until it stands still, or for some time.
    pub(super) async fn read(&mut self) -> Result<Sent> {
        let mut before = self.look().await?;
        for _ in 0..LOOKS {
            let now = self.look().await?;
            let (rows, bytes) = (now.rows - before.rows, now.bytes - before.bytes);
            before = now;
            if rows == self.own.rows && bytes.abs_diff(self.own.bytes) <= DIGITS {
                break;
            }
        }
        // The last look is not in it yet.
        let without_own = |total: u64, own: u64| total.saturating_sub(own * (self.looks - 1));
        Ok(Sent {
            rows: without_own(before.rows, self.own.rows),
            bytes: without_own(before.bytes, self.own.bytes),
        })
    }

    /// What was sent since `before` was read.
    pub(super) async fn since(&mut self, before: Sent) -> Result<Sent> {
        let now = self.read().await?;
        let (rows, bytes) = (now.rows.saturating_sub(before.rows), now.bytes.saturating_sub(before.bytes));
        Ok(Sent { rows, bytes })
    }

    async fn look(&mut self) -> Result<Sent> {
        self.looks += 1;
        let mut sent = Sent::default();
        for connection in &mut self.connections {
            let counters = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Rows_sent', 'Bytes_sent')";
            let rows: Vec<(String, u64)> = connection.query(counters).await?;
            for (name, value) in rows {
                match name.as_str() {
                    "Rows_sent" => sent.rows += value,
                    _ => sent.bytes += value,
                }
            }
        }
        Ok(sent)
    }
}
