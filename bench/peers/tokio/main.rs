// The question `channel` of bench/bench_channel.c, asked of Tokio's mpsc. Called and printed as bench/bench.h
// says. `one` and `tasks` run on one thread, the others on two workers. An mpsc has one receiver, hence no
// `many`.
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

const CAPACITY: usize = 1024;

fn cpu_ns() -> u64 {
    // utime and stime of all threads; the clock ticks are coarse, but the runs are long.
    let mut clock = [0i64; 2];
    extern "C" {
        fn clock_gettime(id: i32, clock: *mut i64) -> i32;
    }
    unsafe { clock_gettime(2, clock.as_mut_ptr()) };
    clock[0] as u64 * 1_000_000_000 + clock[1] as u64
}

fn measure(variant: &str, mut run: impl FnMut(u64) -> u64) {
    let is_quick = std::env::var("BENCH_QUICK").map_or(false, |v| !v.is_empty() && v != "0");
    let (enough, repetitions) = if is_quick { (4_000_000, 3) } else { (20_000_000, 5) };
    let mut times = 1;
    while run(times) < enough {
        times *= 2;
    }
    let mut samples: Vec<f64> = (0..repetitions).map(|_| run(times) as f64 / times as f64).collect();
    samples.sort_by(|a, b| a.partial_cmp(b).unwrap());
    println!("channel {} {:.2} ns {:.2}", variant, samples[repetitions / 2], samples[0]);
}

async fn one(times: u64) -> u64 {
    let (sender, mut receiver) = mpsc::channel::<u64>(CAPACITY);
    let began = Instant::now();
    for i in 0..times {
        sender.send(i).await.unwrap();
        assert_eq!(receiver.recv().await, Some(i));
    }
    began.elapsed().as_nanos() as u64
}

async fn across(times: u64, by_cpu: bool) -> u64 {
    let (sender, mut receiver) = mpsc::channel::<u64>(CAPACITY);
    let (began, began_cpu) = (Instant::now(), cpu_ns());
    let sends = tokio::spawn(async move {
        for i in 0..times {
            sender.send(i).await.unwrap();
        }
    });
    let receives = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    sends.await.unwrap();
    receives.await.unwrap();
    if by_cpu { cpu_ns() - began_cpu } else { began.elapsed().as_nanos() as u64 }
}

async fn ping(times: u64) -> u64 {
    let (to, mut from) = mpsc::channel::<u64>(1);
    let (answer, mut back) = mpsc::channel::<u64>(1);
    tokio::spawn(async move {
        while let Some(item) = from.recv().await {
            answer.send(item).await.unwrap();
        }
    });
    let began = Instant::now();
    tokio::spawn(async move {
        for i in 0..times {
            to.send(i).await.unwrap();
            assert_eq!(back.recv().await, Some(i));
        }
    })
    .await
    .unwrap();
    began.elapsed().as_nanos() as u64
}

fn main() {
    let single: Runtime = Builder::new_current_thread().build().unwrap();
    let multi: Runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for variant in std::env::args().skip(2) {
        match variant.as_str() {
            "one" => measure("one", |times| single.block_on(one(times))),
            "tasks" => measure("tasks", |times| single.block_on(across(times, false))),
            "loops" => measure("loops", |times| multi.block_on(across(times, false))),
            "loops-cpu" => measure("loops-cpu", |times| multi.block_on(across(times, true))),
            "many" => println!("channel many - an mpsc has one receiver"),
            "ping" => measure("ping", |times| multi.block_on(ping(times))),
            _ => {}
        }
    }
}
